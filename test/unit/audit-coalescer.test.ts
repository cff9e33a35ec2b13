import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createCoalescer } from '../../src/audit/coalescer.ts'
import type { VerdictEvent } from '../../src/core/audit-event.ts'
import { unverifiedDenial } from '../support/audit-events.ts'

const limits = { perSecond: 20, totalPerSecond: 1_000, waitingMax: 100, sourcesMax: 10 }

function takeAll(coalescer: ReturnType<typeof createCoalescer>): VerdictEvent[] {
  const events: VerdictEvent[] = []
  for (let event = coalescer.take(); event !== null; event = coalescer.take()) events.push(event)
  return events
}
const countOf = (events: VerdictEvent[]) => events.reduce((sum, { count }) => sum + count, 0)

describe('coalescing', () => {
  test('gives each refusal its own record up to the bound, and one record to the rest of the second', () => {
    const coalescer = createCoalescer(limits)
    for (let i = 0; i < 50; i++) coalescer.add(unverifiedDenial('192.0.2.7', { at: 1000 + i, firstAt: 1000 + i, lastAt: 1000 + i }), i)
    assert.deepEqual(
      takeAll(coalescer).map(({ count }) => count),
      Array(20).fill(1),
    )
    coalescer.settle(999, { force: false })
    assert.equal(coalescer.take(), null)
    coalescer.settle(1000, { force: false })
    const [merged, ...others] = takeAll(coalescer)
    assert.deepEqual([merged?.count, merged?.firstAt, merged?.lastAt, others.length], [30, 1020, 1049, 0])
    assert.equal(merged?.connection?.clientHost, '192.0.2.7')
    assert.equal(coalescer.active, false)
  })

  test('another source, another reason or a verified refusal is counted for itself', () => {
    const coalescer = createCoalescer(limits)
    for (let i = 0; i < 20; i++) {
      coalescer.add(unverifiedDenial('192.0.2.7'), 0)
      coalescer.add(unverifiedDenial('192.0.2.8'), 0)
      coalescer.add(unverifiedDenial('192.0.2.7', { verdict: { outcome: 'denied', reason: 'sig_malformed' } }), 0)
      coalescer.add(unverifiedDenial('192.0.2.7', { verified: true }), 0)
    }
    assert.equal(takeAll(coalescer).length, 80)
    assert.equal(coalescer.size, 0)
  })

  test('a new second gives each source its records back', () => {
    const coalescer = createCoalescer(limits)
    for (let second = 0; second < 5; second++) {
      for (let i = 0; i < 20; i++) coalescer.add(unverifiedDenial('192.0.2.7'), second * 1000)
    }
    assert.equal(takeAll(coalescer).length, 100)
  })

  test('does not change the events it is given: the log and the metrics count them too', () => {
    const coalescer = createCoalescer({ ...limits, perSecond: 0 })
    const events = [unverifiedDenial('192.0.2.7'), unverifiedDenial('192.0.2.7')]
    for (const event of events) coalescer.add(event, 0)
    coalescer.settle(0, { force: true })
    assert.equal(coalescer.take()?.count, 2)
    assert.deepEqual(
      events.map(({ count }) => count),
      [1, 1],
    )
  })

  test('more sources than it keeps are merged without a source, never dropped', () => {
    const coalescer = createCoalescer({ ...limits, perSecond: 1 })
    for (let i = 0; i < 1000; i++) coalescer.add(unverifiedDenial(`2001:db8::${i}`), 0)
    coalescer.settle(1000, { force: false })
    const events = takeAll(coalescer)
    assert.equal(countOf(events), 1000)
    assert(events.length <= 12)
    const [sourceless] = events.filter(({ connection }) => connection === null).sort((a, b) => b.count - a.count)
    assert.equal(sourceless?.count, 989)
  })

  test('a flood from many sources gets so many records a second in all, and then one a second for each', () => {
    const coalescer = createCoalescer({ ...limits, totalPerSecond: 30 })
    for (let i = 0; i < 500; i++) coalescer.add(unverifiedDenial(`192.0.2.${i % 5}`), i)
    assert.deepEqual(
      takeAll(coalescer).map(({ count }) => count),
      Array(30).fill(1),
    )
    coalescer.settle(1_500, { force: false })
    const merged = takeAll(coalescer)
    assert.deepEqual([merged.length, countOf(merged)], [5, 470])
  })

  test('one refusal amid a flood of others keeps a record of its own, and all it says', () => {
    const coalescer = createCoalescer({ ...limits, totalPerSecond: 10 })
    for (let i = 0; i < 100; i++) coalescer.add(unverifiedDenial('192.0.2.66'), 0)
    coalescer.add(unverifiedDenial('192.0.2.7', { id: 'the one' }), 1)
    coalescer.settle(1_001, { force: false })
    const one = takeAll(coalescer).find(({ id }) => id === 'the one')
    assert.deepEqual([one?.count, one?.connection?.clientHost], [1, '192.0.2.7'])
  })

  test('while nothing is taken, memory is bounded and the merged records go on counting', () => {
    const coalescer = createCoalescer(limits)
    for (let i = 0; i < 100_000; i++) {
      coalescer.add(unverifiedDenial(`192.0.2.${i % 7}`), i)
      if (i % 250 === 0) coalescer.settle(i, { force: false })
    }
    assert(coalescer.size <= limits.waitingMax + limits.sourcesMax + 2)
    assert.equal(coalescer.verdicts, 100_000)
    coalescer.settle(100_000, { force: true })
    assert.equal(countOf(takeAll(coalescer)), 100_000)
  })

  test('property: what comes out counts exactly what went in, in bounded memory, at most 20 records a second and source', () => {
    const step = fc.oneof(
      {
        weight: 20,
        arbitrary: fc.record({
          do: fc.constant('add' as const),
          source: fc.integer({ min: 0, max: 14 }),
          reason: fc.constantFrom('sig_missing' as const, 'sig_malformed' as const),
          times: fc.integer({ min: 1, max: 40 }),
        }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 1500 }) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant('take' as const), times: fc.integer({ min: 0, max: 60 }) }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const coalescer = createCoalescer(limits)
        const taken: VerdictEvent[] = []
        let now = 0
        let added = 0
        for (const each of steps) {
          if (each.do === 'wait') {
            now += each.ms
            coalescer.settle(now, { force: false })
          } else if (each.do === 'take') {
            for (let i = 0; i < each.times; i++) taken.push(...[coalescer.take()].filter((event) => event !== null))
          } else {
            for (let i = 0; i < each.times; i++) {
              coalescer.add(
                unverifiedDenial(`192.0.2.${each.source}`, {
                  verdict: { outcome: 'denied', reason: each.reason },
                  at: now + 1,
                  firstAt: now + 1,
                  lastAt: now + 1,
                }),
                now,
              )
            }
            added += each.times
          }
          assert.equal(coalescer.verdicts + countOf(taken), added)
          assert(coalescer.size <= limits.waitingMax + 2 * limits.sourcesMax + 4)
        }
        coalescer.settle(now, { force: true })
        taken.push(...takeAll(coalescer))
        assert.equal(countOf(taken), added)
        assert.equal(coalescer.size + coalescer.verdicts, 0)
        assert.equal(new Set(taken.map(({ id }) => id)).size, taken.length)
        for (const { firstAt, lastAt } of taken) assert(firstAt <= lastAt)
        const alone = taken.filter(({ count }) => count === 1)
        for (const event of alone) {
          const same = alone.filter(
            (other) =>
              other.firstAt === event.firstAt &&
              other.verdict.reason === event.verdict.reason &&
              other.connection !== null &&
              other.connection.clientHost === event.connection?.clientHost,
          )
          assert(same.length <= limits.perSecond + 1)
        }
      }),
      { numRuns: 300 },
    )
  })
})
