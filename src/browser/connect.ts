/** Connecting from a page: a tap, and then a stock connection of nats-core that comes back by itself. */
import { errors, type NatsConnection, type WsConnectionOptions, wsconnect } from '@nats-io/nats-core'
import { credentialBytes, requirePasskeys } from './ceremony.ts'
import { Dialler, type OnTapNeeded } from './dialler.ts'
import { PasskeyError, type PasskeyErrorCode } from './passkey-error.ts'
import { webSocketUrls } from './servers.ts'
import { createSessionKey } from './session-key.ts'

/** Options of nats-core that a page may set itself. Every other option is refused. */
export interface NatsOptions {
  name?: string
  noEcho?: boolean
  noAsyncTraces?: boolean
  pedantic?: boolean
  verbose?: boolean
  pingInterval?: number
  maxPingOut?: number
}

export interface PasskeyRequest {
  /** `wss://host:port`, or several; `ws://` for this machine alone. Written down by the page's author. */
  servers: string | readonly string[]
  /** The Relying Party that the passkeys were enrolled for. */
  rpId: string
  /** Whose inbox replies arrive in: `_INBOX_<handle>`. Without it the connection publishes and subscribes, but makes no requests. */
  handle?: string
  /** Unpadded base64url. Default: the person chooses among the passkeys for `rpId`. */
  credentialIds?: readonly string[]
  /** Default `required`. The verifier decides what it accepts; this only says what is asked for. */
  userVerification?: UserVerificationRequirement
  /** How long the person has for one tap. Default 55; keep it below nats-server's time for WebSocket authentication. */
  tapSeconds?: number
  /** false: no session key, so each connection is a tap. Default true. */
  session?: boolean
  /** Called when the session is over. Without it the connection then ends with `session_over`. */
  onTapNeeded?: OnTapNeeded
  /** Ends the wait for the first connection. */
  signal?: AbortSignal
  nats?: NatsOptions
}

const tapSecondsDefault = 55
const tapSecondsMax = 600
const ALLOWED = new Set(['name', 'noEcho', 'noAsyncTraces', 'pedantic', 'verbose', 'pingInterval', 'maxPingOut'])
// The held socket keeps the times of each step; a person may need hours to come back to the page.
const timeoutMilliseconds = 2 ** 31 - 1
// One server's trouble is no reason not to try the next, as long as nobody was asked for a tap.
const NEXT_SERVER: ReadonlySet<PasskeyErrorCode> = new Set([
  'server_unreachable',
  'info_timeout',
  'info_refused',
  'nonce_missing',
  'nonce_refused',
])

/**
 * Asks for one tap and connects. The connection comes back by its session, without a tap, until the session is over.
 * Closing it forgets the session key. Rejects with a PasskeyError; a connection that ends later says why in `closed()`.
 * @example
 * const nc = await connectWithPasskey({ servers: 'wss://nats.example.com', rpId: 'example.com', handle: 'alice' })
 */
export async function connectWithPasskey(request: PasskeyRequest): Promise<NatsConnection> {
  const urls = webSocketUrls(request.servers)
  const ceremony = ceremonyOf(request)
  const options = natsOptions(request)
  requirePasskeys()
  const { session = true, signal, onTapNeeded = null } = request
  // What the browser lacks is better known before anybody is asked for a tap.
  if (session) await createSessionKey()
  const dialler = new Dialler({ urls, ceremony, session, onTapNeeded, open: (url) => new WebSocket(url) })
  const stop = (): void => dialler.end(new PasskeyError('closed', 'connecting: the program ended it'))
  if (signal?.aborted === true) stop()
  signal?.addEventListener('abort', stop)
  try {
    const connection = await firstOf(urls, dialler, { ...options, servers: urls.slice(0, 1) })
    void follow(connection, dialler)
    void connection.closed().then(() => dialler.end(new PasskeyError('closed', 'the connection is closed')))
    return connection
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/** Tells the dialler's pace what becomes of the connection. */
async function follow(connection: NatsConnection, { pace }: Dialler): Promise<void> {
  const up = (): void => {
    const { server_id: serverId, client_id: clientId } = connection.info ?? {}
    pace.up(serverId === undefined || clientId === undefined ? null : { serverId, clientId }, performance.now())
  }
  up()
  for await (const status of connection.status()) {
    if (status.type === 'reconnect') up()
    else if (status.type === 'disconnect') pace.lost('broken')
    else if (status.type === 'forceReconnect') pace.lost('wanted')
    else if (status.type === 'error' && status.error instanceof errors.UserAuthenticationExpiredError) pace.lost('expired')
  }
}

async function firstOf(urls: readonly string[], dialler: Dialler, options: WsConnectionOptions): Promise<NatsConnection> {
  for (let left = urls.length - 1; ; left--) {
    try {
      return await wsconnect({
        ...options,
        authenticator: (nonce) => dialler.authenticate(nonce),
        reconnectDelayHandler: () => dialler.pauseMilliseconds(),
        // nats-core uses the members of a WebSocket that the held socket has, and no others.
        wsFactory: (source) => Promise.resolve(dialler.open(source) as unknown as { socket: WebSocket; encrypted: boolean }),
      })
    } catch (cause) {
      const failure = dialler.failure ?? new PasskeyError('server_unreachable', 'connecting', { cause })
      if (left === 0 || !NEXT_SERVER.has(failure.code)) throw failure
    }
  }
}

function ceremonyOf({ rpId, credentialIds = [], userVerification = 'required', tapSeconds = tapSecondsDefault }: PasskeyRequest) {
  if (typeof rpId !== 'string' || rpId === '') throw new PasskeyError('option_refused', 'reading rpId: it is missing')
  if (!['required', 'preferred', 'discouraged'].includes(userVerification)) {
    throw new PasskeyError('option_refused', 'reading userVerification: required, preferred or discouraged')
  }
  if (!(tapSeconds >= 1 && tapSeconds <= tapSecondsMax)) {
    throw new PasskeyError('option_refused', `reading tapSeconds: 1 to ${tapSecondsMax}`)
  }
  credentialBytes(credentialIds)
  return { rpId, credentialIds: [...credentialIds], userVerification, tapSeconds }
}

function natsOptions({ handle, nats = {} }: PasskeyRequest): WsConnectionOptions {
  for (const name of Object.keys(nats)) {
    if (ALLOWED.has(name)) continue
    throw new PasskeyError('option_refused', `preparing the connection: the option ${name.replace(/\W/g, '?').slice(0, 40)} is refused`)
  }
  if (handle !== undefined && !/^[a-z0-9_-]{1,64}$/.test(handle)) throw new PasskeyError('option_refused', 'reading handle: it is not one')
  return {
    ...nats,
    // Roles grant replies there and nowhere else.
    ...(handle === undefined ? {} : { inboxPrefix: `_INBOX_${handle}` }),
    timeout: timeoutMilliseconds,
    maxReconnectAttempts: -1,
    // Gossip comes from a server, which may be hostile: it would choose where the next tap goes.
    ignoreClusterUpdates: true,
    // nats-core gives up after two refusals in a row; an expired grant and a verifier that is away are two.
    ignoreAuthErrorAbort: true,
  }
}
