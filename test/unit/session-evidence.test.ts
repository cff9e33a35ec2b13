import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Loss } from '../../src/core/reconnect-pace.ts'
import { evidenceMin, REFUSAL_EVIDENCE, type Refusal, refusalAfter } from '../../src/core/session-evidence.ts'

const kind = (afterMs: number, { acceptedMs = 40, verdictMs = 1_000, loss = 'expired' as Loss | null, spreadMs = 0 } = {}): Refusal =>
  refusalAfter(afterMs, { acceptedMs, verdictMs, pace: { loss: () => loss, spreadMs: () => spreadMs } })

describe('a refusal', () => {
  test('that took as long as silence may is no verdict, whatever else is known', () => {
    for (const loss of ['expired', 'wanted', 'broken', null] as const) {
      for (const spreadMs of [0, 20_000]) assert.equal(kind(1_000, { loss, spreadMs }), 'unanswered')
    }
    assert.notEqual(kind(999), 'unanswered')
  })

  test('is measured by what the same path took to accept', () => {
    assert.equal(kind(5_999, { acceptedMs: 3_000 }), 'verdict')
    assert.equal(kind(6_000, { acceptedMs: 3_000 }), 'unanswered')
    assert.equal(kind(500, { acceptedMs: 1 }), 'verdict')
  })

  test('after a broken connection says little, also where nobody else is', () => {
    assert.equal(kind(10, { loss: 'broken' }), 'troubled')
    assert.equal(kind(10, { loss: 'broken', spreadMs: 20_000 }), 'troubled')
  })

  test('in a crowd says less than one in quiet', () => {
    assert.equal(kind(10, { spreadMs: 101 }), 'crowded')
    assert.equal(kind(10, { spreadMs: 100 }), 'verdict')
    assert.equal(kind(10, { loss: 'wanted' }), 'verdict')
  })

  test('counts the more the surer it is, and only a verdict is enough by itself', () => {
    const { verdict, crowded, troubled, unanswered } = REFUSAL_EVIDENCE
    assert.ok(verdict > crowded && crowded > troubled && troubled > unanswered && unanswered > 0)
    assert.ok(verdict >= evidenceMin && crowded < evidenceMin)
  })
})
