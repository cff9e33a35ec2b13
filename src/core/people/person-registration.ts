/** A person's registration: WebAuthn L3 §7.1 in the order of the specification, one named check for each step. */
import type { CredentialId } from '../identifiers.ts'
import { verifyStatement } from '../webauthn/attestation-statement.ts'
import type { AttestationStatement } from '../webauthn/attestation-trust.ts'
import { type Examined, failed, passed, type RegistrationCheck } from '../webauthn/registration-checks.ts'
import { checkClientData, type ExpectedRegistration, readAttestation, readAttestedData } from '../webauthn/registration-parts.ts'
import { parseRegistrationResponse } from '../webauthn/registration-response.ts'

declare const verifiedBrand: unique symbol

/** Only verifyPersonRegistration makes these. That the key is held is for the first assertion to prove: `none` signs nothing. */
export interface PersonRegistration {
  readonly [verifiedBrand]: true
  readonly id: CredentialId
  /** COSE_Key. */
  readonly publicKey: Uint8Array
  readonly signCount: number
  readonly userVerified: boolean
  readonly backupEligible: boolean
  readonly backupState: boolean
  readonly aaguid: string
  readonly transports: string[]
  readonly statement: AttestationStatement
}

export interface ExpectedPersonRegistration extends ExpectedRegistration {
  /** The verifier's own web origin: no other page enrols. */
  origin: string
  requireUserVerification: boolean
}

/**
 * The registration in `value`, or the first check that it fails. Steps 24 and 25, whom the attestation is trusted by, are
 * attestation-trust.ts's and device-policy.ts's; steps 27 ff., the credential records, device-steps.ts's.
 */
export async function verifyPersonRegistration(
  value: unknown,
  expected: ExpectedPersonRegistration,
): Promise<Examined<PersonRegistration>> {
  // Steps 1 to 4 are the page's: the ceremony itself. Extensions (step 4) were not asked for and mean nothing.
  const response = parseRegistrationResponse(value)
  if (response === null) return failed('response_malformed')
  const clientData = checkClientData(response.clientDataJSON, expected)
  if (!clientData.ok) return clientData
  const attestation = readAttestation(response.attestationObject)
  if (!attestation.ok) return attestation
  const data = readAttestedData(attestation.value.authData, response, {
    ...expected,
    checkFlags: (flags) => checkFlags(flags, expected),
  })
  if (!data.ok) return data
  const statement = await verifyStatement({ response, attestation: attestation.value, data: data.value, expected })
  if (!statement.ok) return statement
  const { flags, publicKey, signCount, backupEligible, backupState, aaguid } = data.value
  const { id, transports } = response
  const verified = { id, publicKey, signCount, backupEligible, backupState, aaguid, transports, statement: statement.value }
  return passed({ ...verified, userVerified: (flags & UV) !== 0 } as PersonRegistration)
}

const UP = 0x01
const UV = 0x04
const BE = 0x08
const BS = 0x10
const AT = 0x40

function checkFlags(flags: number, { requireUserVerification }: ExpectedPersonRegistration): RegistrationCheck | null {
  // Step 15: somebody was there. A conditional creation, where nobody need be, is never begun.
  if ((flags & UP) === 0) return 'user_not_present'
  // Step 16.
  if (requireUserVerification && (flags & UV) === 0) return 'user_not_verified'
  // Step 17: only what is eligible can be backed up. Steps 18 and 19, what that means here, are the policy's.
  if ((flags & BS) !== 0 && (flags & BE) === 0) return 'backup_flags_invalid'
  return (flags & AT) === 0 ? 'authenticator_data_malformed' : null
}
