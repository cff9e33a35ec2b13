/**
 * Wire protocol, version 1: what is hashed and signed, byte for byte (docs/protocol.md). Both sides of the wire
 * use these functions, so nothing here needs Node; the caller supplies SHA-256.
 */
import { concat, lengthPrefixed, utf8 } from './encoding.ts'

/** SHA-256 of `bytes`: 32 bytes. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** Origin in the clientDataJSON of every machine's assertion: nobody's web page can produce it. */
export const MACHINE_ORIGIN = 'nats-webauthn://machine'

/** What an HTTP ceremony is for. An assertion made for one purpose can never serve another. */
export type CeremonyPurpose = 'enrol' | 'enrol-possession' | 'signin' | 'session' | 'approve' | 'rotate'

// 0xFF never occurs in a UTF-8 nonce, so no server can obtain a resume signature as a plain nkey signature.
const NOT_A_NONCE = new Uint8Array([0xff])

export interface ConnectBinding {
  /** The server's nonce, as sent in INFO. */
  nonce: string
  /** The canonical URL that the client knows it dialled. */
  url: string
  /** The user nkey (`U…`) in CONNECT, or '' when there is none. */
  nkey: string
  /** Whether the endorsed nkey may be used by stock clients. */
  plain: boolean
}

/** The WebAuthn challenge (32 bytes) of a proof. */
export function connectChallenge(sha256: Sha256, binding: ConnectBinding): Uint8Array {
  const { nonce, url, nkey, plain } = binding
  return sha256(lengthPrefixed('nats-webauthn/connect/v1', nonce, url, nkey, plain ? 'plain' : ''))
}

/** The bytes (33) that a session nkey signs to resume, or to be endorsed. */
export function resumeMessage(sha256: Sha256, binding: { nonce: string; url: string; nkey: string }): Uint8Array {
  const { nonce, url, nkey } = binding
  return concat(NOT_A_NONCE, sha256(lengthPrefixed('nats-webauthn/resume/v1', nonce, url, nkey)))
}

/** The WebAuthn challenge (32 bytes) of an HTTP ceremony. `issued` is the verifier's 32 random bytes. */
export function ceremonyChallenge(
  sha256: Sha256,
  ceremony: { purpose: CeremonyPurpose; issued: Uint8Array; origin: string; subject: string },
): Uint8Array {
  const { purpose, issued, origin, subject } = ceremony
  return sha256(lengthPrefixed(`nats-webauthn/${purpose}/v1`, issued, origin, subject))
}

/** The bytes (33) that a session nkey signs to prove its possession in a `session` ceremony. */
export function possessionMessage(sha256: Sha256, challenge: Uint8Array): Uint8Array {
  return concat(NOT_A_NONCE, sha256(concat(lengthPrefixed('nats-webauthn/possess/v1'), challenge)))
}

/** The bytes that any NATS client signs with an nkey: the nonce itself. */
export function plainMessage(nonce: string): Uint8Array {
  return utf8(nonce)
}

/** What a `session` ceremony is about: endorsing `nkey` for stock clients, or revoking its session. */
export function sessionSubject(nkey: string, act: 'plain' | 'revoke'): string {
  return `${nkey}\n${act}`
}

/** The letters of codes that people read and type: no vowels, so no words, and none that is taken for another. */
export const CODE_LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'

/** The eight letters, `XXXX-XXXX`, by which a person sees that page and terminal speak of the same request. */
export function sessionCheckCode(sha256: Sha256, { request, nkey }: { request: string; nkey: string }): string {
  const hash = sha256(lengthPrefixed('nats-webauthn/check-code/v1', request, nkey))
  // 2^32 is so much more than 20 that the letters are as good as even.
  const letters = Array.from({ length: 8 }, (_, i) => {
    const view = new DataView(hash.buffer, hash.byteOffset + i * 4, 4)
    return CODE_LETTERS.charAt(view.getUint32(0) % CODE_LETTERS.length)
  })
  return `${letters.slice(0, 4).join('')}-${letters.slice(4).join('')}`
}
