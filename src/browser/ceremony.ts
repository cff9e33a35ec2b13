/** The tap: one WebAuthn assertion for one challenge, in the page that the person sees. */
import { base64url, fromBase64url } from '../core/encoding.ts'
import { PasskeyError } from './passkey-error.ts'

/** What a page may say about the ceremony. */
export interface CeremonyOptions {
  rpId: string
  /** Unpadded base64url. Empty: the person chooses among the passkeys that the browser finds for `rpId`. */
  credentialIds: readonly string[]
  userVerification: UserVerificationRequirement
  /** How long the person has. Shorter than nats-server's `websocket { authorization { timeout } }`. */
  tapSeconds: number
}

/** AuthenticationResponseJSON (WebAuthn L3 §5.1), with what the protocol needs and nothing else. */
export interface AssertionJSON {
  id: string
  type: 'public-key'
  response: { clientDataJSON: string; authenticatorData: string; signature: string; userHandle?: string }
}

const credentialIdBytesMax = 1023
const credentialIdsMax = 64

/** Throws `unsupported` where there can be no ceremony, before anybody is asked for anything. */
export function requirePasskeys(): void {
  if (!globalThis.isSecureContext) {
    throw new PasskeyError('unsupported', 'preparing the ceremony: the page is not a secure context (https, or localhost)')
  }
  if (typeof PublicKeyCredential === 'undefined' || typeof navigator.credentials?.get !== 'function') {
    throw new PasskeyError('unsupported', 'preparing the ceremony: the browser has no WebAuthn')
  }
}

/** The credential ids as bytes. Throws `option_refused` for what is none. */
export function credentialBytes(ids: readonly string[]): Uint8Array<ArrayBuffer>[] {
  if (ids.length > credentialIdsMax) throw refusedIds()
  return ids.map((id) => {
    const bytes = fromBase64url(id)
    if (bytes === null || bytes.length === 0 || bytes.length > credentialIdBytesMax) throw refusedIds()
    return new Uint8Array(bytes)
  })
}

function refusedIds(): PasskeyError {
  return new PasskeyError('option_refused', `reading credentialIds: up to ${credentialIdsMax} unpadded base64url ids`)
}

// Browsers refuse a second question while the first is on the screen, so the connections of a page take turns.
let lastTap: Promise<unknown> = Promise.resolve()

/** Asks for a tap on `challenge`. `signal` takes the question off the screen. Throws a PasskeyError. */
export function tap(challenge: Uint8Array, options: CeremonyOptions, signal: AbortSignal): Promise<AssertionJSON> {
  const turn = lastTap.then(() => ask(challenge, options, signal))
  lastTap = turn.catch(() => undefined)
  return turn
}

async function ask(challenge: Uint8Array, options: CeremonyOptions, signal: AbortSignal): Promise<AssertionJSON> {
  const { rpId, credentialIds, userVerification, tapSeconds } = options
  const patience = new AbortController()
  const timer = setTimeout(() => patience.abort(), tapSeconds * 1000)
  const leave = (): void => patience.abort()
  signal.addEventListener('abort', leave)
  try {
    signal.throwIfAborted()
    const credential = await navigator.credentials.get({
      publicKey: {
        challenge: new Uint8Array(challenge),
        rpId,
        allowCredentials: credentialBytes(credentialIds).map((id) => ({ type: 'public-key', id })),
        userVerification,
        timeout: tapSeconds * 1000,
      },
      signal: patience.signal,
    })
    return assertionOf(credential)
  } catch (cause) {
    throw signal.aborted ? new PasskeyError('interrupted', 'asking for a tap: the connection ended meanwhile', { cause }) : judged(cause)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}

function assertionOf(credential: Credential | null): AssertionJSON {
  if (!(credential instanceof PublicKeyCredential) || !(credential.response instanceof AuthenticatorAssertionResponse)) {
    throw new PasskeyError('ceremony_failed', 'asking for a tap: the browser returned no assertion')
  }
  const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response
  return {
    id: credential.id,
    type: 'public-key',
    response: {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      ...(userHandle === null || userHandle.byteLength === 0 ? {} : { userHandle: text(userHandle) }),
    },
  }
}

function text(buffer: ArrayBuffer): string {
  return base64url(new Uint8Array(buffer))
}

// WebAuthn L3 §5.1.4 merges most reasons into NotAllowedError, so that pages cannot probe for passkeys.
function judged(cause: unknown): PasskeyError {
  if (cause instanceof PasskeyError) return cause
  const name = cause instanceof DOMException ? cause.name : ''
  if (name === 'NotAllowedError' || name === 'AbortError') {
    return new PasskeyError('cancelled', 'asking for a tap: dismissed, run out, or no passkey here', { cause })
  }
  if (name === 'SecurityError') {
    return new PasskeyError('not_allowed', 'asking for a tap: rpId is not one that this page may use', { cause })
  }
  if (name === 'NotSupportedError') return new PasskeyError('unsupported', 'asking for a tap: the browser cannot', { cause })
  return new PasskeyError('ceremony_failed', 'asking for a tap', { cause })
}
