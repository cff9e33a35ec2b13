/** Handles of new people: always well formed, never twice the same for one person's search. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseHandle } from '../../src/core/identifiers.ts'
import { readClaims } from '../../src/core/people/claim-mapping.ts'
import { handleCandidates } from '../../src/core/people/person-handle.ts'
import { mappingFor, statementOf } from '../support/people-world.ts'

const hint = fc.stringMatching(/^[a-z0-9_-]{1,90}$/)
const who = fc.record({ issuer: fc.webUrl(), subject: fc.string({ minLength: 1, maxLength: 255 }) })

test('begins with the hint itself, then counts', () => {
  const [first, second, third] = handleCandidates('alice', { issuer: 'https://idp.example', subject: '1' })
  assert.deepEqual([first, second, third], ['alice', 'alice-2', 'alice-3'])
})

test('keeps the number where the hint fills the handle', () => {
  const [first, second] = handleCandidates('a'.repeat(64), { issuer: 'https://idp.example', subject: '1' })
  assert.deepEqual([first, second], ['a'.repeat(64), `${'a'.repeat(62)}-2`])
})

test('gives well-formed handles, none of them twice', () => {
  fc.assert(
    fc.property(hint, who, (text, person) => {
      const candidates = [...handleCandidates(text, person)]
      for (const handle of candidates) assert.equal(parseHandle(handle), handle)
      assert.equal(new Set(candidates).size, candidates.length)
    }),
  )
})

test('gives two people of one name two last handles, also with the same subject at two issuers', () => {
  fc.assert(
    fc.property(hint, who, who, (text, one, other) => {
      fc.pre(one.issuer !== other.issuer || one.subject !== other.subject)
      assert.notEqual([...handleCandidates(text, one)].at(-1), [...handleCandidates(text, other)].at(-1))
    }),
  )
})

test('does not mistake a subject for a part of the issuer', () => {
  const one = [...handleCandidates('alice', { issuer: 'https://idp.example/a', subject: 'b' })].at(-1)
  const other = [...handleCandidates('alice', { issuer: 'https://idp.example/', subject: 'ab' })].at(-1)
  assert.notEqual(one, other)
})

test('makes a handle of whatever a provider calls a person', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.anything()), fc.constantFrom('', 'p-'), (claim, prefix) => {
      const claims = readClaims(statementOf('corp', { preferred_username: claim }), mappingFor(prefix))
      assert.ok(claims.ok)
      const [first] = handleCandidates(claims.value.handleHint, { issuer: 'https://idp.example', subject: '1' })
      assert.ok(first?.startsWith(prefix))
      assert.equal(parseHandle(first), first)
    }),
  )
})
