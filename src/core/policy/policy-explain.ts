/** Why a policy allows or denies: each role with what it contributes, and the entry that decided about a subject. */
import type { DenialReason } from '../denial.ts'
import { credentialKey, type RoleName } from '../identifiers.ts'
import { judgePublish, judgeSubscribe, type SubjectVerdict } from './permission-check.ts'
import type { Grant, Policy, Role } from './policy.ts'
import type { RequirementName } from './requirements.ts'
import { type GrantSubject, judgeRoles, resolveGrant } from './resolve.ts'
import { subscribePattern } from './subjects.ts'
import { compileSubject, expandSubject, type TemplateValues } from './template.ts'

/** `unknown`: not in the policy; `stale`: confirmed too long ago. An unmet or stale role still gives its denies. */
export type RoleExplanation =
  | { role: RoleName; status: 'contributes' | 'unknown' | 'stale' }
  | { role: RoleName; status: 'unmet'; unmet: RequirementName[] }

export interface SubjectExplanation {
  action: 'publish' | 'subscribe'
  subject: string
  verdict: SubjectVerdict['verdict']
  /** Who said so: entries as written, with their role; `role` null is the service's own rule (inbox, closing denies). */
  because: { role: RoleName | null; list: 'allow' | 'deny'; entry: string }[]
}

export interface Explanation {
  roles: RoleExplanation[]
  result: { granted: true; grant: Grant } | { granted: false; denial: DenialReason }
  subjects: SubjectExplanation[]
}

/** Explains the grant of `subject`, and each of the asked subjects ("subject queue" to subscribe in a queue). */
export function explainPolicy(
  policy: Policy,
  subject: GrantSubject,
  asked: { publish: readonly string[]; subscribe: readonly string[] },
): Explanation {
  const resolved = resolveGrant(policy, subject)
  const roles = explainRoles(policy, subject)
  if (!resolved.ok) return { roles, result: { granted: false, denial: resolved.denial }, subjects: [] }
  const grant = resolved.value
  const subjects = [
    ...asked.publish.map((entry) =>
      explainSubject(policy, subject, { action: 'publish' as const, entry, verdict: judgePublish(grant.permissions, entry) }),
    ),
    ...asked.subscribe.map((entry) =>
      explainSubject(policy, subject, {
        action: 'subscribe' as const,
        entry,
        verdict: judgeSubscribe(grant.permissions, subscribePattern(entry)),
      }),
    ),
  ]
  return { roles, result: { granted: true, grant }, subjects }
}

function explainRoles(policy: Policy, subject: GrantSubject): RoleExplanation[] {
  const judged = new Map(judgeRoles(policy, subject).map((one) => [one.role.name, one]))
  return [...new Set(subject.identity.roles.map(({ name }) => name))].map((role): RoleExplanation => {
    const found = judged.get(role)
    if (found === undefined) return { role, status: 'unknown' }
    if (!found.fresh) return { role, status: 'stale' }
    return found.unmet.length > 0 ? { role, status: 'unmet', unmet: found.unmet } : { role, status: 'contributes' }
  })
}

function explainSubject(
  policy: Policy,
  subject: GrantSubject,
  { action, entry, verdict }: { action: 'publish' | 'subscribe'; entry: string; verdict: SubjectVerdict },
): SubjectExplanation {
  const explanation = { action, subject: entry, verdict: verdict.verdict }
  if (verdict.by === null) return { ...explanation, because: [] }
  const list = verdict.verdict === 'allowed' ? ('allow' as const) : ('deny' as const)
  const values = { user: subject.identity.handle, device: credentialKey(subject.credential.id), claims: subject.identity.claims }
  const sources = judgeRoles(policy, subject)
    .filter(({ fresh, unmet }) => list === 'deny' || (fresh && unmet.length === 0))
    .flatMap(({ role }) =>
      written(role, { action, list, expanded: verdict.by ?? '', values }).map((source) => ({ role: role.name, list, entry: source })),
    )
  return { ...explanation, because: sources.length > 0 ? sources : [{ role: null, list, entry: verdict.by }] }
}

function written(
  role: Role,
  { action, list, expanded, values }: { action: 'publish' | 'subscribe'; list: 'allow' | 'deny'; expanded: string; values: TemplateValues },
): string[] {
  return role[action][list].filter((entry) => expandSubject(compileSubject(entry, role.name), values) === expanded)
}
