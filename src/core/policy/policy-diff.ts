/** What a new policy gives and takes compared with an old one: role by role, and what it asks of people's devices. */
import type { RoleName } from '../identifiers.ts'
import type { PersonEnrolment, Policy, Role } from './policy.ts'
import { covers, subscribePattern } from './subjects.ts'

/** One entry by which a role reaches more (`gained`) or less (`lost`). A deny that is gone is a gain. */
export interface ReachChange {
  side: 'publish' | 'subscribe'
  list: 'allow' | 'deny'
  entry: string
}

/** Something that is not a subject, by its key in policy.yaml, as JSON values. */
export interface SettingChange {
  name: string
  from: unknown
  to: unknown
}

export interface RoleDiff {
  role: RoleName
  change: 'added' | 'removed' | 'changed'
  gained: ReachChange[]
  lost: ReachChange[]
  settings: SettingChange[]
}

const sides = ['publish', 'subscribe'] as const

/** The roles that differ, sorted by name; empty when the policies mean the same. */
export function diffPolicies(before: Policy, after: Policy): RoleDiff[] {
  const names = [...new Set([...before.roles.keys(), ...after.roles.keys()])].sort()
  return names.flatMap((name): RoleDiff[] => {
    const from = before.roles.get(name) ?? null
    const to = after.roles.get(name) ?? null
    const diff = {
      role: name,
      change: from === null ? ('added' as const) : to === null ? ('removed' as const) : ('changed' as const),
      // What one allows beyond the other, and what the other no longer denies.
      gained: sides.flatMap((side) => [...beyond(to, from, { side, list: 'allow' }), ...beyond(from, to, { side, list: 'deny' })]),
      lost: sides.flatMap((side) => [...beyond(from, to, { side, list: 'allow' }), ...beyond(to, from, { side, list: 'deny' })]),
      settings: settingsDiff(from, to),
    }
    const same = diff.change === 'changed' && diff.gained.length + diff.lost.length + diff.settings.length === 0
    return same ? [] : [diff]
  })
}

/** What is asked otherwise of the devices that people enrol: `enrolment.person`. Devices that are enrolled already stay. */
export function diffPersonEnrolment(before: Policy, after: Policy): SettingChange[] {
  return changes(personSettings(before.personEnrolment), personSettings(after.personEnrolment))
}

/** Entries of `one` that no single entry of `other` covers. */
function beyond(one: Role | null, other: Role | null, { side, list }: Pick<ReachChange, 'side' | 'list'>): ReachChange[] {
  if (one === null) return []
  const others = (other?.[side][list] ?? []).map(subscribePattern)
  return one[side][list]
    .filter((entry) => {
      const { subject, queue } = subscribePattern(entry)
      return !others.some((pattern) => (pattern.queue === null || pattern.queue === queue) && covers(pattern.subject, subject))
    })
    .map((entry) => ({ side, list, entry }))
}

function settingsDiff(from: Role | null, to: Role | null): SettingChange[] {
  return from === null || to === null ? [] : changes(settings(from), settings(to))
}

function changes(before: Record<string, unknown>, after: Record<string, unknown>): SettingChange[] {
  return Object.entries(after).flatMap(([name, to]) => {
    const from = before[name]
    return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ name, from, to }]
  })
}

function personSettings(person: PersonEnrolment): Record<string, unknown> {
  return {
    attestation: person.attestation,
    aaguids: person.aaguids,
    device_bound: person.deviceBound,
    devices_max: person.devicesMax,
    another_device: person.anotherDevice,
  }
}

function settings(role: Role): Record<string, unknown> {
  const { require } = role
  return {
    account: role.account,
    allow_responses: role.allowResponses,
    ttl: role.ttlSeconds,
    session: role.sessionSeconds,
    plain_sessions: role.plainSessions,
    login_by_code: role.loginByCode,
    privileged: role.privileged,
    'limits.connections': role.limits.connections,
    'require.class': require.class,
    'require.user_verification': require.userVerification,
    'require.device_bound': require.deviceBound,
    'require.aaguids': require.aaguids,
    'require.attestation': require.attestation,
    'require.approval': require.approval,
    'require.client_types': require.clientTypes,
    'require.source_cidrs': require.sourceCidrs,
    'require.time_windows': require.timeWindows,
  }
}
