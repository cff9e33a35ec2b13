import { type Checked, denied, passed } from '../checked.ts'
import type { CredentialRecord, Stored } from '../records.ts'

/** Whether the credential is in force at `now`. */
export function checkCredentialState(stored: Stored<CredentialRecord> | null, now: Date): Checked<Stored<CredentialRecord>> {
  if (stored === null) return denied('credential_unknown')
  const { state, expiresAt } = stored.record
  switch (state) {
    case 'pending':
      return denied('credential_pending')
    case 'revoked':
      return denied('credential_revoked')
    case 'quarantined':
      return denied('credential_quarantined')
    case 'active':
      return expiresAt !== null && expiresAt <= now.getTime() ? denied('credential_expired') : passed(stored)
  }
}
