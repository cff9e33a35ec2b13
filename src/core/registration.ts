/**
 * A machine's registration: WebAuthn L3 §7.1 in the order of the specification, with the machine profile
 * (docs/enrolment.md) where it is stricter. SimpleWebAuthn verifies what remains, the signature among it.
 */
import { verifyRegistrationResponse } from '@simplewebauthn/server'
import { verifyCoseSignature } from './cose-key.ts'
import { base64url, concat } from './encoding.ts'
import type { CredentialId } from './identifiers.ts'
import { MACHINE_ORIGIN } from './protocol.ts'
import { type Examined, failed, type RegistrationCheck } from './registration-checks.ts'
import { checkClientData, type ExpectedRegistration, readAttestation, readAttestedData } from './registration-parts.ts'
import { parseRegistrationResponse, type RegistrationResponse } from './registration-response.ts'
import { sha256 } from './sha256.ts'

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

const flagsOfMachine = 0x48

/** The registration in `value`, or the first check that it fails. */
export async function verifyMachineRegistration(value: unknown, expected: ExpectedRegistration): Promise<Examined<Registration>> {
  const response = parseRegistrationResponse(value)
  if (response === null) return failed('response_malformed')
  const clientData = checkClientData(response.clientDataJSON, { challenge: expected.challenge, origin: MACHINE_ORIGIN })
  if (!clientData.ok) return clientData
  const attestation = readAttestation(response.attestationObject)
  if (!attestation.ok) return attestation
  const { authData, fmt, attStmt } = attestation.value
  const data = readAttestedData(authData, response, { ...expected, checkFlags })
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

/**
 * Weaker than step 15, for machines alone: nobody is present, and a key that says so is refused. Stricter than steps 16
 * ff.: without trusted attestation a key is taken to be copyable, so BE=0 is refused as well.
 */
function checkFlags(flags: number): RegistrationCheck | null {
  return flags === flagsOfMachine ? null : 'flags_mismatch'
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
