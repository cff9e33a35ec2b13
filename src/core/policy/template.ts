/**
 * Templates in subjects: `{{user}}`, `{{device}}`, `{{role}}` and `{{claim.NAME}}`, each a whole subject token. A value
 * that could be anything else than one plain token is refused, never interpolated.
 */
import type { RoleName } from '../identifiers.ts'

const valueCharsMax = 128
const templatePattern = /^\{\{(?:(user|device|role)|claim\.([A-Za-z0-9_-]{1,64}))\}\}$/

/** What fills the templates of one identity on one device. */
export interface TemplateValues {
  user: string
  device: string
  claims: Readonly<Record<string, string>>
}

type Part = string | { from: 'user' | 'device' } | { claim: string }

/** A subject whose templates were found once, at parse time; plain text when there are none. */
export type CompiledSubject = string | readonly Part[]

/** The tokens of a subject. A dot inside `{{claim.NAME}}` separates nothing. */
export function subjectTokens(subject: string): string[] {
  return subject.split(/\.(?![^{}]*\}\})/)
}

/** Whether `token` is one of the templates there are. */
export function isTemplateToken(token: string): boolean {
  return templatePattern.test(token)
}

/** Whether a value may stand as a token: printable ASCII without `.`, `*`, `>`, and nothing that names reserved subjects. */
export function isSafeTokenValue(value: string): boolean {
  if (value.length > valueCharsMax || !/^[\x21-\x7e]+$/.test(value) || /[.*>]/.test(value)) return false
  // As the first token such a value would reach $SYS, $JS, other people's inboxes, or replies between accounts and clusters.
  return !/^(\$|_INBOX|_G?R_$)/.test(value)
}

/** Finds the templates of a validated subject (or "subject queue"); `{{role}}` is the role it stands in, so it is filled in here. */
export function compileSubject(subject: string, role: RoleName): CompiledSubject {
  const [pattern = '', ...queue] = subject.split(' ')
  const parts: Part[] = []
  let text = ''
  for (const [i, token] of subjectTokens(pattern).entries()) {
    if (i > 0) text += '.'
    const found = templatePattern.exec(token)
    if (found === null) text += token
    else if (found[1] === 'role') text += role
    else {
      if (text !== '') parts.push(text)
      parts.push(found[2] === undefined ? { from: found[1] === 'user' ? 'user' : 'device' } : { claim: found[2] })
      text = ''
    }
  }
  text += queue.map((name) => ` ${name}`).join('')
  if (parts.length === 0) return text
  return text === '' ? parts : [...parts, text]
}

/** The subject with its values, or null when one of them is missing or not a single safe token. */
export function expandSubject(compiled: CompiledSubject, values: TemplateValues): string | null {
  if (typeof compiled === 'string') return compiled
  let out = ''
  for (const part of compiled) {
    if (typeof part === 'string') {
      out += part
      continue
    }
    const value = 'from' in part ? values[part.from] : claim(values.claims, part.claim)
    if (value === undefined || !isSafeTokenValue(value)) return null
    out += value
  }
  return out
}

function claim(claims: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}
