/** What is allowed in a policy but worth a second look. Each rule has an id; docs/policy.md explains them all. */
import { DEFAULT_SESSION_SECONDS } from '../rules.ts'
import { deniesBelow } from './permissions.ts'
import type { Policy, Role } from './policy.ts'
import type { ParsedPolicy } from './policy-document.ts'
import { covers, isInbox, isReservedReach, overlaps, subscribePattern } from './subjects.ts'
import { subjectTokens } from './template.ts'
import type { DocumentPath } from './yaml-document.ts'

const longTtlSeconds = 3600
const longSessionSeconds = 7 * 24 * 3600
// NIST SP 800-63B-4, AAL2: a person proves again at least once a day.
const longPersonSessionSeconds = 24 * 3600
const longCodeSessionSeconds = 3600

/** The rules by id: `warning` is probably a mistake or a risk, `notice` is good to know. */
export const LINT_RULES = {
  'reserved-reach': { severity: 'warning', doc: 'An allow reaches subjects of NATS itself, or everything.' },
  'reads-inboxes': { severity: 'warning', doc: "A subscribe allow begins with a wildcard, so it reads other people's replies." },
  'forges-replies': {
    severity: 'warning',
    doc: 'A publish allow reaches inboxes, so replies can be forged; allow_responses needs no such allow.',
  },
  'shadowed-allow': { severity: 'warning', doc: 'An allow is wholly denied, so it gives nothing.' },
  'redundant-allow': { severity: 'notice', doc: 'An allow lies within another one of the same role.' },
  'useless-deny': { severity: 'notice', doc: 'A deny meets no allow of any role. Nothing is allowed unless a role allows it.' },
  'no-denies-needed': { severity: 'notice', doc: "None of a role's denies meets its own allows: they only limit what other roles give." },
  'deny-everything': { severity: 'warning', doc: 'A deny of ">" silences every other role of whoever holds this one.' },
  'star-cuts-below': {
    severity: 'warning',
    doc: 'A subscribe allow ending in "*" is closed with a deny of what is below it, and that cuts an allow of another role.',
  },
  'queue-narrows-allow': {
    severity: 'warning',
    doc: 'Where an allow names a queue, nats-server admits no other queue to that subject, whatever plain allows say.',
  },
  'responses-bypass-deny': { severity: 'warning', doc: 'Replies opened by allow_responses are not held back by publish denies.' },
  'person-role': { severity: 'warning', doc: 'A role is for one person or device. Give roles to teams and write {{user}} in the subject.' },
  'unprovable-publisher': {
    severity: 'notice',
    doc: 'A publish allow holds no {{user}} or {{device}}, so a subject does not prove who sent the message.',
  },
  'long-ttl': { severity: 'warning', doc: 'User JWTs live longer than an hour, and role changes take that long.' },
  'long-session': { severity: 'warning', doc: 'Sessions last longer than a week without a proof.' },
  'long-person-session': { severity: 'warning', doc: 'Sessions of people last longer than a day without a tap.' },
  'long-code-session': {
    severity: 'warning',
    doc: 'Whoever talks a person into typing a code has the session: with login_by_code, keep it to an hour.',
  },
  'code-without-plain': {
    severity: 'warning',
    doc: 'login_by_code endorses plain sessions only, and plain_sessions is false: it gives nothing.',
  },
  'privileged-unguarded': {
    severity: 'warning',
    doc: 'A privileged role that asks neither for approval nor for device_bound or attestation: any passkey of a holder is enough.',
  },
  'unmeetable-attestation': {
    severity: 'warning',
    doc: 'Machines show no attestation certificate, so nobody of class machine meets this.',
  },
  'plain-sessions': {
    severity: 'notice',
    doc: 'Sessions for stock clients are bound to the nonce alone; a hostile server could relay them.',
  },
  'aaguid-claimed': {
    severity: 'notice',
    doc: 'An AAGUID says which model of authenticator only if the credential was attested; otherwise it is a claim.',
  },
  'empty-role': { severity: 'notice', doc: 'A role allows nothing.' },
  'empty-policy': { severity: 'warning', doc: 'The policy has no roles: nobody can connect.' },
} as const satisfies Record<string, { severity: 'warning' | 'notice'; doc: string }>

export type LintRule = keyof typeof LINT_RULES

export interface LintFinding {
  rule: LintRule
  severity: 'warning' | 'notice'
  line: number
  column: number
  path: string
  message: string
}

interface Found {
  rule: LintRule
  path: (string | number)[]
  detail: string
}

const sides = ['publish', 'subscribe'] as const

/** All findings of a valid policy, in the order of its lines. */
export function lintPolicy({ policy, locate }: Pick<ParsedPolicy, 'policy' | 'locate'>): LintFinding[] {
  const roles = [...policy.roles.values()]
  const found = [
    ...(roles.length === 0 ? [{ rule: 'empty-policy' as const, path: ['roles'], detail: '' }] : []),
    ...roles.flatMap((role) => [...settingFindings(role), ...allowFindings(role), ...denyFindings(role, policy)]),
    ...interplayFindings(roles),
    ...personRoles(roles),
    ...enrolmentFindings(policy),
  ]
  return found
    .map(({ rule, path, detail }) => finding({ rule, detail }, path, locate))
    .sort((a, b) => a.line - b.line || a.column - b.column)
}

function finding({ rule, detail }: { rule: LintRule; detail: string }, path: DocumentPath, locate: ParsedPolicy['locate']): LintFinding {
  const { severity, doc } = LINT_RULES[rule]
  return { rule, severity, ...locate(path), path: path.join('.'), message: detail === '' ? doc : `${doc} (${detail})` }
}

function settingFindings(role: Role): Found[] {
  const at = (key: string) => ['roles', role.name, key]
  const found: Found[] = []
  if (role.ttlSeconds > longTtlSeconds) found.push({ rule: 'long-ttl', path: at('ttl'), detail: '' })
  if ((role.sessionSeconds ?? 0) > longSessionSeconds) found.push({ rule: 'long-session', path: at('session'), detail: '' })
  if (role.plainSessions) found.push({ rule: 'plain-sessions', path: at('plain_sessions'), detail: '' })
  if (role.require.aaguids !== null && role.require.attestation === null)
    found.push({ rule: 'aaguid-claimed', path: [...at('require'), 'aaguids'], detail: '' })
  if (role.allowResponses !== null && role.publish.deny.length > 0)
    found.push({ rule: 'responses-bypass-deny', path: at('allow_responses'), detail: '' })
  if (role.publish.allow.length + role.subscribe.allow.length === 0)
    found.push({ rule: 'empty-role', path: ['roles', role.name], detail: '' })
  return [...found, ...peopleFindings(role)]
}

/** What matters only where people hold the role, or hold it no longer than they should. */
function peopleFindings({ name, sessionSeconds, plainSessions, loginByCode, privileged, require }: Role): Found[] {
  const found: Found[] = []
  const at = (...keys: string[]) => ['roles', name, ...keys]
  const session = sessionSeconds ?? DEFAULT_SESSION_SECONDS.person
  if (require.class === 'person' && session > longPersonSessionSeconds && session <= longSessionSeconds)
    found.push({ rule: 'long-person-session', path: at('session'), detail: '' })
  if (loginByCode && session > longCodeSessionSeconds) found.push({ rule: 'long-code-session', path: at('login_by_code'), detail: '' })
  if (loginByCode && !plainSessions) found.push({ rule: 'code-without-plain', path: at('login_by_code'), detail: '' })
  if (privileged && !require.approval && !require.deviceBound && require.attestation === null)
    found.push({ rule: 'privileged-unguarded', path: at('privileged'), detail: '' })
  if (require.class === 'machine' && require.attestation !== null)
    found.push({ rule: 'unmeetable-attestation', path: at('require', 'attestation'), detail: '' })
  return found
}

function enrolmentFindings({ personEnrolment: { aaguids, attestation } }: Policy): Found[] {
  if (aaguids === null || attestation !== 'none') return []
  return [{ rule: 'aaguid-claimed', path: ['enrolment', 'person', 'aaguids'], detail: '' }]
}

function allowFindings(role: Role): Found[] {
  return sides.flatMap((side) =>
    role[side].allow.flatMap((entry, i): Found[] => {
      const path = ['roles', role.name, side, 'allow', i]
      const { subject, queue } = subscribePattern(entry)
      const found: Found[] = []
      const first = subjectTokens(subject)[0] ?? ''
      const opensWide = first === '*' || first === '>'
      if (isReservedReach(subject)) found.push({ rule: 'reserved-reach', path, detail: entry })
      if (opensWide && side === 'subscribe') found.push({ rule: 'reads-inboxes', path, detail: entry })
      if (side === 'publish' && (opensWide || isInbox(subject))) found.push({ rule: 'forges-replies', path, detail: entry })
      if (side === 'publish' && !/\{\{(user|device)\}\}/.test(entry)) found.push({ rule: 'unprovable-publisher', path, detail: entry })
      const deny = role[side].deny.find((other) => !other.includes(' ') && covers(other, subject))
      if (deny !== undefined) found.push({ rule: 'shadowed-allow', path, detail: `"${entry}" by a deny of "${deny}"` })
      const wider = role[side].allow.find((other, j) => {
        const pattern = subscribePattern(other)
        // Of two equal entries the second is the redundant one.
        return j !== i && pattern.queue === queue && covers(pattern.subject, subject) && (pattern.subject !== subject || j < i)
      })
      if (wider !== undefined) found.push({ rule: 'redundant-allow', path, detail: `"${entry}" within "${wider}"` })
      return found
    }),
  )
}

function denyFindings(role: Role, policy: Policy): Found[] {
  return sides.flatMap((side) => {
    const denies = role[side].deny
    const meets = (deny: string, other: Role) =>
      other[side].allow.some((allow) => overlaps(subscribePattern(allow).subject, subscribePattern(deny).subject))
    const found: Found[] = []
    const useful = denies.map((deny) => [...policy.roles.values()].some((other) => meets(deny, other)))
    for (const [i, deny] of denies.entries()) {
      const path = ['roles', role.name, side, 'deny', i]
      if (useful[i] === false) found.push({ rule: 'useless-deny', path, detail: deny })
      else if (deny === '>') found.push({ rule: 'deny-everything', path, detail: '' })
    }
    if (useful.includes(true) && denies.every((deny) => !meets(deny, role))) {
      found.push({ rule: 'no-denies-needed', path: ['roles', role.name, side, 'deny'], detail: '' })
    }
    return found
  })
}

/** What goes wrong only when two roles of one account are held together. */
function interplayFindings(roles: readonly Role[]): Found[] {
  const found: Found[] = []
  for (const role of roles) {
    const below = deniesBelow(role.subscribe.allow)
    for (const other of roles) {
      if (other.account !== role.account) continue
      for (const [i, entry] of other.subscribe.allow.entries()) {
        const { subject, queue } = subscribePattern(entry)
        const path = ['roles', other.name, 'subscribe', 'allow', i]
        const cut = other === role ? undefined : below.find((deny) => overlaps(deny, subject) && !covers(subject, deny))
        if (cut !== undefined) found.push({ rule: 'star-cuts-below', path, detail: `"${entry}" by "${cut.slice(0, -2)}" of ${role.name}` })
        if (queue !== null) continue
        const narrowing = role.subscribe.allow.find((queued) => queued.includes(' ') && overlaps(subscribePattern(queued).subject, subject))
        if (narrowing !== undefined)
          found.push({ rule: 'queue-narrows-allow', path, detail: `"${entry}" by "${narrowing}" of ${role.name}` })
      }
    }
  }
  return found
}

// A role for one person shows in its name, or in having a twin that differs only by a name that stands in its subjects.
function personRoles(roles: readonly Role[]): Found[] {
  const found = (role: Role, detail: string): Found => ({ rule: 'person-role', path: ['roles', role.name], detail })
  const named = roles.filter(({ name }) => /^(user|person|u)[-_]./i.test(name))
  const shapes = new Map<string, Role[]>()
  for (const role of roles) {
    for (const shape of new Set(namesIn(role).map((token) => shapeWithout(role, token)))) {
      shapes.set(shape, [...(shapes.get(shape) ?? []), role])
    }
  }
  const twins = new Set([...shapes.values()].filter((alike) => alike.length > 1).flat())
  return [
    ...named.map((role) => found(role, role.name)),
    ...[...twins]
      .filter((role) => !named.includes(role))
      .map((role) => found(role, `${role.name} differs from another role only by a name`)),
  ]
}

function namesIn(role: Role): string[] {
  const tokens = new Set(
    sides.flatMap((side) => [...role[side].allow, ...role[side].deny]).flatMap((entry) => subjectTokens(subscribePattern(entry).subject)),
  )
  return [role.name, ...role.name.split(/[-_]/)].filter((part) => part !== '' && tokens.has(part))
}

function shapeWithout(role: Role, token: string): string {
  const blank = (entry: string) =>
    subjectTokens(entry)
      .map((part) => (part === token ? '?' : part))
      .join('.')
  return JSON.stringify([
    role.account,
    ...sides.map((side) => [role[side].allow.map(blank), role[side].deny.map(blank)]),
    role.name.replace(token, '?'),
  ])
}
