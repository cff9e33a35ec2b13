import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createSignatureLimits } from '../../src/core/failed-signatures.ts'
import { Generations } from '../../src/core/generations.ts'
import type { CredentialKey } from '../../src/core/identifiers.ts'
import type { SignatureLimitPort } from '../../src/core/ports.ts'

const at = (seconds: number) => new Date(Date.parse('2026-01-05T12:00:00Z') + seconds * 1000)
const attempt = (source: string, credential: string) => ({ source, credential: credential as CredentialKey })

/** Failures in a row, as decide makes them: asked first, counted only when checked. How many were checked, and why no more. */
function failures(
  limits: SignatureLimitPort,
  tries: number,
  { from, of, now = at(0) }: { from: (i: number) => string; of: string; now?: Date },
) {
  let checked = 0
  const refusals = new Set<string>()
  for (let i = 0; i < tries; i++) {
    const one = attempt(from(i), of)
    const refusal = limits.refusal(one, now)
    if (refusal !== null) {
      refusals.add(refusal)
      continue
    }
    checked++
    limits.failed(one, now)
  }
  return { checked, refusals: [...refusals] }
}

describe('limits of failed signatures', () => {
  test('of one source for one credential are ten a minute', () => {
    const limits = createSignatureLimits({ perSource: 120, perCredential: 60 })
    assert.deepEqual(failures(limits, 1_000, { from: () => 'evil', of: 'victim' }), { checked: 10, refusals: ['credential_limited'] })
    assert.equal(failures(limits, 1_000, { from: () => 'evil', of: 'victim', now: at(6) }).checked, 1)
    assert.equal(failures(limits, 1_000, { from: () => 'evil', of: 'victim', now: at(3_600) }).checked, 10)
  })

  test('of one source for many credentials: once it failed too often, each credential is heard once', () => {
    const limits = createSignatureLimits({ perSource: 30, perCredential: 60 })
    for (let i = 0; i < 3; i++) assert.equal(failures(limits, 10, { from: () => 'evil', of: `victim ${i}` }).checked, 10)
    assert.deepEqual(failures(limits, 100, { from: () => 'evil', of: 'victim 3' }), { checked: 1, refusals: ['source_limited'] })
  })

  test('of one credential from everywhere: once it failed too often, each source is heard once', () => {
    const limits = createSignatureLimits({ perSource: 1_000, perCredential: 60 })
    assert.equal(failures(limits, 60, { from: (i) => `bot ${i % 6}`, of: 'victim' }).checked, 60)
    assert.deepEqual(failures(limits, 10_000, { from: (i) => `new bot ${i % 100}`, of: 'victim' }), {
      checked: 100,
      refusals: ['credential_limited'],
    })
  })

  test('do not shut out the owner from elsewhere: not one that was there before, not one that comes from a new address', () => {
    const limits = createSignatureLimits({ perSource: 120, perCredential: 60 })
    limits.proved(attempt('home', 'victim'), at(-3_600))
    failures(limits, 20_000, { from: (i) => `bot ${i % 2_000}`, of: 'victim' })
    assert.equal(limits.refusal(attempt('home', 'victim'), at(1)), null)
    assert.equal(limits.refusal(attempt('hotel', 'victim'), at(1)), null)
  })

  test("do not shut out others behind the attacker's address", () => {
    const limits = createSignatureLimits({ perSource: 20, perCredential: 60 })
    for (let i = 0; i < 50; i++) failures(limits, 10, { from: () => 'shared', of: `guess ${i}` })
    assert.equal(limits.refusal(attempt('shared', 'neighbour'), at(0)), null)
  })

  test('do not count what others did against who proved themselves there and fails now and then', () => {
    const limits = createSignatureLimits({ perSource: 20, perCredential: 20 })
    const home = attempt('home', 'victim')
    limits.proved(home, at(-60))
    for (const other of ['another', 'yet another']) assert.equal(failures(limits, 500, { from: () => 'home', of: other }).checked, 10)
    failures(limits, 500, { from: (i) => `bot ${i}`, of: 'victim' })
    limits.failed(home, at(0))
    assert.equal(limits.refusal(home, at(0)), null)
    // Whoever has not proven anything there has spent what the source had.
    limits.failed(attempt('home', 'third'), at(0))
    assert.equal(limits.refusal(attempt('home', 'third'), at(0)), 'source_limited')
  })

  test('hold for who proved themselves too: nobody fails without end', () => {
    const limits = createSignatureLimits({ perSource: 120, perCredential: 60 })
    limits.proved(attempt('home', 'own'), at(0))
    assert.deepEqual(failures(limits, 100, { from: () => 'home', of: 'own' }), { checked: 10, refusals: ['credential_limited'] })
  })

  test('trust a proof for a day', () => {
    const limits = createSignatureLimits({ perSource: 1, perCredential: 60 })
    const pair = attempt('home', 'own')
    limits.proved(pair, at(0))
    const day = 86_400
    failures(limits, 1, { from: () => 'home', of: 'other', now: at(day) })
    limits.failed(pair, at(day - 0.001))
    assert.equal(limits.refusal(pair, at(day + 59.9)), 'credential_limited')
    assert.equal(limits.refusal(attempt('home', 'other'), at(day)), 'credential_limited')
  })

  test('are no tighter after a clock went back', () => {
    const limits = createSignatureLimits({ perSource: 120, perCredential: 60 })
    failures(limits, 5, { from: () => 'evil', of: 'victim', now: at(3_600) })
    assert.equal(failures(limits, 100, { from: () => 'evil', of: 'victim', now: at(0) }).checked, 5)
  })

  test('property: whatever the order, no source and credential is checked more often than its bucket has', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), { maxLength: 600 }), (tries) => {
        const limits = createSignatureLimits({ perSource: 20, perCredential: 15 })
        const checked = new Map<string, number>()
        for (const [source, credential] of tries) {
          const one = attempt(`s${source}`, `c${credential}`)
          if (limits.refusal(one, at(0)) !== null) continue
          limits.failed(one, at(0))
          for (const key of [one.source, one.credential, `${one.source} ${one.credential}`]) checked.set(key, (checked.get(key) ?? 0) + 1)
        }
        // One more for each pair that had not failed before.
        for (const [key, count] of checked)
          assert.ok(count <= (key.includes(' ') ? 10 : key.startsWith('s') ? 20 + 4 : 15 + 4), `${key}: ${count}`)
      }),
    )
  })
})

describe('generations', () => {
  test('never hold more than they may, and what was set last is there', () => {
    const kept = new Generations<number>(100)
    for (let i = 0; i < 100_000; i++) {
      kept.set(`key ${i}`, i)
      assert.ok(kept.size <= 100)
    }
    for (let i = 99_950; i < 100_000; i++) assert.equal(kept.get(`key ${i}`), i)
    assert.equal(kept.get('key 0'), undefined)
  })

  test('have the last value of a key, and none after it was deleted', () => {
    const kept = new Generations<number>(8)
    for (const [key, value] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ['a', 4],
    ] as const)
      kept.set(key, value)
    assert.deepEqual([kept.get('a'), kept.get('b')], [4, 2])
    kept.delete('a')
    assert.equal(kept.get('a'), undefined)
  })
})
