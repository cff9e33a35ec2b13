import type { AssertionResponse } from './assertion-response.ts'
import type { Checked } from './checked.ts'
import type { CredentialClass, CredentialRecord } from './records.ts'

declare const verifiedBrand: unique symbol

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

export declare function verifyAssertion(
  assertion: AssertionResponse,
  credential: CredentialRecord,
  expected: ExpectedAssertion,
): Checked<VerifiedAssertion>

/** WebAuthn L3 §7.2 step 22; only ever after the signature. A regression against a count stored < 10 s ago is a race. */
export declare function judgeSignCount(credential: CredentialRecord, verified: VerifiedAssertion, now: Date): Checked<null>
