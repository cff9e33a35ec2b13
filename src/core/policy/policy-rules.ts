/** What a role may say beyond having the right shape: its account, its subjects, and what nats-server can enforce of them. */
import { deniesBelow } from './permissions.ts'
import type { RoleDocument } from './policy-schema.ts'
import {
  isDenyAvoidable,
  isInbox,
  isReservedReach,
  overlaps,
  reachBelow,
  subjectProblem,
  subscribeEntryProblem,
  subscribePattern,
} from './subjects.ts'
import type { DocumentPath } from './yaml-document.ts'

const subjectsPerRoleMax = 500
const wildcardDeniesMax = 200
/** The first line of nats-server that filters every wildcard subscription by every deny. */
const enforcesDenies = { major: 2, minor: 15 }

// Users in one of these could grant themselves anything, or touch the audit trail.
const RESERVED_ACCOUNTS = ['AUTH', 'AUDIT', 'SYS', '$SYS']

/** The accounts that roles may and may never name. */
export interface AccountRules {
  targetAccounts: readonly string[]
  reservedAccounts: readonly string[]
}

export interface RuleProblem {
  path: DocumentPath
  message: string
}

/** A role as written, under its name. */
export interface NamedRole {
  name: string
  role: RoleDocument
}

const sides = ['publish', 'subscribe'] as const
const lists = ['allow', 'deny'] as const

/** What is wrong with one role, taken by itself. */
export function roleProblems({ name, role }: NamedRole, accounts: AccountRules): RuleProblem[] {
  const problems: RuleProblem[] = [...accountProblems(role.account, accounts)]
  if (role.privileged && role.login_by_code) {
    problems.push({
      path: ['login_by_code'],
      message: 'a privileged role is never endorsed by a code: whoever shows the code to its holder would get it',
    })
  }
  const count = sides.reduce((sum, side) => sum + role[side].allow.length + role[side].deny.length, 0)
  if (count > subjectsPerRoleMax) problems.push({ path: [], message: `the role has ${count} subjects, more than ${subjectsPerRoleMax}` })
  for (const side of sides) {
    for (const list of lists) {
      for (const [i, entry] of role[side][list].entries()) {
        const message = entryProblem(entry.replaceAll('{{role}}', name), { side, list, reserved: role.dangerously_allow_reserved_subjects })
        if (message !== null) problems.push({ path: [side, list, i], message })
      }
    }
  }
  return problems.length > 0 ? problems : cutProblems(role.subscribe.allow)
}

/** Allows that reach subjects of NATS itself. The role has opted in; it stays worth a warning. */
export function reservedReach({ name, role }: NamedRole): RuleProblem[] {
  return sides.flatMap((side) =>
    role[side].allow.flatMap((entry, i) =>
      isReservedReach(subscribePattern(entry.replaceAll('{{role}}', name)).subject)
        ? [
            {
              path: [side, 'allow', i],
              message: `"${entry}" reaches, or may reach, subjects that belong to NATS itself or to other people`,
            },
          ]
        : [],
    ),
  )
}

/** Denies that a nats-server before 2.15 lets subscribers get around, through an allow of any role that may be held together. */
export function unenforceable(roles: readonly NamedRole[], natsServerMin: string | null): RuleProblem[] {
  if (isEnforced(natsServerMin)) return []
  const hint = 'write nats_server_min: "2.15" at the top if every server is at least that'
  const allows = [...new Set(roles.flatMap(({ role }) => role.subscribe.allow.map((entry) => subscribePattern(entry).subject)))]
  const problems: RuleProblem[] = []
  let wildcards = 0
  for (const { name, role } of roles) {
    for (const [i, entry] of role.subscribe.deny.entries()) {
      const { subject, queue } = subscribePattern(entry)
      const path = ['roles', name, 'subscribe', 'deny', i]
      if (queue !== null)
        problems.push({
          path,
          message: `nats-server before 2.15 does not hold a deny with a queue name against wildcards; deny the subject, or ${hint}`,
        })
      if (!/[*>]/.test(subject)) continue
      if (++wildcards > wildcardDeniesMax)
        return [...problems, { path, message: `the policy has more than ${wildcardDeniesMax} subscribe denies with wildcards` }]
      const around = allows.find((allow) => isDenyAvoidable(subject, allow))
      if (around !== undefined)
        problems.push({
          path,
          message: `with "${around}" allowed, nats-server before 2.15 lets wildcard subscriptions around this deny; narrow the allow, or ${hint}`,
        })
    }
    const closed = deniesBelow(role.subscribe.allow)
    for (const [i, entry] of role.subscribe.allow.entries()) {
      const { subject } = subscribePattern(entry)
      const below = reachBelow(subject)
      if (below === null || !closed.includes(below) || !isDenyAvoidable(below, subject)) continue
      problems.push({
        path: ['roles', name, 'subscribe', 'allow', i],
        message: `nats-server before 2.15 cannot keep "${subject}" from reaching what is below it; allow "${subject.slice(0, -1)}>", or ${hint}`,
      })
    }
  }
  return problems
}

function isEnforced(natsServerMin: string | null): boolean {
  const [major = 0, minor = 0] = (natsServerMin ?? '').split('.').map(Number)
  return major > enforcesDenies.major || (major === enforcesDenies.major && minor >= enforcesDenies.minor)
}

function accountProblems(account: string, { targetAccounts, reservedAccounts }: AccountRules): RuleProblem[] {
  const path = ['account']
  if (RESERVED_ACCOUNTS.includes(account) || reservedAccounts.includes(account)) {
    return [{ path, message: `"${account}" belongs to the verifier or to NATS itself: nobody is ever admitted to it` }]
  }
  if (targetAccounts.includes(account)) return []
  return [
    { path, message: `"${account}" is not one of the accounts that roles may name: ${targetAccounts.join(', ') || 'none is configured'}` },
  ]
}

function entryProblem(entry: string, where: { side: 'publish' | 'subscribe'; list: 'allow' | 'deny'; reserved: boolean }): string | null {
  const problem = where.side === 'publish' ? subjectProblem(entry) : subscribeEntryProblem(entry)
  if (problem !== null || where.list === 'deny') return problem
  const { subject } = subscribePattern(entry)
  if (where.side === 'subscribe' && isInbox(subject)) {
    return 'inboxes are private: everybody is given _INBOX_{{user}}.> and nobody may read another one'
  }
  if (where.reserved || !isReservedReach(subject)) return null
  return `"${entry}" reaches, or may reach, subjects that belong to NATS itself; if it must, set dangerously_allow_reserved_subjects: true`
}

// "orders.*" is closed with a deny of "orders.*.>" (permissions.ts), which would silently take away what the same role gives.
function cutProblems(allow: readonly string[]): RuleProblem[] {
  return deniesBelow(allow).flatMap((below) => {
    const star = below.slice(0, -2)
    const i = allow.findIndex((entry) => overlaps(subscribePattern(entry).subject, below))
    if (i < 0) return []
    const message = `"${star}" is allowed too. nats-server would let it reach all of "${star.slice(0, -1)}>", so what is below it is denied, and this with it: allow "${star.slice(0, -1)}>", or use another prefix`
    return [{ path: ['subscribe', 'allow', i], message }]
  })
}
