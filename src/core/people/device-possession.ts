/** The first assertion of a person's device: its key is held by whoever registered it, which `none` attestation does not show. */
import { challengeOf } from '../enrolment/ceremony.ts'
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { credentialKey, parseCredentialId } from '../identifiers.ts'
import type { CeremonyRecord, CredentialRecord, Stored } from '../records.ts'
import { accepted, type Judged, refused } from '../refusal.ts'
import { judgeSignCount, verifyAssertion } from '../webauthn/assertion.ts'
import { parseAssertionResponse } from '../webauthn/assertion-response.ts'
import type { PeopleWorld, SignedIn } from './people.ts'

/** The pending credential that the ceremony is about, and what it becomes now that its key has signed. */
export async function provePossession(
  value: unknown,
  about: { ceremony: CeremonyRecord; signedIn: SignedIn; requireUserVerification: boolean },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ stored: Stored<CredentialRecord>; credential: CredentialRecord; userVerified: boolean }>> {
  const { ceremony, signedIn, requireUserVerification } = about
  const id = parseCredentialId(ceremony.subject)
  if (id === null) throw new Error('reading a ceremony: its subject is no credential id')
  occasion.known.credential = id
  const stored = await world.credentials.find(credentialKey(id))
  if (stored?.record.state !== 'pending' || stored.record.handle !== signedIn.identity.record.handle) {
    return refused('possession_invalid', 'credential_not_pending')
  }
  const response = parseAssertionResponse(value)
  if (!response.ok) return refused('possession_invalid', response.denial)
  const verified = verifyAssertion(response.value, stored.record, {
    challenge: challengeOf(ceremony, world.origin),
    rpId: stored.record.rpId,
    origins: [world.origin],
    class: 'person',
    requireUserVerification,
    algorithms: world.rules.algorithms,
  })
  if (!verified.ok) return refused('possession_invalid', verified.denial)
  const counted = judgeSignCount(stored.record, verified.value, occasion.now)
  if (!counted.ok) return refused('possession_invalid', counted.denial)
  const { signCount, backupState, userVerified } = verified.value
  const credential: CredentialRecord = { ...stored.record, state: 'active', signCount, backupState, signCountAt: occasion.now.getTime() }
  return accepted({ stored, credential, userVerified })
}
