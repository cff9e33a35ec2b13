/** What a session would give if it were endorsed now, before there is any connection to judge (docs/login.md, "What is endorsed"). */
import type { AccountName, RoleName } from '../identifiers.ts'
import type { Grant, Policy, Role } from '../policy/policy.ts'
import { type GrantSubject, resolveGrant } from '../policy/resolve.ts'
import type { CredentialRecord, IdentityRecord } from '../records.ts'
import { accepted, type Judged, sessionRefused } from '../refusal.ts'
import type { Rules } from '../rules.ts'

export interface Endorsement {
  /** One; several only where each role waits for a connection of its own kind. */
  accounts: AccountName[]
  /** Roles that the session can use, sorted. */
  roles: RoleName[]
  /** Lifetime of the session; a role may end it sooner at a connection. */
  seconds: number
  requireUserVerification: boolean
}

export interface Endorser {
  identity: IdentityRecord
  credential: CredentialRecord
  byCode: boolean
  rules: Rules
  now: Date
}

/**
 * Whether some connection of a stock client could use the session. Roles that ask nothing of the connection always
 * contribute, so they are judged together. Where there is none, each role that waits for its client type, source or time
 * is judged as if it had that: which of them contribute, only the connection tells, and there all are judged again.
 */
export function judgeEndorsement(policy: Policy, endorser: Endorser): Judged<Endorsement> {
  const subject = subjectOf(endorser)
  const roles = [...policy.roles.values()]
  const steady = roles.filter((role) => !dependsOnConnection(role))
  const waiting = roles.filter(dependsOnConnection).map(onItsConnection)
  const always = resolveGrant(only(policy, steady), subject)
  if (!always.ok && always.denial !== 'roles_none' && always.denial !== 'roles_stale')
    return sessionRefused('roles_insufficient', always.denial)
  const alone = waiting.flatMap((role) => {
    const grant = resolveGrant(only(policy, [role]), subject)
    return grant.ok ? [grant.value] : []
  })
  const first = always.ok ? always.value : (alone.find(isUsable) ?? alone[0])
  if (first === undefined) return noRole(policy, [...steady, ...waiting], endorser)
  if (!first.plainSessions) return sessionRefused('plain_session_refused')
  if (first.sessionSeconds === 0) return sessionRefused('session_time_zero')
  const added = alone.filter((grant) => isUsable(grant) && (!always.ok || grant.account === first.account))
  const grants = [first, ...added]
  const names = [...new Set(grants.flatMap((grant) => grant.roles))].sort()
  return accepted({
    accounts: [...new Set(grants.map(({ account }) => account))],
    roles: names,
    seconds: always.ok ? first.sessionSeconds : Math.max(...grants.map(({ sessionSeconds }) => sessionSeconds)),
    requireUserVerification:
      endorser.rules.person?.requireUserVerification === true || names.some((name) => policy.roles.get(name)?.require.userVerification),
  })
}

/** What several devices could give between them: what is shown before the tap says which it is. */
export function atMost(endorsements: readonly Endorsement[]): Endorsement | null {
  if (endorsements.length === 0) return null
  return {
    accounts: [...new Set(endorsements.flatMap(({ accounts }) => accounts))],
    roles: [...new Set(endorsements.flatMap(({ roles }) => roles))].sort(),
    seconds: Math.max(...endorsements.map(({ seconds }) => seconds)),
    requireUserVerification: endorsements.some((endorsement) => endorsement.requireUserVerification),
  }
}

function subjectOf({ identity, credential, byCode, rules, now }: Endorser): GrantSubject {
  return {
    identity,
    credential,
    // What the tap must show follows from the roles that it could give.
    userVerified: true,
    byCode,
    clientType: 'nats',
    sourceAddress: null,
    rolesMaxAgeSeconds: rules.rolesMaxAgeSeconds,
    now,
  }
}

function dependsOnConnection({ require }: Role): boolean {
  return require.clientTypes !== null || require.sourceCidrs !== null || require.timeWindows !== null
}

/** The role on a connection that has what it asks of one. */
function onItsConnection(role: Role): Role {
  return { ...role, require: { ...role.require, clientTypes: null, sourceCidrs: null, timeWindows: null } }
}

function only(policy: Policy, roles: readonly Role[]): Policy {
  return { ...policy, roles: new Map(roles.map((role) => [role.name, role])) }
}

function isUsable(grant: Grant): boolean {
  return grant.plainSessions && grant.sessionSeconds > 0
}

/** Why no role gives anything: because of the code, when without it one would. */
function noRole(policy: Policy, roles: readonly Role[], endorser: Endorser): Judged<never> {
  if (endorser.byCode && resolveGrant(only(policy, roles), subjectOf({ ...endorser, byCode: false })).ok)
    return sessionRefused('code_refused')
  const resolved = resolveGrant(only(policy, roles), subjectOf(endorser))
  return sessionRefused('roles_insufficient', resolved.ok ? 'roles_none' : resolved.denial)
}
