/**
 * A machine's registration: WebAuthn L3 §7.1 in the order of the specification, with the machine profile
 * (docs/enrolment.md) where it is stricter. SimpleWebAuthn verifies what remains, the signature among it.
 */
import type { CredentialId } from '../identifiers.ts'
import { MACHINE_ORIGIN } from '../protocol.ts'
import { type Examined, failed, type RegistrationCheck } from './registration-checks.ts'
import { isAcceptedByLibrary } from './registration-opinion.ts'
import { checkClientData, type ExpectedRegistration, readAttestation, readAttestedData } from './registration-parts.ts'
import { parseRegistrationResponse } from './registration-response.ts'
import { checkSelfAttestation } from './self-attestation.ts'

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
  const data = readAttestedData(attestation.value.authData, response, { ...expected, checkFlags })
  if (!data.ok) return data

  // Only self attestation: `none` proves nothing, and nobody vouches for the certificates of the other formats.
  const { key, publicKey, signCount, backupEligible, backupState, aaguid } = data.value
  const refused = checkSelfAttestation(attestation.value, key, response.clientDataJSON)
  if (refused !== null) return failed(refused)
  const asMachine = { ...expected, origin: MACHINE_ORIGIN, requireUserPresence: false, requireUserVerification: false }
  if (!(await isAcceptedByLibrary(response, asMachine))) return failed('signature_invalid')
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
