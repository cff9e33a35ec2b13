/** The two Relying Parties of a deployment: people and machines never share one. */
import { type Checked, denied, passed } from '../checked.ts'
import { MACHINE_ORIGIN } from '../protocol.ts'
import type { CredentialRecord } from '../records.ts'
import type { Rules } from '../rules.ts'
import type { ExpectedAssertion } from './assertion.ts'

/** What an assertion of this credential must be for, by the class of its record: neither class can stand in for the other. */
export function expectedAssertion(record: CredentialRecord, challenge: Uint8Array, rules: Rules): Checked<ExpectedAssertion> {
  if (record.class === 'machine') {
    return passed({
      challenge,
      rpId: rules.machine.rpId,
      origins: [MACHINE_ORIGIN],
      class: 'machine' as const,
      requireUserVerification: false,
      algorithms: rules.algorithms,
    })
  }
  // A deployment without people has no Relying Party that a person's assertion could be for.
  if (rules.person === null) return denied('rp_id_mismatch')
  const { rpId, origins, requireUserVerification } = rules.person
  return passed({ challenge, rpId, origins, class: 'person' as const, requireUserVerification, algorithms: rules.algorithms })
}
