/** The steps of WebAuthn L3 §7.1 that are the same for machines and people: reading, never judging what a class may be. */
import { decodeAttestationObject } from '@simplewebauthn/server/helpers'
import { base64url, equalBytes, utf8 } from '../encoding.ts'
import { sha256 } from '../sha256.ts'
import { endOfCborMap, isOneCborMap } from './cbor-map.ts'
import { parseClientData } from './client-data.ts'
import { type CoseKey, parseCoseKey } from './cose-key.ts'
import { type Examined, failed, passed, type RegistrationCheck } from './registration-checks.ts'
import type { RegistrationResponse } from './registration-response.ts'

export interface ExpectedRegistration {
  /** 32 bytes. */
  challenge: Uint8Array
  rpId: string
  /** COSE algorithm identifiers. */
  algorithms: readonly number[]
}

/** Steps 5 to 11, for the one origin that the registration may come from. */
export function checkClientData(bytes: Uint8Array, expected: { challenge: Uint8Array; origin: string }): Examined<null> {
  const client = parseClientData(bytes)
  if (client === null) return failed('client_data_malformed')
  const { type, challenge, origin, crossOrigin, hasTopOrigin } = client
  // Step 7.
  if (type !== 'webauthn.create') return failed('type_mismatch')
  // Step 8: compared as text, so that only the one canonical spelling passes.
  if (challenge !== base64url(expected.challenge)) return failed('challenge_mismatch')
  // Step 9.
  if (origin !== expected.origin) return failed('origin_mismatch')
  // Steps 10 and 11: a machine has no page to be embedded in, and ours is never embedded in another.
  if (crossOrigin || hasTopOrigin) return failed('cross_origin')
  return passed(null)
}

export interface AttestationObject {
  fmt: unknown
  attStmt: Map<unknown, unknown>
  authData: Uint8Array
}

/** Step 13. Stricter than §7.1: nothing after the map, nothing else in it. */
export function readAttestation(bytes: Uint8Array): Examined<AttestationObject> {
  const members = isOneCborMap(bytes, 0) ? decodeMap(bytes) : null
  const fmt = members?.get('fmt')
  const attStmt = members?.get('attStmt')
  const authData = members?.get('authData')
  if (members?.size !== 3 || !(attStmt instanceof Map) || !(authData instanceof Uint8Array)) return failed('attestation_malformed')
  return passed({ fmt, attStmt, authData })
}

function decodeMap(bytes: Uint8Array): Map<unknown, unknown> | null {
  try {
    const decoded: unknown = decodeAttestationObject(Uint8Array.from(bytes))
    return decoded instanceof Map ? decoded : null
  } catch {
    // A key twice, or a key that is neither number nor text.
    return null
  }
}

// WebAuthn L3 §6.1: rpIdHash 32, flags 1, signCount 4; §6.5.1: aaguid 16, length 2, credential id, COSE_Key.
const headBytes = 37
const aaguidBytes = 16
const BACKUP_ELIGIBLE = 0x08
const BACKUP_STATE = 0x10
const EXTENSION_DATA = 0x80

export interface AttestedData {
  flags: number
  key: CoseKey
  publicKey: Uint8Array
  signCount: number
  backupEligible: boolean
  backupState: boolean
  /** Lower-case UUID. */
  aaguid: string
}

/**
 * Steps 14 to 20, and the credential id of step 26 (its length was checked when it was parsed). `checkFlags` is what the
 * class demands of the flags, steps 15 to 19: AT is among it.
 */
export function readAttestedData(
  data: Uint8Array,
  response: RegistrationResponse,
  expected: ExpectedRegistration & { checkFlags(flags: number): RegistrationCheck | null },
): Examined<AttestedData> {
  const idAt = headBytes + aaguidBytes + 2
  if (data.length < headBytes) return failed('authenticator_data_malformed')
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  // Step 14.
  if (!equalBytes(data.subarray(0, 32), sha256(utf8(expected.rpId)))) return failed('rp_id_mismatch')
  const flags = data[32] as number
  const flagsCheck = expected.checkFlags(flags)
  if (flagsCheck !== null) return failed(flagsCheck)
  if (data.length < idAt) return failed('authenticator_data_malformed')
  const keyAt = idAt + view.getUint16(idAt - 2)
  const keyEnd = endOfCborMap(data, keyAt)
  // Extension outputs are used for nothing (step 21); they must only be one map that ends where the data ends.
  const isWhole = (flags & EXTENSION_DATA) === 0 ? keyEnd === data.length : keyEnd !== -1 && isOneCborMap(data, keyEnd)
  if (!isWhole) return failed('authenticator_data_malformed')
  if (base64url(data.subarray(idAt, keyAt)) !== response.id) return failed('credential_id_mismatch')
  // Step 20, and alg against key type, curve and size, which §7.1 leaves to the verifier.
  const publicKey = data.slice(keyAt, keyEnd)
  const key = parseCoseKey(publicKey)
  if (!key.ok || !expected.algorithms.includes(key.value.alg)) return failed('algorithm_refused')
  return passed({
    flags,
    key: key.value,
    publicKey,
    signCount: view.getUint32(33),
    backupEligible: (flags & BACKUP_ELIGIBLE) !== 0,
    backupState: (flags & BACKUP_STATE) !== 0,
    aaguid: uuid(data.subarray(headBytes, headBytes + aaguidBytes)),
  })
}

function uuid(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
