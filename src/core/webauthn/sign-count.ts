/** What the counter of an authenticator does to its record; judgeSignCount in assertion.ts says what it means. */
import { type Checked, denied, passed } from '../checked.ts'
import type { CredentialPort } from '../ports.ts'
import type { CredentialRecord, Stored } from '../records.ts'
import type { VerifiedAssertion } from './assertion.ts'
import { checkCredentialState } from './credential.ts'

/** Counters of zero do not move: the authenticator has none. Otherwise by compare-and-set, and the loser is denied. */
export async function moveSignCount(
  stored: Stored<CredentialRecord>,
  assertion: VerifiedAssertion,
  { credentials, now }: { credentials: CredentialPort; now: Date },
): Promise<Checked<null>> {
  if (assertion.signCount === 0 && stored.record.signCount === 0) return passed(null)
  const { signCount, backupState } = assertion
  let current = stored
  for (;;) {
    const other = await credentials.replace(current, { ...current.record, signCount, backupState, signCountAt: now.getTime() })
    if (other === null) return passed(null)
    const active = checkCredentialState(other, now)
    if (!active.ok) return active
    if (other.record.signCount >= signCount) return denied('sign_count_race')
    current = other
  }
}

/** A copied device-bound key is shut out; a synced one has no counter to speak of, so it is refused and reported. */
export async function quarantine(stored: Stored<CredentialRecord>, credentials: CredentialPort, now: Date): Promise<void> {
  if (stored.record.backupEligible) return
  let current: Stored<CredentialRecord> | null = stored
  while (current !== null && current.record.state === 'active') {
    current = await credentials.replace(current, { ...current.record, state: 'quarantined', endedAt: now.getTime() })
  }
}
