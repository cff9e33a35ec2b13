import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Events, type NatsConnection } from 'nats'
import { ensureStreams } from '../../src/audit/stream.ts'
import { type TrailEntry, tailTrail } from '../../src/audit/tail.ts'
import { trailJson, trailLine } from '../../src/audit/trail-line.ts'
import { AUDIT_STREAMS } from '../../src/core/audit-streams.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { lifecycleEvent, unverifiedDenial, verdictEvent } from '../support/audit-events.ts'
import { ackBudgetMs, options, small, withTrail } from '../support/audit-trail.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { Authentication, EntityManagement } from '../support/ocsf-schema.ts'

const countOf = (entries: TrailEntry[]) => entries.reduce((sum, { body }) => sum + (JSON.parse(body).count ?? 1), 0)
async function reconnected(connection: NatsConnection): Promise<void> {
  for await (const { type } of connection.status()) if (type === Events.Reconnect) return
}
const grant = () => verdictEvent({ outcome: 'granted', reason: 'proof' })

for (const line of NATS_LINES) {
  describe(`the audit trail on nats-server ${line}`, () => {
    test('records arrive whole, in their streams, with CloudEvents headers, and are read in order', () =>
      withTrail(line, async ({ verifier, auditor, publisher, read }) => {
        await ensureStreams(verifier, options)
        const granted = grant()
        await publisher.audit.record(granted)
        await publisher.lifecycle.record(lifecycleEvent({ area: 'credential', outcome: 'succeeded', reason: 'revoked' }))
        publisher.audit.note(unverifiedDenial('192.0.2.7'))
        assert.deepEqual(await publisher.flush(5000), { records: 0, verdicts: 0 })
        const entries = await read()
        assert.deepEqual(
          entries.map(({ subject }) => subject),
          [
            'audit.webauthn.connection.granted.proof',
            'audit.webauthn.credential.succeeded.revoked',
            'audit.webauthn.request.denied.sig_missing',
          ],
        )
        assert.deepEqual(
          entries.map(({ stream }) => stream),
          [AUDIT_STREAMS.audit, AUDIT_STREAMS.audit, AUDIT_STREAMS.denials],
        )
        Authentication.parse(JSON.parse(entries[0]?.body ?? ''))
        EntityManagement.parse(JSON.parse(entries[1]?.body ?? ''))
        const message = await (await auditor.jetstreamManager({ checkAPI: false })).streams.getMessage('WEBAUTHN_AUDIT', { seq: 1 })
        assert.deepEqual(
          [message.header.get('ce-id'), message.header.get('ce-specversion'), message.header.get('Nats-Msg-Id')],
          [granted.id, '1.0', granted.id],
        )
        for (const [filter, count] of [
          ['connection.>', 1],
          ['*.denied.>', 1],
          ['request.denied.sig_missing', 1],
          ['request.denied.origin_mismatch', 0],
          ['policy.>', 0],
        ] as const) {
          assert.equal((await read(filter)).length, count)
        }
        await assert.rejects(read('connection > x'))
        assert.match(
          trailLine(entries[0] as TrailEntry),
          /^2026-11-22T04:26:00\.000Z {2}connection\.granted\.proof {2}alice {2}from 192\.0\.2\.7 {2}on nats-1 #12 {2}to APP$/,
        )
        assert.equal(JSON.parse(trailJson(entries[0] as TrailEntry)).record.user.name, 'alice')
      }))

    test('reading since a time starts there, and following waits for what comes', () =>
      withTrail(line, async ({ verifier, publisher, read, auditor }) => {
        await ensureStreams(verifier, options)
        for (let i = 0; i < 20; i++) await publisher.audit.record(grant())
        const all = await read()
        for (const at of [0, 7, 19]) {
          const since = all[at]?.storedAt ?? null
          assert(since !== null)
          assert.deepEqual(
            (await read('>', { since })).map(({ sequence }) => sequence),
            all.filter(({ storedAt }) => storedAt >= since).map(({ sequence }) => sequence),
          )
        }
        assert.deepEqual(await read('>', { since: new Date(Date.now() + 60_000) }), [])
        const stop = new AbortController()
        const seen: string[] = []
        const late = grant()
        for await (const { id } of tailTrail(auditor, {
          filter: '>',
          since: all[19]?.storedAt ?? null,
          follow: true,
          signal: stop.signal,
        })) {
          seen.push(id)
          if (seen.length === 1) await publisher.audit.record(late)
          if (id === late.id) stop.abort()
        }
        assert.equal(seen.at(-1), late.id)
      }))

    test('a record that comes again under its id is stored once', () =>
      withTrail(line, async ({ verifier, publisher, read }) => {
        await ensureStreams(verifier, options)
        const event = grant()
        await publisher.audit.record(event)
        await publisher.audit.record(event)
        await publisher.audit.record({ ...event, verdict: { outcome: 'error', reason: 'deadline_exceeded' }, correlates: event.id })
        assert.deepEqual(
          (await read()).map(({ id }) => id),
          [event.id, `${event.id}:error`],
        )
      }))

    test('while a stream is full nothing is granted, denials are kept and counted, and none is lost', () =>
      withTrail(line, async ({ verifier, publisher, read }) => {
        await ensureStreams(verifier, small(16 * 1024))
        let stored = 0
        await assert.rejects(async () => {
          for (;;) {
            await publisher.audit.record(grant())
            stored++
          }
        }, AuditUnavailable)
        assert(stored > 0 && stored < 20)
        for (let i = 0; i < 300; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
        const left = await publisher.flush(300)
        const entries = await read('request.>')
        assert.equal(countOf(entries) + left.verdicts, 300)
        assert(left.verdicts > 0)
        assert.equal((await read('connection.>')).length, stored)
      }))

    test('without its stream a record is refused within the budget', () =>
      withTrail(line, async ({ publisher }) => {
        const startedAt = performance.now()
        await assert.rejects(publisher.audit.record(grant()), AuditUnavailable)
        assert(performance.now() - startedAt < ackBudgetMs + 200)
      }))

    test('through a restart of the server: no grant meanwhile, and afterwards every denial is in the trail once', () =>
      withTrail(line, async ({ deployment, verifier, auditor, publisher, read }) => {
        await ensureStreams(verifier, options)
        const back = reconnected(auditor)
        for (let i = 0; i < 40; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
        await deployment.server.kill()
        const startedAt = performance.now()
        await assert.rejects(publisher.audit.record(grant()), AuditUnavailable)
        assert(performance.now() - startedAt < ackBudgetMs + 200)
        for (let i = 0; i < 500; i++) publisher.audit.note(unverifiedDenial(`192.0.2.${i % 3}`))
        const restarted = await deployment.server.restart()
        try {
          assert.deepEqual(await publisher.flush(20_000), { records: 0, verdicts: 0 })
          await back
          const entries = await read()
          assert.equal(countOf(entries), 540)
          assert.equal(new Set(entries.map(({ id }) => id)).size, entries.length)
          assert.equal(entries.filter(({ subject }) => subject.includes('granted')).length, 0)
          await publisher.audit.record(grant())
        } finally {
          await restarted.kill('SIGKILL')
        }
      }))

    test('a server that hangs: no grant, and the record that lands later is taken back by one that names it', () =>
      withTrail(line, async ({ deployment, verifier, publisher, read }) => {
        await ensureStreams(verifier, options)
        const event = grant()
        await deployment.server.hang()
        const startedAt = performance.now()
        try {
          await assert.rejects(publisher.audit.record(event), AuditUnavailable)
          assert(performance.now() - startedAt < ackBudgetMs + 200)
          publisher.audit.note({ ...event, verdict: { outcome: 'error', reason: 'audit_unavailable' }, stage: 'record', grant: null })
        } finally {
          deployment.server.child.kill('SIGCONT')
        }
        assert.deepEqual(await publisher.flush(10_000), { records: 0, verdicts: 0 })
        const [landed, takenBack] = await read()
        assert.equal(landed?.id, event.id)
        assert.equal(JSON.parse(takenBack?.body ?? '').metadata.correlation_uid, event.id)
        assert.equal(takenBack?.subject, 'audit.webauthn.connection.error.audit_unavailable')
      }))
  })
}
