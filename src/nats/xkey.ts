/**
 * xkey: NATS's sealed messages (nkeys `xkv1`: a NaCl box with a random 24-byte nonce). The box's shared key needs a
 * Curve25519 multiplication, so it is kept for each nats-server: a cluster has few.
 */
import { randomFillSync } from 'node:crypto'
import nacl from 'tweetnacl'
import { utf8 } from '../core/encoding.ts'
import { decodePublicNkey, decodeSeed, encodePublicNkey } from '../core/nkey.ts'
import type { XkeyPort } from '../core/ports.ts'

const VERSION = utf8('xkv1')
const nonceBytes = nacl.box.nonceLength
const sharedKeysMax = 1024
const noncesPerPool = 128

export interface Xkey extends XkeyPort {
  /** `X…`, as in `auth_callout.xkey`. */
  publicKey: string
  /** Seals `plain` for the holder of `recipientXkey`. */
  seal(plain: Uint8Array, recipientXkey: string): Uint8Array
}

/** The symmetric half of a NaCl box, XSalsa20-Poly1305. All implementations give the same bytes (ADR-0017). */
export interface SecretBox {
  /** `plain` in a box, which is 16 bytes longer. */
  seal(plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array
  /** What is in the box, or null when it does not open. */
  open(box: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array | null
}

/** In JavaScript: node:crypto has no XSalsa20. */
export const tweetnaclBox: SecretBox = { seal: nacl.secretbox, open: nacl.secretbox.open }

// Random bytes are asked for by the pool: it costs as much as asking for one nonce.
const noncePool = new Uint8Array(nonceBytes * noncesPerPool)
let noncesLeft = 0

function nextNonce(): Uint8Array {
  if (noncesLeft === 0) {
    randomFillSync(noncePool)
    noncesLeft = noncesPerPool
  }
  noncesLeft--
  return noncePool.subarray(noncesLeft * nonceBytes, (noncesLeft + 1) * nonceBytes)
}

/** An xkey from its seed (`SX…`). Throws when `seed` is not one. */
export function xkeyFromSeed(seed: string, secretBox: SecretBox): Xkey {
  const secret = decodeSeed('X', seed)
  if (secret === null) throw new Error('reading the xkey seed: it is not a curve seed (SX…)')
  const shared = new Map<string, Uint8Array>()

  function sharedWith(xkey: string): Uint8Array | null {
    const known = shared.get(xkey)
    if (known !== undefined) return known
    const raw = decodePublicNkey('X', xkey)
    if (raw === null) return null
    if (shared.size >= sharedKeysMax) shared.clear()
    const key = nacl.box.before(raw, secret as Uint8Array)
    shared.set(xkey, key)
    return key
  }

  return {
    publicKey: encodePublicNkey('X', nacl.box.keyPair.fromSecretKey(secret).publicKey),
    open(sealed, senderXkey) {
      const key = sharedWith(senderXkey)
      if (key === null || sealed.length < VERSION.length + nonceBytes) return null
      const nonce = sealed.subarray(VERSION.length, VERSION.length + nonceBytes)
      return secretBox.open(sealed.subarray(VERSION.length + nonceBytes), nonce, key)
    },
    seal(plain, recipientXkey) {
      const key = sharedWith(recipientXkey)
      if (key === null) throw new Error('sealing an answer: the server has no usable xkey')
      const nonce = nextNonce()
      return Buffer.concat([VERSION, nonce, secretBox.seal(plain, nonce, key)])
    },
  }
}
