/**
 * libsodium for the operations that every connection needs, from the optional package `sodium-native` (ADR-0017). It is
 * used only where it answers exactly as node:crypto does: another version of it might be looser.
 */
import { createRequire } from 'node:module'
import {
  ED25519_SEED_BYTES,
  ED25519_SIGNATURE_BYTES,
  type Ed25519,
  isSoundPoint,
  opensslEd25519,
  VERIFIES_NOTHING,
} from './core/ed25519.ts'
import { equalBytes, utf8 } from './core/encoding.ts'
import type { Crypto } from './crypto.ts'
import { type SecretBox, tweetnaclBox } from './nats/xkey.ts'

/** As much of `sodium-native` as is used; results are written into the first argument. Lengths are checked here: natively they are assertions. */
interface Sodium {
  crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
  crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
  crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean
  crypto_secretbox_easy(box: Uint8Array, plain: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
  crypto_secretbox_open_easy(plain: Uint8Array, box: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean
}

const FUNCTIONS = [
  'crypto_sign_seed_keypair',
  'crypto_sign_detached',
  'crypto_sign_verify_detached',
  'crypto_secretbox_easy',
  'crypto_secretbox_open_easy',
] as const satisfies (keyof Sodium)[]

const publicKeyBytes = 32
const secretKeyBytes = 64
const macBytes = 16

/** libsodium, or null where the package is not installed, has no binary for this machine, or answers differently. */
export function loadLibsodium(): Crypto | null {
  try {
    return libsodiumOf(createRequire(import.meta.url)('sodium-native'))
  } catch {
    return null
  }
}

/** What was loaded as `sodium-native`, if it answers as node:crypto does. */
export function libsodiumOf(loaded: unknown): Crypto | null {
  if (!isSodium(loaded)) return null
  const ed25519 = ed25519Of(loaded)
  const secretBox = secretBoxOf(loaded)
  return verifiesAlike(ed25519) && signsAlike(ed25519) && sealsAlike(secretBox) ? { name: 'libsodium', ed25519, secretBox } : null
}

function isSodium(loaded: unknown): loaded is Sodium {
  return typeof loaded === 'object' && loaded !== null && FUNCTIONS.every((name) => typeof Reflect.get(loaded, name) === 'function')
}

function ed25519Of(sodium: Sodium): Ed25519 {
  return {
    publicKey(raw) {
      if (!isSoundPoint(raw)) return VERIFIES_NOTHING
      const key = Uint8Array.from(raw)
      return {
        verify: (message, signature) =>
          signature.length === ED25519_SIGNATURE_BYTES && sodium.crypto_sign_verify_detached(signature, message, key),
      }
    },
    privateKey(seed) {
      if (seed.length !== ED25519_SEED_BYTES) throw new Error('reading an Ed25519 seed: it does not have 32 bytes')
      const publicKey = new Uint8Array(publicKeyBytes)
      const secretKey = new Uint8Array(secretKeyBytes)
      const signature = Buffer.alloc(ED25519_SIGNATURE_BYTES)
      sodium.crypto_sign_seed_keypair(publicKey, secretKey, Uint8Array.from(seed))
      return {
        publicKey,
        sign(message) {
          sodium.crypto_sign_detached(signature, message, secretKey)
          return Uint8Array.from(signature)
        },
      }
    },
  }
}

function secretBoxOf(sodium: Sodium): SecretBox {
  return {
    seal(plain, nonce, key) {
      const box = pooled(plain.length + macBytes)
      sodium.crypto_secretbox_easy(box, plain, nonce, key)
      return box
    },
    open(box, nonce, key) {
      if (box.length < macBytes) return null
      const plain = pooled(box.length - macBytes)
      return sodium.crypto_secretbox_open_easy(plain, box, nonce, key) ? plain : null
    },
  }
}

/** Bytes of Node's pool, to be overwritten: every request and every answer has a box. */
function pooled(length: number): Uint8Array {
  const { buffer, byteOffset } = Buffer.allocUnsafe(length)
  return new Uint8Array(buffer, byteOffset, length)
}

const PROBE = utf8('probe')
const KEY = '6128326f0db58cfbdf1f16eebddd58f816d682f9d90ac23642d6fe520ba563bf'
/** The same key and a point of order 8. */
const MIXED_KEY = '5d0e9013a982033b57ed3fcf681178880de0c668f53720ff7c612b3bd77cdb26'
const ORDER_ONE = '0100000000000000000000000000000000000000000000000000000000000000'
const ORDER_ONE_TWICE_SPELT = 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'
const R = 'fb7695e7cb0bb1a146b7a98375bf72c91c4afbb053f362b38c251c0d3269280c'
const ANY_MESSAGE =
  '48f0fd6765cee62a2d6445b0a3f0551462f47cacf05d93b3fdf8cf55a74fe724c809c9677f4589e1d900d558c98a160dba104b30036b306b7e7002da232f9a06'

// Signatures of `probe` on which implementations of Ed25519 are known to disagree.
const PROBES: readonly (readonly [key: string, signature: string])[] = [
  [KEY, `${R}c342a2a03d7897b4d8105be25f6a08899e7484a1855f3ded1fca9150086b420d`],
  // S and the group's order.
  [KEY, `${R}b01698fd57dba90cafad52853e64e79d9e7484a1855f3ded1fca9150086b421d`],
  // Right only when multiplied by the cofactor: because of R, because of the key.
  [KEY, 'a5b8cfb30f6a4497a3a1bb1d1c216323f6b67d271848ef4bdf796ffb936585179fe1d0e883ef2f123c1005b6815a254599a03655e41c51af77187b2149aba80e'],
  [MIXED_KEY, `${R}4e111bb641e291f5e7a2dee042cbcefa55660a520eeb35cff7aba95caa8dc507`],
  // Right without it, too.
  [
    MIXED_KEY,
    '990b35fac382c8689d35f37d9393d617a66dcf8b22454d23ff4efd0ed91461612614ceeb9202ed83f955ea0f9724c9acacfcc93888d95448f5657c00bb0bad0d',
  ],
  // R of order one.
  [KEY, `${ORDER_ONE}74b2aaf923c1579a8de8d54353482cd8dacefcf5cd19228f0a3e6206b5db230c`],
  [ORDER_ONE, ANY_MESSAGE],
  [ORDER_ONE_TWICE_SPELT, ANY_MESSAGE],
]

function verifiesAlike(ed25519: Ed25519): boolean {
  return PROBES.every(([key, signature]) => {
    const [first, second] = [ed25519, opensslEd25519].map((one) =>
      one.publicKey(Buffer.from(key, 'hex')).verify(PROBE, Buffer.from(signature, 'hex')),
    )
    return first === second
  })
}

function signsAlike(ed25519: Ed25519): boolean {
  const seed = new Uint8Array(ED25519_SEED_BYTES).fill(7)
  const [ours, theirs] = [ed25519.privateKey(seed), opensslEd25519.privateKey(seed)]
  return equalBytes(ours.publicKey, theirs.publicKey) && equalBytes(ours.sign(PROBE), theirs.sign(PROBE))
}

function sealsAlike(box: SecretBox): boolean {
  const key = new Uint8Array(32).fill(7)
  const nonce = new Uint8Array(24).fill(9)
  const sealed = tweetnaclBox.seal(PROBE, nonce, key)
  const opened = box.open(sealed, nonce, key)
  const other = Uint8Array.from(sealed, (byte, at) => (at === 0 ? byte ^ 1 : byte))
  return (
    opened !== null && equalBytes(opened, PROBE) && equalBytes(box.seal(PROBE, nonce, key), sealed) && box.open(other, nonce, key) === null
  )
}
