/** The nkey of one session: made in memory, never readable, and gone with the page. */
import { encodePublicNkey } from '../core/nkey.ts'
import { PasskeyError } from './passkey-error.ts'

/** An Ed25519 user nkey whose private half nobody can export. */
export interface SessionKey {
  /** Public nkey `U…`. */
  readonly nkey: string
  /** The 64-byte signature of `bytes`. */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array>
}

/** Makes a fresh key. Throws `unsupported` where the browser has no Ed25519. */
export async function createSessionKey(): Promise<SessionKey> {
  const { privateKey, publicKey } = await generate()
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))
  return {
    nkey: encodePublicNkey('U', raw),
    sign: async (bytes) => new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, bytes)),
  }
}

async function generate(): Promise<CryptoKeyPair> {
  try {
    return (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as CryptoKeyPair
  } catch (cause) {
    throw new PasskeyError('unsupported', 'making a session key: the browser has no Ed25519', { cause })
  }
}
