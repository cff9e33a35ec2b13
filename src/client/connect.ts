/** Connecting with the user's own client library: one server, or several, each dialled alone. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Redial } from '../core/reconnect-pace.ts'
import { createSigner, type NatsConnectionLike, type Signer } from './authenticator.ts'
import { WebAuthnClientError } from './client-error.ts'
import { type ConnectionOptions, type ConnectionRequest, optionsForDial } from './connection-options.ts'
import { dialledUrls } from './dialled-url.ts'

/** `connect` of `nats` 2.x or `@nats-io/transport-node` 3.x. */
export type Connect<Connection extends NatsConnectionLike> = (options: ConnectionOptions) => Promise<Connection>

// With other servers to turn to, one that stays away is left after this many attempts.
const reconnectAttemptsWithOthers = 3
const roundMillisecondsMin = 1_000
const roundMillisecondsMax = 30_000

/**
 * Connects with the key and keeps the connection: it comes back by its session. With several servers, the first that
 * accepts; `connections` also moves on to the next one.
 * @example
 * const nc = await connectWithWebAuthn(connect, { key: loadKeyFile('orders.key') })
 */
export async function connectWithWebAuthn<Connection extends NatsConnectionLike>(
  connect: Connect<Connection>,
  request: ConnectionRequest,
): Promise<Connection> {
  return createDialler(connect, request).dial(undefined)
}

/**
 * Connections, one after the other: the next begins when the last one ended. Ends when the program closes or drains
 * one, or leaves the loop, which closes it.
 * @example
 * for await (const nc of connections(connect, { key, servers: ['tls://a.example', 'tls://b.example'] })) {
 *   for await (const message of nc.subscribe('orders.new')) handle(message)
 * }
 */
export async function* connections<Connection extends NatsConnectionLike>(
  connect: Connect<Connection>,
  request: ConnectionRequest & { signal?: AbortSignal },
): AsyncGenerator<Connection, void, undefined> {
  const dialler = createDialler(connect, request)
  let connection = await dialler.dial(request.signal)
  for (;;) {
    try {
      yield connection
      // Client libraries say why a connection ended, unless the program wanted it.
      if ((await connection.closed()) === undefined) return
    } finally {
      if (!connection.isClosed()) await connection.close()
    }
    const next = await dialler.dialUntilUp(request.signal)
    if (next === null) return
    connection = next
  }
}

interface Dialler<Connection> {
  /** Tries each server once, or as long as `waitOnFirstConnect` says. */
  dial(signal: AbortSignal | undefined): Promise<Connection>
  /** Tries until one accepts; null when `signal` ends it. */
  dialUntilUp(signal: AbortSignal | undefined): Promise<Connection | null>
}

function createDialler<Connection extends NatsConnectionLike>(
  connect: Connect<Connection>,
  request: ConnectionRequest,
): Dialler<Connection> {
  const urls = dialledUrls(request)
  const signer = createSigner(request)
  const { waitOnFirstConnect = false, ...nats } = request.nats ?? {}
  const several = urls.length > 1
  // Waiting for one server would mean never to try the others: then the waiting is done here.
  const own = several ? { ...request, nats: { maxReconnectAttempts: reconnectAttemptsWithOthers, ...nats } } : request
  const dials = urls.map((url) => {
    const dial = signer.forUrl(url)
    return { options: optionsForDial(dial, url, own), redial: dial.redial }
  })
  let first = 0

  const tryEach = async (): Promise<Connection> => {
    const errors: unknown[] = []
    for (let i = 0; i < dials.length; i++) {
      const at = (first + i) % dials.length
      const dial = dials[at]
      if (dial === undefined) continue
      try {
        const connection = await dialOne(connect, signer, dial)
        first = at + 1
        return connection
      } catch (error) {
        errors.push(error)
      }
    }
    if (!several) throw errors[0]
    throw new WebAuthnClientError('server_unreachable', 'connecting: no server accepted', { cause: new AggregateError(errors) })
  }

  const dialUntilUp = async (signal: AbortSignal | undefined): Promise<Connection | null> => {
    for (let wait = roundMillisecondsMin; signal?.aborted !== true; wait = Math.min(roundMillisecondsMax, wait * 2)) {
      try {
        return await tryEach()
      } catch {
        await delay(wait * (0.5 + Math.random()), undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
      }
    }
    return null
  }

  const dial = async (signal: AbortSignal | undefined): Promise<Connection> => {
    if (!several || !waitOnFirstConnect) return tryEach()
    const connection = await dialUntilUp(signal)
    if (connection === null) throw new WebAuthnClientError('server_unreachable', 'connecting: ended by the program')
    return connection
  }
  return { dial, dialUntilUp }
}

async function dialOne<Connection extends NatsConnectionLike>(
  connect: Connect<Connection>,
  signer: Signer,
  { options, redial }: { options: ConnectionOptions; redial: Redial },
): Promise<Connection> {
  const before = signer.attempts.failures()
  const once = async () => {
    redial.begin()
    const connection = await connect(options)
    options.authenticator.confirm(connection)
    return connection
  }
  try {
    return await once()
  } catch (error) {
    // A session may have ended while no connection was up. A refused resume is followed by a proof, once.
    if (signer.attempts.failures() === before || signer.attempts.lastKind() !== 'resume') throw error
    return once()
  }
}
