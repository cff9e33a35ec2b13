/** What a role requires of a connection before it gives its allows. */
import type { BlockList } from 'node:net'
import type { CredentialRecord } from '../records.ts'
import { isWithin } from '../source-address.ts'
import type { Requirements, Role } from './policy.ts'
import { isWithinWindows } from './time-window.ts'

/** The facts that requirements are judged by. */
export interface ConnectionCircumstances {
  credential: CredentialRecord
  userVerified: boolean
  /** The session was endorsed by a code that was typed elsewhere. */
  byCode: boolean
  clientType: 'nats' | 'websocket'
  /** Null when it proves nothing (behind a proxy): then no source requirement is met. */
  sourceAddress: string | null
  now: Date
}

/** The requirements by their names in policy.yaml. */
export type RequirementName =
  | 'class'
  | 'user_verification'
  | 'device_bound'
  | 'aaguids'
  | 'attestation'
  | 'approval'
  | 'login_by_code'
  | 'client_types'
  | 'source_cidrs'
  | 'time_windows'

/** The requirements that a device meets or not by what it is. */
export type DeviceRequirements = Pick<Requirements, 'class' | 'deviceBound' | 'aaguids' | 'attestation'>

/** What a device is, whatever connection it makes: what can be judged when it is enrolled. */
export function unmetByDevice(require: DeviceRequirements, credential: CredentialRecord): RequirementName[] {
  const unmet: RequirementName[] = []
  if (require.class !== null && credential.class !== require.class) unmet.push('class')
  if (require.deviceBound && credential.backupEligible) unmet.push('device_bound')
  if (require.aaguids !== null && !require.aaguids.includes(credential.aaguid)) unmet.push('aaguids')
  if (require.attestation !== null && !isAttested(credential, require.attestation)) unmet.push('attestation')
  return unmet
}

/** The requirements of a role that are not met, empty when all are. `sources` matches `require.sourceCidrs`. */
export function unmetRequirements(role: Role, sources: BlockList | null, facts: ConnectionCircumstances): RequirementName[] {
  const { credential, sourceAddress } = facts
  const { require } = role
  const unmet = unmetByDevice(require, credential)
  if (require.userVerification && !facts.userVerified) unmet.push('user_verification')
  if (require.approval && credential.approvedBy === null) unmet.push('approval')
  if (facts.byCode && (role.privileged || !role.loginByCode)) unmet.push('login_by_code')
  if (require.clientTypes !== null && !require.clientTypes.includes(facts.clientType)) unmet.push('client_types')
  if (sources !== null && (sourceAddress === null || !isWithin(sources, sourceAddress))) unmet.push('source_cidrs')
  if (require.timeWindows !== null && !isWithinWindows(require.timeWindows, facts.now)) unmet.push('time_windows')
  return unmet
}

function isAttested({ attestation: { trust } }: CredentialRecord, wanted: 'direct' | 'mds'): boolean {
  return trust === 'mds' || (wanted === 'direct' && trust === 'attested')
}
