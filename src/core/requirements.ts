/** What a role requires of a connection before it gives its allows. */
import type { BlockList } from 'node:net'
import type { Requirements } from './policy.ts'
import type { CredentialRecord } from './records.ts'
import { isWithin } from './source-address.ts'
import { isWithinWindows } from './time-window.ts'

/** The facts that requirements are judged by. */
export interface ConnectionCircumstances {
  credential: CredentialRecord
  userVerified: boolean
  clientType: 'nats' | 'websocket'
  /** Null when it proves nothing (behind a proxy): then no source requirement is met. */
  sourceAddress: string | null
  now: Date
}

/** The requirements by their names in policy.yaml. */
export type RequirementName = 'class' | 'user_verification' | 'device_bound' | 'aaguids' | 'client_types' | 'source_cidrs' | 'time_windows'

/** The requirements that are not met, empty when all are. `sources` matches `require.sourceCidrs`. */
export function unmetRequirements(require: Requirements, sources: BlockList | null, facts: ConnectionCircumstances): RequirementName[] {
  const { credential, sourceAddress } = facts
  const unmet: RequirementName[] = []
  if (require.class !== null && credential.class !== require.class) unmet.push('class')
  if (require.userVerification && !facts.userVerified) unmet.push('user_verification')
  if (require.deviceBound && credential.backupEligible) unmet.push('device_bound')
  if (require.aaguids !== null && !require.aaguids.includes(credential.aaguid)) unmet.push('aaguids')
  if (require.clientTypes !== null && !require.clientTypes.includes(facts.clientType)) unmet.push('client_types')
  if (sources !== null && (sourceAddress === null || !isWithin(sources, sourceAddress))) unmet.push('source_cidrs')
  if (require.timeWindows !== null && !isWithinWindows(require.timeWindows, facts.now)) unmet.push('time_windows')
  return unmet
}
