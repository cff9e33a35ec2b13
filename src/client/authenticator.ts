/** The signature callback of `nats` 2.x and `@nats-io/transport-node` 3.x: from a server's nonce to `nkey` and `sig`. */
import { base64url, utf8 } from '../core/encoding.ts'
import { connectChallenge, MACHINE_ORIGIN, resumeMessage } from '../core/protocol.ts'
import { createReconnectPace, createRedial, type Redial } from '../core/reconnect-pace.ts'
import type { ServerUrl } from '../core/server-address.ts'
import { type Attempts, createAttempts } from './attempts.ts'
import { WebAuthnClientError } from './client-error.ts'
import { followConnection } from './connection-watch.ts'
import { dialledHost, dialledUrl } from './dialled-url.ts'
import type { MachineKey } from './key-file.ts'
import { replaceSecretFile } from './secret-file.ts'
import { createSessionKey, type SessionKey } from './session-key.ts'
import { sha256 } from './sha256.ts'
import { createAssertion } from './software-authenticator.ts'

/**
 * How a connection comes back: `bound` to its nonce and address (the default), `plain` so that stock clients may use
 * the session key too, or false: each connection asks the key.
 */
export type SessionMode = 'bound' | 'plain' | false

/** What goes into CONNECT. */
export interface Credentials {
  nkey: string
  sig: string
}

/** What the SDK needs of a connection, so that it fits both client libraries. */
export interface NatsConnectionLike {
  status(): AsyncIterable<{ type: string }>
  /** Resolves with the reason, or with undefined when the program closed it. */
  closed(): Promise<unknown>
  isClosed(): boolean
  close(): Promise<void>
}

export interface WebAuthnAuthenticator {
  /** Signs for one connection. Synchronous, as NATS clients demand. */
  (nonce?: string): Credentials
  /** Call it with the connection as soon as it is up: reconnects then ask the key only when the session ended. */
  confirm(connection: NatsConnectionLike): void
  /** Writes the session's seed, 0600, for stock clients (`nats --nkey FILE`). Only with `session: 'plain'`, once connected. */
  exportSessionSeed(path: string): void
}

export interface SignerOptions {
  key: MachineKey
  session?: SessionMode
  /** Hears why a reconnect could not be signed. The client tries again. */
  onError?: (error: WebAuthnClientError) => void
}

/** What the options of one dial are made with. */
export interface SignerDial {
  authenticator: WebAuthnAuthenticator
  redial: Redial
}

/** A key and its session: what several dials, one after the other, have in common. */
export interface Signer {
  attempts: Attempts<SessionKey>
  /** One dial, to one server. */
  forUrl(url: ServerUrl): SignerDial
}

const nonceCharsMax = 64

/** An authenticator for exactly one server address. Prefer `connectionOptions`: it sets what the address depends on. */
export function webauthnAuthenticator(options: SignerOptions & { url: string }): WebAuthnAuthenticator {
  return createSigner(options).forUrl(dialledUrl(options.url)).authenticator
}

/** Holds the key and its session for one or more dials. */
export function createSigner({ key, session = 'bound', onError }: SignerOptions): Signer {
  const attempts = createAttempts(session === false ? null : createSessionKey)
  const plain = session === 'plain'

  const sign = (url: ServerUrl, nonce: string): Credentials => {
    const attempt = attempts.next(performance.now())
    const nkey = attempt.session?.nkey ?? ''
    const resume = attempt.session === null ? {} : { resume: base64url(attempt.session.sign(resumeMessage(sha256, { nonce, url, nkey }))) }
    if (attempt.kind === 'resume') return { nkey, sig: encode({ v: 1, url, ...resume }) }
    const endorsePlain = plain && attempt.session !== null
    const assertion = prove(key, connectChallenge(sha256, { nonce, url, nkey, plain: endorsePlain }))
    return { nkey, sig: encode({ v: 1, url, assertion, ...resume, ...(endorsePlain ? { plain: true } : {}) }) }
  }

  const forUrl = (url: ServerUrl): SignerDial => {
    let connection: NatsConnectionLike | null = null
    const pace = createReconnectPace()
    const redial = createRedial(pace, { failures: attempts.failures, now: () => performance.now(), random: Math.random })
    const authenticate = (nonce?: string): Credentials => {
      redial.answered()
      try {
        refuseOtherServers(connection, url)
        return sign(url, checkedNonce(nonce))
      } catch (cause) {
        const error =
          cause instanceof WebAuthnClientError ? cause : new WebAuthnClientError('sign_failed', 'signing for a connection', { cause })
        // An authenticator that throws closes the connection for good. One that is up once comes back: without
        // credentials this attempt is refused, and the next one follows.
        if (!attempts.everWorked()) throw error
        onError?.(error)
        return { nkey: '', sig: '' }
      }
    }
    const authenticator = Object.assign(authenticate, {
      confirm: (confirmed: NatsConnectionLike) => {
        connection = confirmed
        // Without reports the attempts are guessed, as before confirm.
        followConnection(confirmed, { attempts, pace }).catch(() => attempts.watch(false))
      },
      exportSessionSeed: (path: string) => {
        const current = attempts.session()
        if (!plain || current === null)
          throw new WebAuthnClientError('session_missing', "exporting the session: needs session: 'plain' and a connection")
        replaceSecretFile(path, `${current.seed()}\n`)
      },
    })
    return { authenticator, redial }
  }

  return { attempts, forUrl }
}

function prove(key: MachineKey, challenge: Uint8Array) {
  const { rpId, credentialId, userHandle, backupEligible = true } = key
  // A counter in a file is copied with it: 0 says that there is none (WebAuthn L3 §6.1.1).
  return createAssertion(key.key, { challenge, rpId, origin: MACHINE_ORIGIN, credentialId, userHandle, backupEligible, signCount: 0 })
}

// A hostile server chooses the nonce: nothing else than what nats-server sends is signed.
function checkedNonce(nonce: string | undefined): string {
  if (nonce === undefined || nonce === '')
    throw new WebAuthnClientError('nonce_missing', 'signing for a connection: the server sent no nonce')
  if (typeof nonce !== 'string' || nonce.length > nonceCharsMax || !/^[\x21-\x7e]+$/.test(nonce)) {
    throw new WebAuthnClientError('nonce_refused', 'signing for a connection: the nonce is not 1 to 64 printable ASCII characters')
  }
  return nonce
}

// transport-node 3.4 lets a program exchange the servers of a live connection; what is signed would be wrong.
function refuseOtherServers(connection: NatsConnectionLike | null, url: ServerUrl): void {
  if (connection === null || !('getServers' in connection) || typeof connection.getServers !== 'function') return
  const servers: unknown = connection.getServers()
  const { hostPort } = dialledHost(url)
  if (Array.isArray(servers) && servers.every((server: { listen?: unknown }) => server.listen === hostPort)) return
  throw new WebAuthnClientError('url_ambiguous', 'signing for a connection: its servers were exchanged')
}

function encode(members: object): string {
  return base64url(utf8(JSON.stringify(members)))
}
