/** Whole connection options: an authenticator alone cannot know that the address it signs is the one dialled. */
import { isLoopbackHost, type ServerUrl } from '../core/server-address.ts'
import { createSigner, type SignerDial, type SignerOptions, type WebAuthnAuthenticator } from './authenticator.ts'
import { WebAuthnClientError } from './client-error.ts'
import { dialledHost, dialledUrls, onlyUrl } from './dialled-url.ts'
import { type TlsTrust, type VerifiedTls, verifiedTls } from './verified-tls.ts'

/** Options of the client library that a program may set itself. Every other option is refused. */
export interface NatsOptions {
  name?: string
  inboxPrefix?: string
  noEcho?: boolean
  noAsyncTraces?: boolean
  pedantic?: boolean
  verbose?: boolean
  pingInterval?: number
  maxPingOut?: number
  timeout?: number
  reconnect?: boolean
  maxReconnectAttempts?: number
  reconnectTimeWait?: number
  reconnectJitter?: number
  reconnectJitterTLS?: number
  reconnectDelayHandler?: () => number
  waitOnFirstConnect?: boolean
  tls?: TlsTrust
}

export interface ConnectionRequest extends SignerOptions {
  /** The server's address. Default: the only one that the key was enrolled for. */
  url?: string
  /** Several addresses, for `connectWithWebAuthn` and `connections`. */
  servers?: readonly string[]
  nats?: NatsOptions
}

/** Options for `connect` of `nats` 2.x and `@nats-io/transport-node` 3.x. Pass them on as they are. */
export interface ConnectionOptions extends Omit<NatsOptions, 'tls'> {
  servers: string[]
  authenticator: WebAuthnAuthenticator
  inboxPrefix: string
  maxReconnectAttempts: number
  ignoreClusterUpdates: true
  ignoreAuthErrorAbort: true
  resolve?: boolean
  tls?: VerifiedTls
}

const ALLOWED = new Set([
  'name',
  'inboxPrefix',
  'noEcho',
  'noAsyncTraces',
  'pedantic',
  'verbose',
  'pingInterval',
  'maxPingOut',
  'timeout',
  'reconnect',
  'maxReconnectAttempts',
  'reconnectTimeWait',
  'reconnectJitter',
  'reconnectJitterTLS',
  'reconnectDelayHandler',
  'waitOnFirstConnect',
  'tls',
])

/**
 * Options for exactly one server, for programs that call `connect` themselves. Call
 * `options.authenticator.confirm(connection)` with the result.
 */
export function connectionOptions(request: ConnectionRequest): ConnectionOptions {
  const url = onlyUrl(dialledUrls(request))
  return optionsForDial(createSigner(request).forUrl(url), url, request)
}

/** The options of one of a signer's dials. */
export function optionsForDial({ authenticator, redial }: SignerDial, url: ServerUrl, request: ConnectionRequest): ConnectionOptions {
  const given = request.nats ?? {}
  refuseOptions(given)
  const { tls: trust, ...rest } = given
  const tls = verifiedTls(url, trust)
  const ownDelay = ['reconnectDelayHandler', 'reconnectTimeWait', 'reconnectJitter', 'reconnectJitterTLS'].some((name) => name in given)
  return {
    name: request.key.handle,
    inboxPrefix: request.key.inboxPrefix ?? `_INBOX_${request.key.handle}`,
    // A verifier may be away for longer than anybody wants to count.
    maxReconnectAttempts: -1,
    ...(ownDelay ? {} : { reconnectDelayHandler: redial.delayMs }),
    ...rest,
    servers: [url],
    authenticator,
    // Gossip comes from a server, which may be hostile: it would choose where the next signature goes.
    ignoreClusterUpdates: true,
    // Client libraries give up after two refusals in a row; an expired session and a resume that came too late are two.
    ignoreAuthErrorAbort: true,
    // Client libraries would ask the network's name server who "localhost" is.
    ...(isLoopbackHost(dialledHost(url).host) ? { resolve: false } : {}),
    ...(tls === null ? {} : { tls }),
  }
}

function refuseOptions(options: object): void {
  for (const name of Object.keys(options)) {
    if (ALLOWED.has(name)) continue
    throw new WebAuthnClientError(
      'option_refused',
      `preparing the connection: the option ${name.replace(/\W/g, '?').slice(0, 40)} is refused`,
    )
  }
}
