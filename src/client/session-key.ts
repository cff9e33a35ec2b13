/** The nkey of one session: made in memory, endorsed by a proof, and used to come back without asking the key. */
import { createPrivateKey, createPublicKey, randomBytes, sign } from 'node:crypto'
import { concat } from '../core/encoding.ts'
import { decodeSeed, encodePublicNkey, encodeSeed } from '../core/nkey.ts'

/** An Ed25519 user nkey. */
export interface SessionKey {
  /** Public nkey `U…`. */
  readonly nkey: string
  sign(bytes: Uint8Array): Uint8Array
  /** The seed text `SU…`. Secret. */
  seed(): string
}

// DER of PKCS #8 for Ed25519, before the seed (RFC 8410 §7).
const PKCS8_PREFIX = new Uint8Array([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20])

/** Makes a fresh nkey. */
export function createSessionKey(): SessionKey {
  // Any 32 random bytes are a seed (RFC 8032 §5.1.5), so nothing has to be generated and exported.
  return sessionKeyOf(new Uint8Array(randomBytes(32)))
}

/** The nkey of a seed text `SU…`, or null when it is none. */
export function sessionKeyFromSeed(text: string): SessionKey | null {
  const raw = decodeSeed('U', text.trim())
  return raw === null ? null : sessionKeyOf(raw)
}

function sessionKeyOf(raw: Uint8Array): SessionKey {
  const privateKey = createPrivateKey({ key: Buffer.from(concat(PKCS8_PREFIX, raw)), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const nkey = encodePublicNkey('U', new Uint8Array(publicKey.subarray(-32)))
  return {
    nkey,
    sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
    seed: () => encodeSeed('U', raw),
  }
}
