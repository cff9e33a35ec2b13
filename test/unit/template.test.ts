import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseRoleName, type RoleName } from '../../src/core/identifiers.ts'
import { subjectProblem } from '../../src/core/policy/subjects.ts'
import { compileSubject, expandSubject, isSafeTokenValue, subjectTokens } from '../../src/core/policy/template.ts'
import { anyText } from '../support/any-text.ts'

const role = parseRoleName('writers') as RoleName
const values = { user: 'alice', device: 'dEv-1_x', claims: { dept: 'sales' } }
const expand = (subject: string, claims: Record<string, string> = values.claims) =>
  expandSubject(compileSubject(subject, role), { ...values, claims })

describe('filling in templates', () => {
  const cases = {
    'orders.>': 'orders.>',
    'orders.{{user}}.>': 'orders.alice.>',
    '{{user}}': 'alice',
    '{{user}}.{{device}}.{{role}}.{{claim.dept}}': 'alice.dEv-1_x.writers.sales',
    'a.{{claim.dept}}': 'a.sales',
    'a.{{role}}.b queue': 'a.writers.b queue',
    '{{user}} v1.*': 'alice v1.*',
  }
  for (const [subject, expected] of Object.entries(cases))
    test(`${subject} becomes ${expected}`, () => assert.equal(expand(subject), expected))

  test('a dot inside a template separates nothing', () =>
    assert.deepEqual(subjectTokens('a.{{claim.dept}}.b'), ['a', '{{claim.dept}}', 'b']))
  test('a subject without templates is kept as it is', () => assert.equal(compileSubject('a.{{role}}.>', role), 'a.writers.>'))

  const attacks = [
    '',
    'a.b',
    '.',
    '*',
    '>',
    'a>',
    'a*',
    'a b',
    ' ',
    '\t',
    'a\nb',
    'a\r',
    '\u0000',
    '\u007f',
    '\u0080',
    'ä',
    '日本',
    '\u202e',
    '\uff0e',
    'x'.repeat(129),
    '$SYS',
    '$JS',
    '$',
    '_INBOX',
    '_INBOX_bob',
    '_INBOX.x',
    '_R_',
    '_GR_',
  ]
  for (const value of attacks) {
    test(`refuses the claim value ${JSON.stringify(value).slice(0, 30)}`, () => {
      assert.equal(expand('a.{{claim.x}}.b', { x: value }), null)
      assert.equal(expand('{{claim.x}}', { x: value }), null)
    })
  }
  test('refuses a missing claim', () => assert.equal(expand('a.{{claim.none}}'), null))
  test('finds no claims in the prototype', () => {
    for (const name of ['toString', 'constructor', '__proto__', 'hasOwnProperty']) assert.equal(expand(`a.{{claim.${name}}}`), null)
  })
  test('does not fill in what a value brought along', () => assert.equal(expand('a.{{claim.x}}', { x: '{{user}}' }), 'a.{{user}}'))
  test('accepts 128 characters', () => assert.equal(expand('{{claim.x}}', { x: 'x'.repeat(128) }), 'x'.repeat(128)))

  test('whatever the value, the subject keeps its number of tokens and gains no wildcard', () => {
    fc.assert(
      fc.property(fc.oneof(anyText(), fc.string({ unit: fc.constantFrom('.', '*', '>', ' ', 'a', '$') })), (value) => {
        const expanded = expand('a.{{claim.x}}.b', { x: value })
        if (expanded === null) return true
        return (
          isSafeTokenValue(value) &&
          expanded.split('.').length === 3 &&
          (subjectProblem(expanded) === null || /[{}]/.test(value)) &&
          !/[*>]/.test(expanded)
        )
      }),
      { numRuns: 3000 },
    )
  })
})
