/** A connection to NATS as one of our own nkey users: native signatures, endless reconnects, an inbox of its own. */
import { setTimeout as delay } from 'node:timers/promises'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import { type ConnectionOptions, connect, Events, type Msg, type NatsConnection, type TlsOptions } from 'nats'
import { ed25519PrivateKey, ed25519RawPublic, ed25519Sign } from '../core/ed25519.ts'
import { base64url, utf8 } from '../core/encoding.ts'
import { decodeSeed, encodePublicNkey } from '../core/nkey.ts'
import { canonicalServerUrl, serverUrlParts } from '../core/server-address.ts'
import { type AskedMessage, createAckedPublisher } from './acked-publisher.ts'

/** What happens to a connection. `failed`: the server refused something, such as a subject outside the user's permissions. */
export type LinkEvent = { kind: 'connected' | 'disconnected' } | { kind: 'failed'; cause: unknown } | { kind: 'closed'; cause: unknown }

export interface LinkOptions {
  /** What monitoring shows. */
  name: string
  /** `nats://` or `tls://`; a `tls://` address requires TLS. */
  servers: readonly string[]
  /** Seed `SU…` of the user. Secret. */
  seed: string
  /** Prefix of the reply subjects that the user's permissions allow, such as `_INBOX_verifier`. */
  inboxPrefix: string
  tls: TlsOptions | null
  /** Whether to wait for a server that is not there yet. The CLI does not. */
  waitForServer: boolean
  onEvent(event: LinkEvent): void
}

export interface Link {
  readonly nats: NatsConnection
  readonly inboxPrefix: string
  isConnected(): boolean
  /** Publishes and resolves with the first answer; throws when there is none in time, at once while disconnected. */
  ask(message: AskedMessage): Promise<Msg>
  /** Hears of every disconnection and reconnection from now on. Returns how to stop. */
  onChange(listener: (connected: boolean) => void): () => void
  /** Sends what is waiting, answers what was taken, closes. */
  drain(): Promise<void>
}

const connectTimeoutMs = 5_000
const reconnectWaitMs = 100
const pingIntervalMs = 5_000
const pingsOutMax = 2

/** Connects; throws when it cannot, unless it may wait. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { name, servers, inboxPrefix, onEvent } = options
  const nats = await connectWith(options)
  const listeners = new Set<(connected: boolean) => void>()
  let connected = true
  const change = (now: boolean) => {
    connected = now
    onEvent({ kind: now ? 'connected' : 'disconnected' })
    for (const listener of listeners) listener(now)
  }
  const follow = async () => {
    for await (const status of nats.status()) {
      if (status.type === Events.Disconnect) change(false)
      else if (status.type === Events.Reconnect) change(true)
      else if (status.type === Events.Error) onEvent({ kind: 'failed', cause: status.data })
    }
  }
  void follow()
  void nats.closed().then((cause) => {
    if (connected) change(false)
    onEvent({ kind: 'closed', cause: cause ?? null })
  })
  onEvent({ kind: 'connected' })
  const isConnected = () => connected && !nats.isClosed()
  const asking = createAckedPublisher(nats, { inboxPrefix, isConnected })
  return {
    nats,
    inboxPrefix,
    isConnected,
    ask: asking.publish,
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    drain: async () => {
      if (nats.isClosed()) return
      // Without a server there is nobody to drain to.
      try {
        await (connected ? nats.drain() : nats.close())
      } catch (cause) {
        throw new Error(`draining the connection ${name} to ${servers.length} servers`, { cause })
      }
    },
  }
}

async function connectWith(options: LinkOptions): Promise<NatsConnection> {
  const { name, servers, seed, inboxPrefix, tls, waitForServer, onEvent } = options
  const wantsTls = tls !== null || servers.some((server) => server.startsWith('tls://'))
  const settings: ConnectionOptions = {
    name,
    servers: [...servers],
    authenticator: nkeySignIn(seed),
    inboxPrefix,
    timeout: connectTimeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectWaitMs,
    // After two refusals in a row nats.js would give up for good; a reload of nats-server can cause as many.
    ignoreAuthErrorAbort: waitForServer,
    pingInterval: pingIntervalMs,
    maxPingOut: pingsOutMax,
    // Otherwise nats.js captures two stacks for every request, in case it fails; what we throw has its own.
    noAsyncTraces: true,
    ...(wantsTls ? { tls: verified(tls ?? {}, servers) } : {}),
  }
  let told = ''
  // The waiting is done here: nats.js would wait in silence, and an operator would never learn what for.
  for (;;) {
    try {
      return await connect(settings)
    } catch (cause) {
      if (!waitForServer) throw new Error(`connecting ${name} to nats-server`, { cause })
      const why = String(cause)
      if (why !== told) onEvent({ kind: 'failed', cause })
      told = why
      await delay(reconnectWaitMs)
    }
  }
}

/** nats.js compares the certificate of a server that is named by its IP address with `localhost`; this compares the address. */
function verified(tls: TlsOptions, servers: readonly string[]): TlsOptions {
  const hosts = servers.flatMap((server) => {
    const url = canonicalServerUrl(server)
    return url === null ? [] : [serverUrlParts(url).host.replace(/^\[|\]$/g, '')]
  })
  const identity = {
    checkServerIdentity(host: string, certificate: PeerCertificate): Error | undefined {
      const names = host === 'localhost' ? hosts : [host]
      const errors = names.map((name) => checkServerIdentity(name, certificate))
      return errors.includes(undefined) ? undefined : (errors[0] ?? checkServerIdentity(host, certificate))
    },
  }
  return { ...tls, ...identity }
}

/** Signs the server's nonce natively: nkeys.js would block the process for 10 ms at each reconnect. */
function nkeySignIn(seed: string): (nonce?: string) => { nkey: string; sig: string } {
  const raw = decodeSeed('U', seed.trim())
  if (raw === null) throw new Error('reading a user seed (SU…)')
  const key = ed25519PrivateKey(raw)
  const nkey = encodePublicNkey('U', ed25519RawPublic(key))
  return (nonce) => ({ nkey, sig: base64url(ed25519Sign(key, utf8(nonce ?? ''))) })
}
