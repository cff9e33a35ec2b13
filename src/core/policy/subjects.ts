/** Subjects in NATS's syntax: which are well-formed, and what they match. Templates count as one unknown token. */
import { isTemplateToken, subjectTokens } from './template.ts'

const subjectCharsMax = 256
const subjectTokensMax = 32

/** A subscribe entry: a subject, and the queue name it is limited to, which may hold wildcards too. */
export interface SubscribePattern {
  subject: string
  queue: string | null
}

/** Why `subject` is no subject pattern of a policy, or null when it is one. */
export function subjectProblem(subject: string): string | null {
  if (subject === '') return 'a subject is empty'
  if (subject.length > subjectCharsMax) return `a subject is longer than ${subjectCharsMax} characters`
  if (/\s/.test(subject)) return 'a subject contains white space'
  if (!/^[\x21-\x7e]+$/.test(subject)) return 'a subject contains control or non-ASCII characters'
  const tokens = subjectTokens(subject)
  if (tokens.length > subjectTokensMax) return `a subject has more than ${subjectTokensMax} tokens`
  for (const [i, token] of tokens.entries()) {
    if (token === '') return 'a subject has an empty token'
    if (token === '>' && i < tokens.length - 1) return '">" stands for the rest of a subject, so it must come last'
    // nats-server would take "order*" for those six characters, which is never what was meant.
    if (token.length > 1 && /[*>]/.test(token)) return `"${token}": a wildcard must be a whole token`
    if (/[{}]/.test(token) && !isTemplateToken(token)) {
      return `"${token}": a template is a whole token, one of {{user}}, {{device}}, {{role}}, {{claim.NAME}}`
    }
  }
  return null
}

/** Why `entry` is no subscribe entry ("subject" or "subject queue"), or null when it is one. */
export function subscribeEntryProblem(entry: string): string | null {
  const space = entry.indexOf(' ')
  if (space < 0) return subjectProblem(entry)
  const queue = entry.slice(space + 1)
  if (/[{}]/.test(queue)) return 'a queue name cannot hold a template'
  const problem = subjectProblem(queue)
  return subjectProblem(entry.slice(0, space)) ?? (problem === null ? null : `the queue name: ${problem}`)
}

/** Takes a valid subscribe entry apart. */
export function subscribePattern(entry: string): SubscribePattern {
  const space = entry.indexOf(' ')
  return space < 0 ? { subject: entry, queue: null } : { subject: entry.slice(0, space), queue: entry.slice(space + 1) }
}

/** Whether `subject` can be published to: a pattern without wildcards and templates. */
export function isLiteral(subject: string): boolean {
  return subjectTokens(subject).every((token) => token !== '*' && token !== '>' && !isTemplateToken(token))
}

/** Whether every subject that `inner` matches is matched by `outer` too. */
export function covers(outer: string, inner: string): boolean {
  const a = subjectTokens(outer)
  const b = subjectTokens(inner)
  for (const [i, token] of a.entries()) {
    if (token === '>') return b.length > i
    const other = b[i]
    if (other === undefined || other === '>') return false
    // A template equals itself: within one identity it has one value.
    if (token !== '*' && token !== other) return false
  }
  return a.length === b.length
}

/** Whether some subject is matched by both. A template may turn out to be any one token. */
export function overlaps(left: string, right: string): boolean {
  const a = subjectTokens(left)
  const b = subjectTokens(right)
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const one = a[i]
    const other = b[i]
    if (one === undefined || other === undefined) return false
    if (one === '>' || other === '>') return true
    if (one !== other && !isOpen(one) && !isOpen(other)) return false
  }
  return true
}

function isOpen(token: string): boolean {
  return token === '*' || isTemplateToken(token)
}

/**
 * Whether an allow reaches subjects that belong to NATS itself ($SYS, $JS, $KV, $O, …, and the replies between accounts
 * and clusters) or might: its first token is a wildcard. `$SRV` is where micro services answer, which is an application's
 * business.
 */
export function isReservedReach(subject: string): boolean {
  const first = subjectTokens(subject)[0] ?? ''
  return ['*', '>', '_R_', '_GR_'].includes(first) || (first.startsWith('$') && first !== '$SRV')
}

/** Whether the first token is an inbox prefix: `_INBOX`, or `_INBOX_` and a name. */
export function isInbox(subject: string): boolean {
  const first = subjectTokens(subject)[0] ?? ''
  return first === '_INBOX' || first.startsWith('_INBOX_')
}

/**
 * What a subscribe allow whose last token is `*` lets through beyond itself, or null. nats-server compares a
 * subscription's tokens as they are written, and `*` matches the token `>`: "orders.*" admits a subscription to
 * "orders.>", and with it everything below.
 */
export function reachBelow(subject: string): string | null {
  return subject === '*' || subject.endsWith('.*') ? `${subject}.>` : null
}

/**
 * Whether some subscription that `allow` admits gets around `deny` on a nats-server before 2.15. There a deny filters a
 * wildcard subscription only if it lies wholly within it: "orders.*.x" is let past a deny of "orders.secret.>".
 */
export function isDenyAvoidable(deny: string, allow: string): boolean {
  const denied = subjectTokens(deny)
  const allowed = subjectTokens(allow)
  // A deny of one literal subject lies within every subscription that could receive it.
  if (denied.every(isSpecific) || covers(deny, allow)) return false
  const last = allowed.length - 1
  const endsOpen = allowed[last] === '>'
  if (!overlaps(deny, [...allowed.slice(0, -1), reachBelow(allow) === null ? (allowed[last] ?? '') : '>'].join('.'))) return false
  // The subscription has a wildcard where the deny is specific …
  if (denied.some((token, i) => isSpecific(token) && (allowed[i] === '*' || (endsOpen && i >= last)))) return true
  // … or ends in ">" before the deny does, and is specific where the deny has a wildcard.
  const end = denied.length - 2
  if (endsOpen) return end >= last && denied.slice(0, end).includes('*')
  return allowed[last] === '*' && end >= last && denied.slice(0, last).includes('*')
}

function isSpecific(token: string): boolean {
  return token !== '*' && token !== '>'
}

/** Whether nats-server lets `entry` stand for a subscription: it compares tokens as written, so `*` matches `>` too. */
export function admits(entry: string, subscription: string): boolean {
  const pattern = subjectTokens(entry)
  const tokens = subjectTokens(subscription)
  for (const [i, token] of pattern.entries()) {
    if (token === '>') return tokens.length > i
    if (tokens[i] === undefined || (token !== '*' && token !== tokens[i])) return false
  }
  return pattern.length === tokens.length
}
