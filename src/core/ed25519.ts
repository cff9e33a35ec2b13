/**
 * Ed25519 (RFC 8032): what an implementation must be, and the one over node:crypto. Pure-JS libraries take 100 times as
 * long (ADR-0003); libsodium takes half as long and answers the same (ADR-0017).
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { concat } from './encoding.ts'

/** An implementation. All of them give every input the same answer: which one runs can be seen by the time it takes alone. */
export interface Ed25519 {
  /** A key that verifies, from its 32 raw bytes. One that is not sound verifies nothing. */
  publicKey(raw: Uint8Array): Ed25519PublicKey
  /** A key that signs, from its 32-byte seed. */
  privateKey(seed: Uint8Array): Ed25519PrivateKey
}

export interface Ed25519PublicKey {
  verify(message: Uint8Array, signature: Uint8Array): boolean
}

export interface Ed25519PrivateKey {
  /** The 32 raw bytes of the public half. */
  publicKey: Uint8Array
  /** 64 bytes. */
  sign(message: Uint8Array): Uint8Array
}

export const ED25519_SEED_BYTES = 32
export const ED25519_SIGNATURE_BYTES = 64

/** What every implementation makes of a key that is not sound. */
export const VERIFIES_NOTHING: Ed25519PublicKey = { verify: () => false }

export const opensslEd25519: Ed25519 = {
  publicKey(raw) {
    // Stricter than OpenSSL, which lets a signature's point and the key be of small order, and the key be spelt in two ways.
    if (!isSoundPoint(raw)) return VERIFIES_NOTHING
    const key = ed25519PublicKey(raw)
    return {
      verify: (message, signature) =>
        signature.length === ED25519_SIGNATURE_BYTES && !isSmallOrder(signature.subarray(0, 32)) && ed25519Verify(key, message, signature),
    }
  },
  privateKey(seed) {
    if (seed.length !== ED25519_SEED_BYTES) throw new Error('reading an Ed25519 seed: it does not have 32 bytes')
    const key = ed25519PrivateKey(seed)
    return { publicKey: ed25519RawPublic(key), sign: (message) => ed25519Sign(key, message) }
  },
}

// DER prefixes of SubjectPublicKeyInfo and PKCS #8 for Ed25519 (RFC 8410).
const SPKI_PREFIX = new Uint8Array([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00])
const PKCS8_PREFIX = new Uint8Array([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20])

/** A public key from its 32 raw bytes. */
export function ed25519PublicKey(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(concat(SPKI_PREFIX, raw)), format: 'der', type: 'spki' })
}

/** A private key from its 32-byte seed. */
export function ed25519PrivateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(concat(PKCS8_PREFIX, seed)), format: 'der', type: 'pkcs8' })
}

/** The 32 raw bytes of the public half of `key`. */
export function ed25519RawPublic(key: KeyObject): Uint8Array {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return new Uint8Array(spki.subarray(-32))
}

export function ed25519Sign(key: KeyObject, message: Uint8Array): Uint8Array {
  return sign(null, message, key)
}

export function ed25519Verify(key: KeyObject, message: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, message, key, signature)
}

// y coordinates of the points of order 1, 2, 4 and 8, in every spelling, without the sign of x. Under such a key
// one signature fits many messages, so holding it proves nothing.
const SMALL_ORDER_Y = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
])

const SMALL_ORDER_ENDS = new Set([...SMALL_ORDER_Y].map((y) => Number.parseInt(y.slice(-2), 16)))

/** Whether a raw public key is a point under which a signature proves nothing. */
export function isSmallOrder(raw: Uint8Array): boolean {
  // The end tells nearly all keys apart from these.
  if (!SMALL_ORDER_ENDS.has((raw[31] ?? 0) & 0x7f)) return false
  const y = Buffer.from(raw)
  y[31] = (y[31] as number) & 0x7f
  return SMALL_ORDER_Y.has(y.toString('hex'))
}

/** Whether these are 32 bytes that may be a public key: the one spelling of its point (y below 2^255 − 19), which is not of small order. */
export function isSoundPoint(raw: Uint8Array): boolean {
  if (raw.length !== 32 || isSmallOrder(raw)) return false
  const [first = 0, ...rest] = raw
  const top = (rest.pop() ?? 0) & 0x7f
  return first < 0xed || top < 0x7f || rest.some((byte) => byte < 0xff)
}
