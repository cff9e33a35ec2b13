/** The nkey of one session: made in memory, endorsed by a proof, and used to come back without asking the key. */
import { generateKeyPairSync, sign } from 'node:crypto'
import { fromBase64url } from '../core/encoding.ts'
import { encodePublicNkey, encodeSeed } from '../core/nkey.ts'

/** An Ed25519 user nkey. */
export interface SessionKey {
  /** Public nkey `U…`. */
  readonly nkey: string
  sign(bytes: Uint8Array): Uint8Array
  /** The seed text `SU…`. Secret. */
  seed(): string
}

/** Makes a fresh nkey. */
export function createSessionKey(): SessionKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  const nkey = encodePublicNkey('U', rawKey(x))
  return {
    nkey,
    sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
    seed: () => encodeSeed('U', rawKey(d)),
  }
}

function rawKey(text: string | undefined): Uint8Array {
  const bytes = fromBase64url(text ?? '')
  if (bytes === null || bytes.length !== 32) throw new Error('making a session key')
  return bytes
}
