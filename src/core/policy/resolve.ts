/** Stage "resolve": identity → roles → one grant (docs/policy.md, "How roles become a grant"). */
import type { BlockList } from 'node:net'
import { type Checked, denied, passed } from '../checked.ts'
import { credentialKey } from '../identifiers.ts'
import type { CredentialRecord, HeldRole, IdentityRecord } from '../records.ts'
import { DEFAULT_SESSION_SECONDS } from '../rules.ts'
import { sourceBlocks } from '../source-address.ts'
import { mergePublish, mergeSubscribe, type SubjectLists } from './permissions.ts'
import type { Grant, Permissions, Policy, Role, SubjectRules } from './policy.ts'
import { type RequirementName, unmetRequirements } from './requirements.ts'
import { type CompiledSubject, compileSubject, expandSubject, type TemplateValues } from './template.ts'
import { windowsCloseAt } from './time-window.ts'

export interface GrantSubject {
  identity: IdentityRecord
  credential: CredentialRecord
  userVerified: boolean
  /** The session was endorsed by a code that was typed elsewhere. */
  byCode: boolean
  clientType: 'nats' | 'websocket'
  /** Null when it proves nothing (behind a proxy): then no source requirement is met. */
  sourceAddress: string | null
  rolesMaxAgeSeconds: number
  now: Date
}

/** A role of the policy that the identity holds. It gives its allows only if fresh and with nothing unmet; its denies always. */
export interface JudgedRole {
  role: Role
  fresh: boolean
  /** Epoch milliseconds until which it is, or null for one that does not age. */
  freshUntil: number | null
  unmet: RequirementName[]
}

/** Resolves the roles an identity holds to the one grant of this connection. */
export function resolveGrant(policy: Policy, subject: GrantSubject): Checked<Grant> {
  const held = judgeRoles(policy, subject)
  if (held.length === 0) return denied('roles_none')
  if (held.every(({ fresh }) => !fresh)) return denied('roles_stale')
  const giving = held.filter(({ fresh, unmet }) => fresh && unmet.length === 0)
  const contributing = giving.map(({ role }) => role)
  const [first] = contributing
  if (first === undefined) return denied('roles_none')
  if (contributing.some(({ account }) => account !== first.account)) return denied('account_ambiguous')
  const permissions = permissionsOf(
    contributing,
    held.map(({ role }) => role),
    subject,
  )
  if (permissions === null) return denied('template_value_refused')
  const closing = contributing.flatMap(({ require }) =>
    require.timeWindows === null ? [] : [windowsCloseAt(require.timeWindows, subject.now)],
  )
  // A connection that is open must not go on with what a new one would be refused.
  const ageing = giving.flatMap(({ freshUntil }) => (freshUntil === null ? [] : [Math.floor(freshUntil / 1000)]))
  return passed({
    account: first.account,
    roles: contributing.map(({ name }) => name).sort(),
    permissions,
    ttlSeconds: Math.min(...contributing.map(({ ttlSeconds }) => ttlSeconds)),
    sessionSeconds: Math.min(
      ...contributing.map(({ sessionSeconds }) => sessionSeconds ?? DEFAULT_SESSION_SECONDS[subject.credential.class]),
    ),
    plainSessions: contributing.every(({ plainSessions }) => plainSessions),
    connectionsMax: leastOrNull(contributing.flatMap(({ limits }) => (limits.connections === null ? [] : [limits.connections]))),
    notAfter: leastOrNull([...closing, ...ageing]),
  })
}

/** The roles of the policy that the identity holds, each judged for this connection. */
export function judgeRoles(policy: Policy, subject: GrantSubject): JudgedRole[] {
  const until = new Map<Role, number>()
  for (const held of subject.identity.roles) {
    const role = policy.roles.get(held.name)
    if (role !== undefined) until.set(role, Math.max(until.get(role) ?? Number.NEGATIVE_INFINITY, freshUntil(held, subject)))
  }
  return [...until].map(([role, end]) => ({
    role,
    fresh: end >= subject.now.getTime(),
    freshUntil: Number.isFinite(end) ? end : null,
    unmet: unmetRequirements(role, compiled(role).sources, subject),
  }))
}

/** Whether a role that is held still counts: an administrator's word stands until it is taken back, a claim is only as good as its age. */
export function isRoleFresh(held: HeldRole, about: { now: Date; rolesMaxAgeSeconds: number }): boolean {
  return freshUntil(held, about) >= about.now.getTime()
}

/** Epoch milliseconds; infinite for an administrator's word. */
function freshUntil({ source, asOf }: HeldRole, { rolesMaxAgeSeconds }: { rolesMaxAgeSeconds: number }): number {
  return source === 'assigned' ? Number.POSITIVE_INFINITY : asOf + rolesMaxAgeSeconds * 1000
}

/** Null when a template's value is refused. A role that gives no allows keeps its denies, whatever the reason. */
function permissionsOf(contributing: readonly Role[], held: readonly Role[], subject: GrantSubject): Permissions | null {
  const { identity, credential } = subject
  const values = { user: identity.handle, device: credentialKey(credential.id), claims: identity.claims }
  const publish: SubjectLists = { allow: [], deny: [] }
  const subscribe: SubjectLists = { allow: [], deny: [] }
  const complete =
    contributing.every((role) => {
      const rules = compiled(role)
      return expandInto(publish.allow, rules.publish.allow, values) && expandInto(subscribe.allow, rules.subscribe.allow, values)
    }) &&
    held.every((role) => {
      const rules = compiled(role)
      return expandInto(publish.deny, rules.publish.deny, values) && expandInto(subscribe.deny, rules.subscribe.deny, values)
    })
  if (!complete) return null
  return {
    publish: mergePublish(publish),
    subscribe: mergeSubscribe(subscribe, identity.handle),
    responses: leastResponses(contributing.flatMap(({ allowResponses }) => (allowResponses === null ? [] : [allowResponses]))),
  }
}

function expandInto(list: string[], subjects: readonly CompiledSubject[], values: TemplateValues): boolean {
  for (const subject of subjects) {
    const expanded = expandSubject(subject, values)
    if (expanded === null) return false
    list.push(expanded)
  }
  return true
}

function leastResponses(all: readonly { max: number; ttlSeconds: number }[]): { max: number; ttlSeconds: number } | null {
  if (all.length === 0) return null
  return { max: Math.min(...all.map(({ max }) => max)), ttlSeconds: Math.min(...all.map(({ ttlSeconds }) => ttlSeconds)) }
}

function leastOrNull(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.min(...values)
}

interface CompiledRole {
  publish: { allow: CompiledSubject[]; deny: CompiledSubject[] }
  subscribe: { allow: CompiledSubject[]; deny: CompiledSubject[] }
  sources: BlockList | null
}

// Roles are immutable and live as long as their policy, so what is derived from one is kept with it.
const compiledRoles = new WeakMap<Role, CompiledRole>()

function compiled(role: Role): CompiledRole {
  const known = compiledRoles.get(role)
  if (known !== undefined) return known
  const made = {
    publish: compileRules(role, role.publish),
    subscribe: compileRules(role, role.subscribe),
    sources: role.require.sourceCidrs === null ? null : sourceBlocks(role.require.sourceCidrs),
  }
  compiledRoles.set(role, made)
  return made
}

/** Prepares every role of a policy, so that no connection has to wait for it. */
export function prepareRoles(policy: Policy): void {
  for (const role of policy.roles.values()) compiled(role)
}

function compileRules({ name }: Role, rules: SubjectRules): { allow: CompiledSubject[]; deny: CompiledSubject[] } {
  return {
    allow: rules.allow.map((subject) => compileSubject(subject, name)),
    deny: rules.deny.map((subject) => compileSubject(subject, name)),
  }
}
