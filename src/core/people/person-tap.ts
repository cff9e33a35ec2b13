/** The tap of a person's passkey at the verifier's own page: who it is, verified, with its counter moved on. */
import { type Checked, denied } from '../checked.ts'
import type { DenialReason } from '../denial.ts'
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { credentialKey } from '../identifiers.ts'
import { type CredentialPort, type RecordPort, StoreUnavailable } from '../ports.ts'
import type { CredentialRecord, Stored } from '../records.ts'
import { judgeSignCount, type VerifiedAssertion, verifyAssertion } from '../webauthn/assertion.ts'
import { type AssertionResponse, parseAssertionResponse } from '../webauthn/assertion-response.ts'
import { checkCredentialState } from '../webauthn/credential.ts'
import { expectedAssertion } from '../webauthn/relying-party.ts'
import { moveSignCount, quarantine } from '../webauthn/sign-count.ts'
import { quarantinedEvent } from './login-events.ts'
import type { PeopleWorld } from './people.ts'

export interface PersonTap {
  credential: Stored<CredentialRecord>
  verified: VerifiedAssertion
}

/** `known`: there is such a credential in force, and a person's; a stranger is never told which it was. */
export type TapJudged = { ok: true; value: PersonTap } | { ok: false; known: boolean; denial: DenialReason }

/**
 * Judges an AuthenticationResponseJSON for `challenge`. A counter that went back shuts a device-bound passkey out, on
 * record, and closes its connections. `occasion.known` learns of the credential once it is found, of the person once they
 * are proven.
 */
export async function verifyTap(value: unknown, challenge: Uint8Array, occasion: Occasion, world: PeopleWorld): Promise<TapJudged> {
  const response = parseAssertionResponse(value)
  if (!response.ok) return { ...response, known: true }
  const found = await findInForce(response.value, occasion, world)
  if (!found.ok) return { ...found, known: false }
  const stored = found.value
  const expected = expectedAssertion(stored.record, challenge, world.rules)
  if (!expected.ok) return { ...expected, known: true }
  // WebAuthn L3 §7.2 step 6: where no credential was asked for by name, the authenticator must say whose it is.
  if (response.value.userHandle === null) return { ok: false, known: true, denial: 'user_handle_mismatch' }
  // The page is the verifier's own: no other origin that people may connect from has business here.
  const verified = verifyAssertion(response.value, stored.record, { ...expected.value, origins: [world.origin] })
  if (!verified.ok) return { ...verified, known: true }
  occasion.known.handle = stored.record.handle
  const counted = await countTap(stored, verified.value, occasion, world)
  return counted.ok ? { ok: true, value: { credential: stored, verified: verified.value } } : { ...counted, known: true }
}

async function findInForce({ id }: AssertionResponse, occasion: Occasion, world: PeopleWorld): Promise<Checked<Stored<CredentialRecord>>> {
  const stored = await world.credentials.find(credentialKey(id))
  if (stored === null) return denied('credential_unknown')
  occasion.known.credential = stored.record.id
  if (stored.record.class !== 'person') return denied('credential_unknown')
  return checkCredentialState(stored, occasion.now)
}

/** WebAuthn L3 §7.2 step 22, as the journey of a connection does it. */
export async function countTap(
  stored: Stored<CredentialRecord>,
  verified: VerifiedAssertion,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Checked<null>> {
  const { now } = occasion
  const credentials = credentialPort(world.credentials)
  const counted = judgeSignCount(stored.record, verified, now)
  if (counted.ok) return moveSignCount(stored, verified, { credentials, now })
  if (counted.denial === 'sign_count_regression' && !stored.record.backupEligible) {
    await world.lifecycle.record(quarantinedEvent(verified.signCount, occasion, world))
    await quarantine(stored, credentials, now)
    await world.evictions.evict({ credential: stored.record.id }, stored.record.handle)
  }
  return counted
}

/** The records as the journey's port, which says what is there instead. */
function credentialPort(records: RecordPort<CredentialRecord>): CredentialPort {
  return {
    find: (id) => records.find(credentialKey(id)),
    findByKey: (key) => records.find(key),
    replace: async (stored, next) => {
      const key = credentialKey(next.id)
      if (await records.replace(key, stored, next)) return null
      const there = await records.find(key)
      if (there === null) throw new StoreUnavailable('writing a credential: the record was deleted')
      return there
    },
  }
}
