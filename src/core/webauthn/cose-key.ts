/** Credential public keys: from COSE_Key (RFC 9052 §7) to a key that node:crypto verifies with, and which of them are sound. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { decodeCredentialPublicKey } from '@simplewebauthn/server/helpers'
import { type Checked, denied, passed } from '../checked.ts'
import { isSmallOrder } from '../ed25519.ts'
import { base64url, fromBase64url } from '../encoding.ts'
import { isOneCborMap } from './cbor-map.ts'
import { isStrictEcdsaSignature } from './strict-der.ts'

const coseKeyBytesMax = 1024
const rsaModulusBitsMin = 2048
const rsaModulusBitsMax = 4096
const rsaExponentBytesMax = 4
const ed25519KeyBytes = 32
const ed25519SignatureBytes = 64
const cachedKeysMax = 10_000

/** A public key whose algorithm, key type, curve and sizes fit each other. */
export interface CoseKey {
  /** COSE algorithm identifier. */
  alg: number
  keyObject: KeyObject
  /** Hash over the message, or null where the algorithm brings its own. */
  digest: 'sha256' | 'sha384' | 'sha512' | null
  /** Size of ECDSA's r and s, or null for other algorithms. */
  scalarBytes: number | null
}

// COSE_Key labels (RFC 9053 §7, RFC 8230 §4).
const KTY = 1
const ALG = 3
const CRV = -1
const X = -2
const Y = -3
const RSA_N = -1
const RSA_E = -2

const KTY_OKP = 1
const KTY_EC2 = 2
const KTY_RSA = 3
const CRV_ED25519 = 6

// WebAuthn L3 §5.8.5: each of these algorithms comes with one curve only.
const EC_ALGORITHMS = [
  { alg: -7, crv: 1, name: 'P-256', digest: 'sha256', scalarBytes: 32 },
  { alg: -35, crv: 2, name: 'P-384', digest: 'sha384', scalarBytes: 48 },
  { alg: -36, crv: 3, name: 'P-521', digest: 'sha512', scalarBytes: 66 },
] as const

/** The key in `bytes`, or algorithm_refused: an algorithm we don't verify, or a key that does not fit it. */
export function parseCoseKey(bytes: Uint8Array): Checked<CoseKey> {
  const members = bytes.length <= coseKeyBytesMax ? decodeMembers(bytes) : null
  if (members === null) return denied('algorithm_refused')
  const alg = members.get(ALG)
  const key = alg === -8 ? ed25519Key(members) : alg === -257 ? rsaKey(members) : ecKey(members)
  return key === null ? denied('algorithm_refused') : passed(key)
}

function decodeMembers(bytes: Uint8Array): Map<unknown, unknown> | null {
  if (!isOneCborMap(bytes, 0)) return null
  try {
    const decoded: unknown = decodeCredentialPublicKey(Uint8Array.from(bytes))
    return decoded instanceof Map ? decoded : null
  } catch {
    return null
  }
}

// Each form has exactly its own members: WebAuthn L3 §6.5.1 forbids optional ones.
function ecKey(members: Map<unknown, unknown>): CoseKey | null {
  const curve = EC_ALGORITHMS.find(({ alg }) => alg === members.get(ALG))
  if (curve === undefined || members.size !== 5) return null
  if (members.get(KTY) !== KTY_EC2 || members.get(CRV) !== curve.crv) return null
  const x = members.get(X)
  const y = members.get(Y)
  if (!(x instanceof Uint8Array && x.length === curve.scalarBytes)) return null
  if (!(y instanceof Uint8Array && y.length === curve.scalarBytes)) return null
  // OpenSSL refuses a point that is not on the curve.
  const keyObject = keyFromJwk({ kty: 'EC', crv: curve.name, x: base64url(x), y: base64url(y) })
  return keyObject && { alg: curve.alg, keyObject, digest: curve.digest, scalarBytes: curve.scalarBytes }
}

function ed25519Key(members: Map<unknown, unknown>): CoseKey | null {
  if (members.size !== 4 || members.get(KTY) !== KTY_OKP || members.get(CRV) !== CRV_ED25519) return null
  const x = members.get(X)
  if (!(x instanceof Uint8Array && x.length === ed25519KeyBytes) || isSmallOrder(x)) return null
  const keyObject = keyFromJwk({ kty: 'OKP', crv: 'Ed25519', x: base64url(x) })
  return keyObject && { alg: -8, keyObject, digest: null, scalarBytes: null }
}

function rsaKey(members: Map<unknown, unknown>): CoseKey | null {
  if (members.size !== 4 || members.get(KTY) !== KTY_RSA) return null
  const n = members.get(RSA_N)
  const e = members.get(RSA_E)
  if (!(n instanceof Uint8Array && e instanceof Uint8Array)) return null
  const modulusBits = n.length * 8 - Math.clz32(n[0] ?? 0) + 24
  if (n[0] === 0 || modulusBits < rsaModulusBitsMin || modulusBits > rsaModulusBitsMax || isEven(n)) return null
  // With an exponent of 1 anybody could sign.
  if (e.length === 0 || e.length > rsaExponentBytesMax || e[0] === 0 || isEven(e) || (e.length === 1 && e[0] === 1)) return null
  const keyObject = keyFromJwk({ kty: 'RSA', n: base64url(n), e: base64url(e) })
  return keyObject && { alg: -257, keyObject, digest: 'sha256', scalarBytes: null }
}

function keyFromJwk(key: Record<string, string>): KeyObject | null {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch {
    return null
  }
}

function isEven(number: Uint8Array): boolean {
  return ((number[number.length - 1] ?? 0) & 1) === 0
}

const cachedKeys = new Map<string, Checked<CoseKey>>()

/**
 * parseCoseKey for a credential record's `publicKey`, remembered. By its text and not by the record: records are replaced
 * each time their counter moves, their key never changes.
 */
export function coseKeyOf(publicKey: string): Checked<CoseKey> {
  const cached = cachedKeys.get(publicKey)
  if (cached !== undefined) return cached
  const bytes = fromBase64url(publicKey)
  const key = bytes === null ? denied('algorithm_refused') : parseCoseKey(bytes)
  // Only what enrolment can have stored is worth remembering; the oldest entry makes room.
  if (key.ok) {
    const oldest = cachedKeys.size >= cachedKeysMax ? cachedKeys.keys().next().value : undefined
    if (oldest !== undefined) cachedKeys.delete(oldest)
    cachedKeys.set(publicKey, key)
  }
  return key
}

/** Whether `signature` is this key's over `message`, in the one encoding that WebAuthn L3 §6.5.5 gives it. */
export function verifyCoseSignature(key: CoseKey, message: Uint8Array, signature: Uint8Array): boolean {
  const { digest, keyObject, scalarBytes } = key
  // Stricter than §7.2: OpenSSL never sees an ECDSA signature that is not strict DER.
  if (scalarBytes !== null && !isStrictEcdsaSignature(signature, scalarBytes)) return false
  if (digest === null && signature.length !== ed25519SignatureBytes) return false
  return verify(digest, message, keyObject, signature)
}
