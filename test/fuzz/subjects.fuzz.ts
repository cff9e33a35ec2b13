import assert from 'node:assert/strict'
import { parseRoleName, type RoleName } from '../../src/core/identifiers.ts'
import {
  admits,
  covers,
  isLiteral,
  overlaps,
  subjectProblem,
  subscribeEntryProblem,
  subscribePattern,
} from '../../src/core/policy/subjects.ts'
import { compileSubject, expandSubject, isSafeTokenValue, subjectTokens } from '../../src/core/policy/template.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const role = parseRoleName('writers') as RoleName

/** Two subjects and a claim, one a line: relations between patterns, and templates whose values stay one token. */
export const subjects: FuzzTarget = {
  name: 'subjects',
  seeds: () =>
    [
      'orders.{{user}}.>\norders.*.x\nblue',
      'a.{{claim.team}}.b\na.b.c\nblue',
      'work.* workers\nwork.> workers\nx',
      '{{claim.a-b}}.{{device}}\n>\n{{user}}',
      '_INBOX.>\n$SRV.PING\n_R_',
      'a.{{role}}\n*.*\n$SYS',
    ].map(bytesOf),
  dictionary: [
    '{{user}}',
    '{{claim.x}}',
    '{{role}}',
    '{{device}}',
    '.>',
    '.*',
    '>',
    '*',
    '..',
    ' ',
    '$SYS',
    '_INBOX',
    '\n',
    '{{',
    '}}',
    '_R_',
    '_GR_',
  ],
  shape: 'text',
  run(input) {
    const [one = '', other = '', value = ''] = textOf(input).split('\n')
    const entry = subscribeEntryProblem(one) === null ? subscribePattern(one) : null
    if (entry !== null) assert.equal(entry.queue === null ? entry.subject : `${entry.subject} ${entry.queue}`, one)
    if (subjectProblem(one) !== null) return
    filledIn(one, value)
    if (subjectProblem(other) === null) related(one, other)
  },
}

function related(one: string, other: string): void {
  assert.ok(covers(one, one) && overlaps(one, one) && covers('>', one))
  assert.equal(overlaps(one, other), overlaps(other, one))
  if (covers(one, other)) assert.ok(overlaps(one, other))
  if (covers(one, other) && covers(other, one)) assert.equal(one, other)
  // Between subjects that can be published to, all of these are equality.
  if (isLiteral(one) && isLiteral(other))
    assert.deepEqual([covers(one, other), overlaps(one, other), admits(one, other)], Array(3).fill(one === other))
  if (covers(one, other) && isLiteral(other)) assert.ok(admits(one, other))
}

function filledIn(subject: string, value: string): void {
  const names = [...subject.matchAll(/\{\{claim\.([^}]*)\}\}/g)].map(([, name]) => name as string)
  const values = { user: 'orders', device: 'A'.repeat(43), claims: Object.fromEntries(names.map((name) => [name, value])) }
  const expanded = expandSubject(compileSubject(subject, role), values)
  if (expanded === null) {
    assert.ok(names.length > 0 && !isSafeTokenValue(value))
    return
  }
  // A value is one token: it adds no level and no wildcard, whatever it is.
  const [before, after] = [subjectTokens(subject), expanded.split('.')]
  assert.equal(after.length, before.length)
  for (const [i, token] of before.entries()) if (!token.includes('{{')) assert.equal(after[i], token)
  const wild = (tokens: string[]) => tokens.filter((token) => /[*>]/.test(token)).length
  assert.equal(wild(after), wild(before))
  // Another value gives another subject.
  if (names.length > 0)
    assert.notEqual(
      expandSubject(compileSubject(subject, role), { ...values, claims: Object.fromEntries(names.map((name) => [name, `${value}x`])) }),
      expanded,
    )
}
