/** The authenticator data of an assertion (WebAuthn L3 §6.1). */
import { parseAuthenticatorData as parseWithExtensions } from '@simplewebauthn/server/helpers'
import { isOneCborMap } from './cbor-map.ts'

const rpIdHashBytes = 32
const fixedBytes = 37

const UP = 0x01
const UV = 0x04
const BE = 0x08
const BS = 0x10
const AT = 0x40
const ED = 0x80

export interface AuthenticatorData {
  rpIdHash: Uint8Array
  userPresent: boolean
  userVerified: boolean
  backupEligible: boolean
  backupState: boolean
  signCount: number
}

/** The authenticator data, or null when a byte is missing, left over or malformed. */
export function parseAuthenticatorData(bytes: Uint8Array): AuthenticatorData | null {
  if (bytes.length < fixedBytes) return null
  const flags = bytes[rpIdHashBytes] as number
  // Stricter than §7.2: §6.1 forbids attested credential data in an assertion, so none is read.
  if ((flags & AT) !== 0) return null
  const isWhole = (flags & ED) !== 0 ? hasReadableExtensions(bytes) : bytes.length === fixedBytes
  if (!isWhole) return null
  return {
    rpIdHash: bytes.subarray(0, rpIdHashBytes),
    userPresent: (flags & UP) !== 0,
    userVerified: (flags & UV) !== 0,
    backupEligible: (flags & BE) !== 0,
    backupState: (flags & BS) !== 0,
    signCount: new DataView(bytes.buffer, bytes.byteOffset).getUint32(rpIdHashBytes + 1),
  }
}

/** Extension outputs are asked for by nobody and used for nothing; they must only be one map that ends where the data ends. */
function hasReadableExtensions(bytes: Uint8Array): boolean {
  if (!isOneCborMap(bytes, fixedBytes)) return false
  try {
    parseWithExtensions(Uint8Array.from(bytes))
    return true
  } catch {
    return false
  }
}
