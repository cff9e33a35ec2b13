import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { AuditRecord } from '../../src/audit/audit-record.ts'
import { createAuditPublisher } from '../../src/audit/publisher.ts'
import type { RecordSink } from '../../src/audit/record-sink.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { lifecycleEvent, unverifiedDenial, verdictEvent } from '../support/audit-events.ts'
import { type ManualClock, manualClock, settled } from '../support/manual-clock.ts'

const ackBudgetMs = 400
const origin = { source: 'nats-webauthn/test', version: '0.1.0' }

/** Streams in memory that deduplicate as JetStream does, and can be made to fail. */
function memorySink(clock: ManualClock) {
  const stored = new Map<string, AuditRecord>()
  const sink = {
    /** How an attempt goes: stored at once, refused at once, never answered, or stored without an answer. */
    mode: 'up' as 'up' | 'refusing' | 'silent' | 'ack lost',
    down: null as string | null,
    attempts: 0,
    stored,
    async publish(record: AuditRecord, timeoutMs: number) {
      sink.attempts++
      const mode = sink.down === record.stream ? 'refusing' : sink.mode
      if (mode === 'refusing') throw new Error('maximum bytes exceeded')
      if (mode !== 'silent') {
        const duplicate = stored.has(record.id)
        if (!duplicate) stored.set(record.id, record)
        if (mode === 'up') return { duplicate }
      }
      return new Promise<never>((_, reject) => void clock.after(timeoutMs, () => reject(new Error('timeout'))))
    },
  }
  return sink satisfies RecordSink
}

function startPublisher() {
  const clock = manualClock()
  const sink = memorySink(clock)
  const seen: string[] = []
  let coalesced = 0
  const publisher = createAuditPublisher({
    sink,
    origin,
    clock,
    ackBudgetMs,
    observer: {
      published: (stream, outcome) => void seen.push(`${stream} ${outcome}`),
      coalesced: (verdicts) => {
        coalesced += verdicts
      },
    },
  })
  const storedCount = () => [...sink.stored.values()].reduce((sum, { body }) => sum + (JSON.parse(body).count ?? 1), 0)
  return { clock, sink, seen, publisher, storedCount, coalesced: () => coalesced }
}

const grant = () => verdictEvent({ outcome: 'granted', reason: 'proof' })

describe('a record that is waited for', () => {
  test('is stored when it resolves', async () => {
    const { publisher, sink, seen } = startPublisher()
    await publisher.audit.record(grant())
    assert.equal(sink.stored.size, 1)
    assert.deepEqual(seen, ['WEBAUTHN_AUDIT stored'])
  })

  for (const mode of ['refusing', 'silent', 'ack lost'] as const) {
    test(`throws AuditUnavailable within the budget when the stream is ${mode}`, async () => {
      const { publisher, sink, clock } = startPublisher()
      sink.mode = mode
      const outcome = publisher.audit.record(grant()).then(
        () => 'stored',
        (cause) => cause,
      )
      await clock.advance(ackBudgetMs)
      const cause = await outcome
      assert(cause instanceof AuditUnavailable)
      assert.equal(sink.stored.size, mode === 'ack lost' ? 1 : 0)
      assert(sink.attempts <= 5)
    })
  }

  test('is tried again under the same id within the budget, and stored once', async () => {
    const { publisher, sink, clock, seen } = startPublisher()
    sink.mode = 'refusing'
    const done = publisher.audit.record(grant())
    await settled()
    sink.mode = 'up'
    await clock.advance(50)
    await done
    assert.equal(sink.stored.size, 1)
    assert.deepEqual(seen, ['WEBAUTHN_AUDIT failed', 'WEBAUTHN_AUDIT stored'])
  })

  test('a lifecycle record is durable or throws', async () => {
    const { publisher, sink, clock } = startPublisher()
    await publisher.lifecycle.record(lifecycleEvent({ area: 'credential', outcome: 'succeeded', reason: 'revoked' }))
    sink.mode = 'silent'
    const outcome = publisher.lifecycle.record(lifecycleEvent({ area: 'credential', outcome: 'succeeded', reason: 'revoked' })).then(
      () => null,
      (cause) => cause,
    )
    await clock.advance(2000)
    assert((await outcome) instanceof AuditUnavailable)
  })

  test('its error says nothing of what it held', async () => {
    const { publisher, sink, clock } = startPublisher()
    sink.mode = 'refusing'
    const outcome = publisher.audit.record(grant()).catch((cause: Error) => `${cause.message} ${(cause.cause as Error).message}`)
    await clock.advance(ackBudgetMs)
    assert.doesNotMatch(String(await outcome), /alice|dGhlIG|192\.0\.2/)
  })
})

describe('notes', () => {
  test('are never waited for and reach their stream', async () => {
    const { publisher, sink, clock } = startPublisher()
    publisher.audit.note(unverifiedDenial('192.0.2.7'))
    publisher.audit.note(verdictEvent({ outcome: 'denied', reason: 'roles_none' }, { verified: true }))
    await clock.advance(0)
    assert.deepEqual([...sink.stored.values()].map(({ stream }) => stream).sort(), ['WEBAUTHN_AUDIT', 'WEBAUTHN_DENIALS'])
  })

  test('a flood becomes at most 20 records a second and source, and one that counts the rest', async () => {
    const { publisher, sink, clock, storedCount, coalesced } = startPublisher()
    for (let i = 0; i < 500; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
    await clock.advance(2000)
    assert.equal(sink.stored.size, 21)
    assert.equal(storedCount(), 500)
    assert.equal(coalesced(), 480)
  })

  test('a verified refusal keeps its own record where an unverified one is merged', async () => {
    const { publisher, sink, clock } = startPublisher()
    for (let i = 0; i < 500; i++) publisher.audit.note(verdictEvent({ outcome: 'denied', reason: 'roles_none' }, { verified: true }))
    await clock.advance(2000)
    assert.equal(sink.stored.size, 500)
  })

  test('a full stream of denials holds up neither grants nor verified refusals', async () => {
    const { publisher, sink, clock } = startPublisher()
    sink.down = 'WEBAUTHN_DENIALS'
    for (let i = 0; i < 100; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
    publisher.audit.note(verdictEvent({ outcome: 'denied', reason: 'roles_none' }, { verified: true }))
    await publisher.audit.record(grant())
    await clock.advance(100)
    assert.equal(sink.stored.size, 2)
    assert.deepEqual(publisher.backlog().WEBAUTHN_DENIALS.verdicts, 100)
  })

  test('while the stream is away one record at a time asks for it, ever more slowly', async () => {
    const { publisher, sink, clock } = startPublisher()
    sink.mode = 'refusing'
    for (let i = 0; i < 64; i++) publisher.audit.note(unverifiedDenial(`192.0.2.${i}`))
    await clock.advance(60_000)
    assert(sink.attempts < 64 + 45)
  })

  test('a record whose acknowledgement was lost is stored once', async () => {
    const { publisher, sink, clock, storedCount, seen } = startPublisher()
    sink.mode = 'ack lost'
    publisher.audit.note(unverifiedDenial('192.0.2.7'))
    await clock.advance(2000)
    sink.mode = 'up'
    await clock.advance(2000)
    assert.equal(storedCount(), 1)
    assert.deepEqual(seen, ['WEBAUTHN_DENIALS failed', 'WEBAUTHN_DENIALS duplicate'])
    assert.deepEqual(publisher.backlog().WEBAUTHN_DENIALS, { records: 0, verdicts: 0 })
  })

  test('property: however the stream fails, once it is back the counts of the records are the number of notes', async () => {
    const mode = fc.constantFrom('up' as const, 'refusing' as const, 'silent' as const, 'ack lost' as const)
    const step = fc.record({
      mode,
      notes: fc.integer({ min: 0, max: 120 }),
      sources: fc.integer({ min: 1, max: 5 }),
      ms: fc.integer({ min: 0, max: 7000 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const { publisher, sink, clock, storedCount } = startPublisher()
        let notes = 0
        for (const each of steps) {
          sink.mode = each.mode
          for (let i = 0; i < each.notes; i++)
            publisher.audit.note(unverifiedDenial(`192.0.2.${i % each.sources}`, { verified: i % 3 === 0 }))
          notes += each.notes
          await clock.advance(each.ms)
        }
        sink.mode = 'up'
        await clock.advance(20_000)
        assert.equal(storedCount(), notes)
        assert.deepEqual(Object.values(publisher.backlog()), Array(2).fill({ records: 0, verdicts: 0 }))
      }),
      { numRuns: 60 },
    )
  })
})

describe('flush', () => {
  test('sends merged records at once and resolves when everything is acknowledged', async () => {
    const { publisher, storedCount } = startPublisher()
    for (let i = 0; i < 500; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
    assert.deepEqual(await publisher.flush(5000), { records: 0, verdicts: 0 })
    assert.equal(storedCount(), 500)
  })

  test('takes notes that come while it runs', async () => {
    const { publisher, sink, clock, storedCount } = startPublisher()
    sink.mode = 'refusing'
    publisher.audit.note(unverifiedDenial('192.0.2.7'))
    const flushed = publisher.flush(5000)
    for (let i = 0; i < 100; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
    sink.mode = 'up'
    await clock.advance(3000)
    assert.deepEqual(await flushed, { records: 0, verdicts: 0 })
    assert.equal(storedCount(), 101)
  })

  test('gives up at its deadline and says what is left', async () => {
    const { publisher, sink, clock } = startPublisher()
    sink.mode = 'silent'
    for (let i = 0; i < 500; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
    const flushed = publisher.flush(3000)
    await clock.advance(3000)
    assert.deepEqual(await flushed, { records: 21, verdicts: 500 })
  })

  test('with nothing queued it resolves at once', async () => {
    const { publisher } = startPublisher()
    assert.deepEqual(await publisher.flush(3000), { records: 0, verdicts: 0 })
  })
})
