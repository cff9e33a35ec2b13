/** Judges an assertion by WebAuthn L3 §7.2, in its order, with one denial for each step (docs/webauthn.md). */
import { type Checked, denied, passed } from '../checked.ts'
import { base64url, concat, equalBytes, utf8 } from '../encoding.ts'
import type { SignatureGate } from '../failed-signatures.ts'
import type { CredentialClass, CredentialRecord } from '../records.ts'
import { sha256 } from '../sha256.ts'
import type { AssertionResponse } from './assertion-response.ts'
import { type AuthenticatorData, parseAuthenticatorData } from './authenticator-data.ts'
import { parseClientData } from './client-data.ts'
import { coseKeyOf, verifyCoseSignature } from './cose-key.ts'

declare const verifiedBrand: unique symbol

const raceMs = 10_000

/** Only verifyAssertion makes these: holding one means that WebAuthn L3 §7.2 passed, signature included. */
export interface VerifiedAssertion {
  readonly [verifiedBrand]: true
  readonly signCount: number
  readonly userPresent: boolean
  readonly userVerified: boolean
  readonly backupState: boolean
}

export interface ExpectedAssertion {
  /** 32 bytes. */
  challenge: Uint8Array
  rpId: string
  origins: readonly string[]
  class: CredentialClass
  requireUserVerification: boolean
  /** COSE algorithm identifiers. */
  algorithms: readonly number[]
}

/** What §7.2 asks of a credential record. */
export type AssertedCredential = Pick<
  CredentialRecord,
  'id' | 'publicKey' | 'signCount' | 'signCountAt' | 'backupEligible' | 'rpId' | 'class' | 'userHandle'
>

/**
 * The assertion as proof that the credential's owner made it for `expected`. Throws on no input; the counter is
 * judgeSignCount's. `gate` is asked last, before the signature is verified: everything else is cheap.
 */
export function verifyAssertion(
  assertion: AssertionResponse,
  credential: AssertedCredential,
  expected: ExpectedAssertion,
  gate: SignatureGate = () => passed(null),
): Checked<VerifiedAssertion> {
  // WebAuthn L3 §7.2 steps 1 to 4 are the client's: the ceremony itself.

  // Step 5: the credential is one that this ceremony is for.
  if (assertion.id !== credential.id) return denied('credential_unknown')
  // Stricter than §7.2: a machine's software key could claim a person's flags and origin.
  if (credential.class !== expected.class) return denied('credential_unknown')
  // Step 6: the user is the credential's owner. The record was found by the credential's id, so no handle is needed.
  if (assertion.userHandle !== null && assertion.userHandle !== credential.userHandle) return denied('user_handle_mismatch')

  const clientData = checkClientData(assertion.clientDataJSON, expected)
  if (!clientData.ok) return clientData

  const data = parseAuthenticatorData(assertion.authenticatorData)
  if (data === null) return denied('assertion_malformed')
  const flags = checkAuthenticatorData(data, credential, expected)
  if (!flags.ok) return flags

  // Stricter than §7.2: the algorithm is still allowed, not only when the credential was enrolled.
  const key = coseKeyOf(credential.publicKey)
  if (!key.ok) return key
  if (!expected.algorithms.includes(key.value.alg)) return denied('algorithm_refused')
  const open = gate()
  if (!open.ok) return open
  // Steps 20 and 21: the signature over authenticator data and the hash of the client data.
  const signed = concat(assertion.authenticatorData, sha256(assertion.clientDataJSON))
  if (!verifyCoseSignature(key.value, signed, assertion.signature)) return denied('signature_invalid')

  // Step 22 is judgeSignCount's. Step 23: no extension was asked for, and none means anything here.
  const { signCount, userPresent, userVerified, backupState } = data
  return passed({ signCount, userPresent, userVerified, backupState } as VerifiedAssertion)
}

/** WebAuthn L3 §7.2 steps 7 to 14. */
function checkClientData(bytes: Uint8Array, expected: ExpectedAssertion): Checked<null> {
  // Steps 7 to 9: read it.
  const client = parseClientData(bytes)
  if (client === null) return denied('assertion_malformed')
  // Step 10: it is an authentication, not a registration.
  if (client.type !== 'webauthn.get') return denied('type_mismatch')
  // Step 11: the challenge is ours. Unpadded base64url has one spelling a value, so the texts are compared.
  if (client.challenge !== base64url(expected.challenge)) return denied('challenge_mismatch')
  // Step 12: the origin is listed, byte for byte.
  if (!expected.origins.some((origin) => origin === client.origin)) return denied('origin_mismatch')
  // Steps 13 and 14: no page may embed the ceremony.
  if (client.crossOrigin || client.hasTopOrigin) return denied('cross_origin')
  return passed(null)
}

/** WebAuthn L3 §7.2 steps 15 to 19. */
function checkAuthenticatorData(data: AuthenticatorData, credential: AssertedCredential, expected: ExpectedAssertion): Checked<null> {
  // Step 15: made for this Relying Party. Stricter than §7.2: and enrolled for it.
  if (credential.rpId !== expected.rpId || !equalBytes(data.rpIdHash, sha256(utf8(expected.rpId)))) {
    return denied('rp_id_mismatch')
  }
  switch (expected.class) {
    case 'person':
      // Step 16: somebody was there.
      if (!data.userPresent) return denied('user_not_present')
      // Step 17: and was verified, where that is required.
      if (expected.requireUserVerification && !data.userVerified) return denied('user_not_verified')
      break
    case 'machine':
      // Weaker than §7.2 steps 16 and 17, by design: nobody is present at a machine, and the assertion must say so.
      if (data.userPresent || data.userVerified) return denied('machine_flags_mismatch')
      break
  }
  // Step 18: only what is eligible can be backed up.
  if (data.backupState && !data.backupEligible) return denied('backup_flags_invalid')
  // Step 19: eligibility never changes.
  if (data.backupEligible !== credential.backupEligible) return denied('backup_eligibility_changed')
  return passed(null)
}

/** WebAuthn L3 §7.2 step 22; only ever after the signature. A regression against a count stored < 10 s ago is a race. */
export function judgeSignCount(credential: AssertedCredential, verified: VerifiedAssertion, now: Date): Checked<null> {
  // Zero on both sides: the authenticator keeps no counter.
  if (verified.signCount === 0 && credential.signCount === 0) return passed(null)
  if (verified.signCount > credential.signCount) return passed(null)
  // The count may bear the time of a verifier whose clock is ahead, hence the distance.
  const ageMs = Math.abs(now.getTime() - credential.signCountAt)
  return denied(ageMs < raceMs ? 'sign_count_race' : 'sign_count_regression')
}
