/** What a new policy gives and takes compared with an old one, role by role. */
import type { RoleName } from './identifiers.ts'
import type { Policy, Role } from './policy.ts'
import { covers, subscribePattern } from './subjects.ts'

/** One entry by which a role reaches more (`gained`) or less (`lost`). A deny that is gone is a gain. */
export interface ReachChange {
  side: 'publish' | 'subscribe'
  list: 'allow' | 'deny'
  entry: string
}

export interface RoleDiff {
  role: RoleName
  change: 'added' | 'removed' | 'changed'
  gained: ReachChange[]
  lost: ReachChange[]
  /** Everything that is not a subject, as JSON values. */
  settings: { name: string; from: unknown; to: unknown }[]
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

function settingsDiff(from: Role | null, to: Role | null): RoleDiff['settings'] {
  if (from === null || to === null) return []
  const before = settings(from)
  return Object.entries(settings(to)).flatMap(([name, value]) => {
    const old = before[name]
    return JSON.stringify(old) === JSON.stringify(value) ? [] : [{ name, from: old, to: value }]
  })
}

function settings(role: Role): Record<string, unknown> {
  const { require } = role
  return {
    account: role.account,
    allow_responses: role.allowResponses,
    ttl: role.ttlSeconds,
    session: role.sessionSeconds,
    plain_sessions: role.plainSessions,
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
