/**
 * A machine's registration: WebAuthn L3 §7.1 in the order of the specification, with the machine profile
 * (docs/enrolment.md) where it is stricter. SimpleWebAuthn verifies what remains, the signature among it.
 */
import { verifyRegistrationResponse } from '@simplewebauthn/server'
import { decodeAttestationObject } from '@simplewebauthn/server/helpers'
import { isOneCborMap } from './cbor-map.ts'
import { parseClientData } from './client-data.ts'
import { type CoseKey, parseCoseKey, verifyCoseSignature } from './cose-key.ts'
import { base64url, concat, equalBytes, utf8 } from './encoding.ts'
import type { CredentialId } from './identifiers.ts'
import { MACHINE_ORIGIN } from './protocol.ts'
import { parseRegistrationResponse, type RegistrationResponse } from './registration-response.ts'
import { sha256 } from './sha256.ts'

/** Which check of a registration failed: what records and clients are told. */
export const REGISTRATION_CHECKS = {
  response_malformed: 'The response is no RegistrationResponseJSON, or a part of it is too large.',
  client_data_malformed: 'The client data is not an unambiguous JSON object.',
  type_mismatch: 'The client data is not of type webauthn.create.',
  challenge_mismatch: "The challenge is another ceremony's, or another service's.",
  origin_mismatch: 'The origin is not nats-webauthn://machine.',
  cross_origin: 'The client data says that it was made in a page of another origin.',
  attestation_malformed: 'The attestation object is not canonical CBOR of exactly fmt, attStmt and authData.',
  authenticator_data_malformed: 'The authenticator data has no attested credential data, or more than that.',
  rp_id_mismatch: 'The registration is for another relying party.',
  flags_mismatch: 'The flags are not exactly those of a machine key: UP=0 UV=0 BE=1 BS=0 AT=1 ED=0.',
  credential_id_mismatch: 'The response names another credential id than the authenticator data.',
  algorithm_refused: "The key's algorithm is not allowed, or does not fit its type, curve or size.",
  attestation_refused: 'The attestation is not packed self attestation by the key itself.',
  signature_invalid: "The attestation signature is not the key's.",
} as const
export type RegistrationCheck = keyof typeof REGISTRATION_CHECKS

declare const verifiedBrand: unique symbol

/** Only verifyMachineRegistration makes these: holding one means that the key's owner signed this very ceremony. */
export interface Registration {
  readonly [verifiedBrand]: true
  readonly id: CredentialId
  /** COSE_Key. */
  readonly publicKey: Uint8Array
  readonly signCount: number
  readonly backupEligible: boolean
  readonly backupState: boolean
  readonly aaguid: string
  readonly transports: string[]
}

export interface ExpectedRegistration {
  /** 32 bytes. */
  challenge: Uint8Array
  rpId: string
  /** COSE algorithm identifiers. */
  algorithms: readonly number[]
}

// Like Checked, but with the name of a check: a registration is refused under one reason, and the check says why.
type Examined<T> = { ok: true; value: T } | { ok: false; check: RegistrationCheck }

function failed(check: RegistrationCheck): { ok: false; check: RegistrationCheck } {
  return { ok: false, check }
}

/** The registration in `value`, or the first check that it fails. */
export async function verifyMachineRegistration(value: unknown, expected: ExpectedRegistration): Promise<Examined<Registration>> {
  const response = parseRegistrationResponse(value)
  if (response === null) return failed('response_malformed')
  const clientData = checkClientData(response.clientDataJSON, expected)
  if (!clientData.ok) return clientData
  const attestation = readAttestation(response.attestationObject)
  if (!attestation.ok) return attestation
  const { authData, fmt, attStmt } = attestation.value
  const data = checkAuthenticatorData(authData, response, expected)
  if (!data.ok) return data

  // Only self attestation (§8.2), which is exactly the key's own `alg` and a `sig` by it: `none` proves nothing, and
  // nobody vouches for the certificates of the other formats.
  const { key, publicKey, signCount, backupEligible, backupState, aaguid } = data.value
  const signature = attStmt.get('sig')
  if (fmt !== 'packed' || attStmt.size !== 2 || attStmt.get('alg') !== key.alg || !(signature instanceof Uint8Array)) {
    return failed('attestation_refused')
  }
  // Stricter than §8.2: one encoding of a signature only, as at every assertion that follows.
  if (!verifyCoseSignature(key, concat(authData, sha256(response.clientDataJSON)), signature)) return failed('signature_invalid')
  if (!(await isAcceptedByLibrary(response, expected))) return failed('signature_invalid')
  const { id, transports } = response
  return { ok: true, value: { id, publicKey, signCount, backupEligible, backupState, aaguid, transports } as Registration }
}

/** WebAuthn L3 §7.1 steps 5 to 11. */
function checkClientData(bytes: Uint8Array, expected: ExpectedRegistration): Examined<null> {
  const client = parseClientData(bytes)
  if (client === null) return failed('client_data_malformed')
  const { type, challenge, origin, crossOrigin, hasTopOrigin } = client
  // Step 7.
  if (type !== 'webauthn.create') return failed('type_mismatch')
  // Step 8: compared as text, so that only the one canonical spelling passes.
  if (challenge !== base64url(expected.challenge)) return failed('challenge_mismatch')
  // Step 9.
  if (origin !== MACHINE_ORIGIN) return failed('origin_mismatch')
  // Steps 10 and 11: a machine has no page to be embedded in.
  if (crossOrigin || hasTopOrigin) return failed('cross_origin')
  return { ok: true, value: null }
}

interface Attestation {
  fmt: unknown
  attStmt: Map<unknown, unknown>
  authData: Uint8Array
}

/** Step 13. Stricter than §7.1: nothing after the map, nothing else in it. */
function readAttestation(bytes: Uint8Array): Examined<Attestation> {
  const members = isOneCborMap(bytes, 0) ? decodeMap(bytes) : null
  const fmt = members?.get('fmt')
  const attStmt = members?.get('attStmt')
  const authData = members?.get('authData')
  if (members?.size !== 3 || !(attStmt instanceof Map) || !(authData instanceof Uint8Array)) return failed('attestation_malformed')
  return { ok: true, value: { fmt, attStmt, authData } }
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
const flagsOfMachine = 0x48
const BACKUP_ELIGIBLE = 0x08
const BACKUP_STATE = 0x10

interface AttestedData {
  key: CoseKey
  publicKey: Uint8Array
  signCount: number
  backupEligible: boolean
  backupState: boolean
  aaguid: string
}

/** Steps 14 to 20, and the credential id of step 26 (its length was checked when it was parsed). */
function checkAuthenticatorData(data: Uint8Array, response: RegistrationResponse, expected: ExpectedRegistration): Examined<AttestedData> {
  const idAt = headBytes + aaguidBytes + 2
  if (data.length < headBytes) return failed('authenticator_data_malformed')
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  // Step 14.
  if (!equalBytes(data.subarray(0, 32), sha256(utf8(expected.rpId)))) return failed('rp_id_mismatch')
  // Weaker than step 15, for machines alone: nobody is present, and a key that says so is refused. Stricter than
  // steps 16 ff.: without trusted attestation a key is taken to be copyable, so BE=0 is refused as well.
  const flags = data[32] as number
  if (flags !== flagsOfMachine) return failed('flags_mismatch')
  if (data.length < idAt) return failed('authenticator_data_malformed')
  const keyAt = idAt + view.getUint16(idAt - 2)
  if (!isOneCborMap(data, keyAt)) return failed('authenticator_data_malformed')
  if (base64url(data.subarray(idAt, keyAt)) !== response.id) return failed('credential_id_mismatch')
  // Step 20, and alg against key type, curve and size, which §7.1 leaves to the verifier.
  const publicKey = data.slice(keyAt)
  const key = parseCoseKey(publicKey)
  if (!key.ok || !expected.algorithms.includes(key.value.alg)) return failed('algorithm_refused')
  return {
    ok: true,
    value: {
      key: key.value,
      publicKey,
      signCount: view.getUint32(33),
      aaguid: uuid(data.subarray(headBytes, headBytes + aaguidBytes)),
      backupEligible: (flags & BACKUP_ELIGIBLE) !== 0,
      backupState: (flags & BACKUP_STATE) !== 0,
    },
  }
}

function uuid(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** SimpleWebAuthn's own reading of §7.1: a second opinion that must agree. */
async function isAcceptedByLibrary(response: RegistrationResponse, expected: ExpectedRegistration): Promise<boolean> {
  const { id, clientDataJSON, attestationObject } = response
  try {
    const { verified } = await verifyRegistrationResponse({
      response: {
        id,
        rawId: id,
        type: 'public-key',
        clientExtensionResults: {},
        response: { clientDataJSON: base64url(clientDataJSON), attestationObject: base64url(attestationObject) },
      },
      expectedChallenge: base64url(expected.challenge),
      expectedOrigin: MACHINE_ORIGIN,
      expectedRPID: expected.rpId,
      requireUserPresence: false,
      requireUserVerification: false,
      supportedAlgorithmIDs: [...expected.algorithms],
    })
    return verified
  } catch {
    // The library says no by throwing.
    return false
  }
}
