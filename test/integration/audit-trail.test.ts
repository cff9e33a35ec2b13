import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AckPolicy, connect, DiscardPolicy, Events, headers, type NatsConnection, NatsError, nkeyAuthenticator } from 'nats'
import { systemClock } from '../../src/audit/clock.ts'
import { type AuditPublisher, createAuditPublisher, grantAckBudgetMs } from '../../src/audit/publisher.ts'
import { jetStreamSink } from '../../src/audit/record-sink.ts'
import { AUDIT_STREAMS, DEFAULT_AUDIT_STREAM_OPTIONS, ensureStreams, inspectStreams, wantedStreams } from '../../src/audit/stream.ts'
import { tailTrail, type TailOptions, type TrailEntry } from '../../src/audit/tail.ts'
import { trailJson, trailLine } from '../../src/audit/trail-line.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { lifecycleEvent, unverifiedDenial, verdictEvent } from '../support/audit-events.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { Authentication, EntityManagement } from '../support/ocsf-schema.ts'

const GiB = 1024 ** 3
const options = { ...DEFAULT_AUDIT_STREAM_OPTIONS, maxBytes: { WEBAUTHN_AUDIT: GiB, WEBAUTHN_DENIALS: GiB } }
const small = (bytes: number) => ({ ...options, maxBytes: { WEBAUTHN_AUDIT: bytes, WEBAUTHN_DENIALS: bytes } })

interface Trail {
  deployment: Deployment
  verifier: NatsConnection
  auditor: NatsConnection
  publisher: AuditPublisher
  read(filter?: string, changes?: Partial<TailOptions>): Promise<TrailEntry[]>
}

async function withTrail(line: (typeof NATS_LINES)[number], run: (trail: Trail) => Promise<void>, edit = (config: string) => config): Promise<void> {
  const deployment = await startDeployment({ line, edit })
  const user = (seed: string, inboxPrefix: string) =>
    connect({ servers: `127.0.0.1:${deployment.server.port}`, authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)), inboxPrefix, reconnectTimeWait: 20, maxReconnectAttempts: -1 })
  const verifier = await user(deployment.seeds.verifierAudit, '_INBOX_verifier_audit')
  const auditor = await user(deployment.seeds.auditor, '_INBOX_auditor')
  const publisher = createAuditPublisher({
    sink: jetStreamSink(verifier), origin: { source: 'nats-webauthn/test', version: '0.1.0' }, clock: systemClock, observer: { published: () => {}, coalesced: () => {} },
  })
  const read: Trail['read'] = async (filter = '>', changes = {}) => {
    const entries: TrailEntry[] = []
    for await (const entry of tailTrail(auditor, { filter, since: null, follow: false, ...changes })) entries.push(entry)
    return entries
  }
  try {
    await run({ deployment, verifier, auditor, publisher, read })
  } finally {
    await Promise.all([verifier.close(), auditor.close()])
    await deployment.stop()
  }
}

const countOf = (entries: TrailEntry[]) => entries.reduce((sum, { body }) => sum + (JSON.parse(body).count ?? 1), 0)
async function reconnected(connection: NatsConnection): Promise<void> {
  for await (const { type } of connection.status()) if (type === Events.Reconnect) return
}
const grant = () => verdictEvent({ outcome: 'granted', reason: 'proof' })
const refusal = (api: Promise<unknown>) => api.then(() => 'allowed', (error: unknown) => (error instanceof NatsError ? error.code : String(error)))

for (const line of NATS_LINES) {
  describe(`the audit trail on nats-server ${line}`, () => {
    test('its streams are made once, as wanted', () => withTrail(line, async ({ verifier }) => {
      const missing = await inspectStreams(verifier, options)
      assert.deepEqual(missing.map(({ stream, setting, live }) => [stream, setting, live]), [['WEBAUTHN_AUDIT', 'stream', 'absent'], ['WEBAUTHN_DENIALS', 'stream', 'absent']])
      assert.deepEqual(await ensureStreams(verifier, options), [])
      const created = (await (await verifier.jetstreamManager()).streams.info('WEBAUTHN_AUDIT')).created
      assert.deepEqual(await ensureStreams(verifier, options), [])
      assert.deepEqual(await inspectStreams(verifier, options), [])
      assert.equal((await (await verifier.jetstreamManager()).streams.info('WEBAUTHN_AUDIT')).created, created)
    }))

    test('two verifiers that start together make them together', () => withTrail(line, async ({ verifier }) => {
      assert.deepEqual(await Promise.all([ensureStreams(verifier, options), ensureStreams(verifier, options)]), [[], []])
    }))

    test('the default settings fit the shipped account', () => withTrail(line, async ({ verifier }) => {
      assert.deepEqual(await ensureStreams(verifier, DEFAULT_AUDIT_STREAM_OPTIONS), [])
    }))

    test('a weaker stream is reported, setting by setting, and not touched', () => withTrail(line, async ({ verifier }) => {
      const manager = await verifier.jetstreamManager()
      const [wanted] = wantedStreams(options)
      await manager.streams.add({
        ...wanted, name: 'WEBAUTHN_AUDIT', deny_delete: false, deny_purge: false, discard: DiscardPolicy.Old, max_age: 3600e9, duplicate_window: 1e9, max_msgs: 1000,
        max_msg_size: 1024, max_bytes: 1024 ** 2, allow_rollup_hdrs: true, no_ack: true, subjects: ['audit.webauthn.connection.>'],
      })
      const before = (await manager.streams.info('WEBAUTHN_AUDIT')).config
      const weak = await ensureStreams(verifier, options)
      assert(weak.every(({ stream }) => stream === 'WEBAUTHN_AUDIT'))
      assert.deepEqual(weak.map(({ setting }) => setting).sort(), [
        'allow_rollup_hdrs', 'deny_delete', 'deny_purge', 'discard', 'duplicate_window', 'max_age', 'max_bytes', 'max_msg_size', 'max_msgs', 'no_ack', 'subjects',
      ])
      assert.deepEqual((await manager.streams.info('WEBAUTHN_AUDIT')).config, before)
    }))

    test('the verifier can add records and nothing more', () => withTrail(line, async ({ verifier, auditor, publisher, read }) => {
      await ensureStreams(verifier, options)
      await publisher.audit.record(grant())
      const manager = await verifier.jetstreamManager()
      for (const api of [
        () => manager.streams.delete('WEBAUTHN_AUDIT'), () => manager.streams.purge('WEBAUTHN_AUDIT'), () => manager.streams.deleteMessage('WEBAUTHN_AUDIT', 1),
        () => manager.streams.update('WEBAUTHN_AUDIT', { max_age: 1e9 }), () => manager.streams.getMessage('WEBAUTHN_AUDIT', { seq: 1 }),
        () => manager.streams.add({ name: 'WEBAUTHN_OTHER', subjects: ['audit.webauthn.other'] }), () => manager.consumers.add('WEBAUTHN_AUDIT', { durable_name: 'x', ack_policy: AckPolicy.None }),
      ]) assert.equal(await refusal(api()), 'PERMISSIONS_VIOLATION')
      // Nor by a header that lets the publisher roll up or expire what is there.
      for (const [name, value] of [['Nats-Rollup', 'all'], ['Nats-TTL', '1s']] as const) {
        const head = headers()
        head.set(name, value)
        await verifier.jetstream().publish('audit.webauthn.connection.granted.proof', 'x', { headers: head }).catch(() => {})
      }
      const [first] = await read('connection.>')
      assert.equal(first?.sequence, 1)
      const readOnly = await auditor.jetstreamManager({ checkAPI: false })
      for (const api of [
        () => readOnly.streams.delete('WEBAUTHN_AUDIT'), () => readOnly.streams.purge('WEBAUTHN_AUDIT'), () => readOnly.streams.deleteMessage('WEBAUTHN_AUDIT', 1),
        () => readOnly.streams.update('WEBAUTHN_AUDIT', { max_age: 1e9 }), () => readOnly.streams.add({ name: 'X', subjects: ['x'] }),
        () => readOnly.consumers.add('WEBAUTHN_AUDIT', { durable_name: 'x', ack_policy: AckPolicy.None, deliver_subject: 'audit.webauthn.request.x' }),
        () => auditor.jetstream().publish('audit.webauthn.connection.granted.proof', 'forged'),
      ]) assert.equal(await refusal(api()), 'PERMISSIONS_VIOLATION')
    }))

    test('records arrive whole, in their streams, with CloudEvents headers, and are read in order', () => withTrail(line, async ({ verifier, auditor, publisher, read }) => {
      await ensureStreams(verifier, options)
      const granted = grant()
      await publisher.audit.record(granted)
      await publisher.lifecycle.record(lifecycleEvent({ area: 'credential', outcome: 'succeeded', reason: 'revoked' }))
      publisher.audit.note(unverifiedDenial('192.0.2.7'))
      assert.deepEqual(await publisher.flush(5000), { records: 0, verdicts: 0 })
      const entries = await read()
      assert.deepEqual(entries.map(({ subject }) => subject), [
        'audit.webauthn.connection.granted.proof', 'audit.webauthn.credential.succeeded.revoked', 'audit.webauthn.request.denied.sig_missing',
      ])
      assert.deepEqual(entries.map(({ stream }) => stream), [AUDIT_STREAMS.audit, AUDIT_STREAMS.audit, AUDIT_STREAMS.denials])
      Authentication.parse(JSON.parse(entries[0]?.body ?? ''))
      EntityManagement.parse(JSON.parse(entries[1]?.body ?? ''))
      const message = await (await auditor.jetstreamManager({ checkAPI: false })).streams.getMessage('WEBAUTHN_AUDIT', { seq: 1 })
      assert.deepEqual([message.header.get('ce-id'), message.header.get('ce-specversion'), message.header.get('Nats-Msg-Id')], [granted.id, '1.0', granted.id])
      for (const [filter, count] of [['connection.>', 1], ['*.denied.>', 1], ['request.denied.sig_missing', 1], ['request.denied.origin_mismatch', 0], ['policy.>', 0]] as const) {
        assert.equal((await read(filter)).length, count)
      }
      await assert.rejects(read('connection > x'))
      assert.match(trailLine(entries[0] as TrailEntry), /^2026-11-22T04:26:00\.000Z {2}connection\.granted\.proof {2}alice {2}from 192\.0\.2\.7 {2}on nats-1 #12 {2}to APP$/)
      assert.equal(JSON.parse(trailJson(entries[0] as TrailEntry)).record.user.name, 'alice')
    }))

    test('reading since a time starts there, and following waits for what comes', () => withTrail(line, async ({ verifier, publisher, read, auditor }) => {
      await ensureStreams(verifier, options)
      for (let i = 0; i < 20; i++) await publisher.audit.record(grant())
      const all = await read()
      for (const at of [0, 7, 19]) {
        const since = all[at]?.storedAt ?? null
        assert(since !== null)
        assert.deepEqual((await read('>', { since })).map(({ sequence }) => sequence), all.filter(({ storedAt }) => storedAt >= since).map(({ sequence }) => sequence))
      }
      assert.deepEqual(await read('>', { since: new Date(Date.now() + 60_000) }), [])
      const stop = new AbortController()
      const seen: string[] = []
      const late = grant()
      for await (const { id } of tailTrail(auditor, { filter: '>', since: all[19]?.storedAt ?? null, follow: true, signal: stop.signal })) {
        seen.push(id)
        if (seen.length === 1) await publisher.audit.record(late)
        if (id === late.id) stop.abort()
      }
      assert.equal(seen.at(-1), late.id)
    }))

    test('a record that comes again under its id is stored once', () => withTrail(line, async ({ verifier, publisher, read }) => {
      await ensureStreams(verifier, options)
      const event = grant()
      await publisher.audit.record(event)
      await publisher.audit.record(event)
      await publisher.audit.record({ ...event, verdict: { outcome: 'error', reason: 'deadline_exceeded' }, correlates: event.id })
      assert.deepEqual((await read()).map(({ id }) => id), [event.id, `${event.id}:error`])
    }))

    test('while a stream is full nothing is granted, denials are kept and counted, and none is lost', () => withTrail(line, async ({ verifier, publisher, read }) => {
      await ensureStreams(verifier, small(16 * 1024))
      let stored = 0
      await assert.rejects(async () => { for (;;) { await publisher.audit.record(grant()); stored++ } }, AuditUnavailable)
      assert(stored > 0 && stored < 20)
      for (let i = 0; i < 300; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
      const left = await publisher.flush(300)
      const entries = await read('request.>')
      assert.equal(countOf(entries) + left.verdicts, 300)
      assert(left.verdicts > 0)
      assert.equal((await read('connection.>')).length, stored)
    }))

    test('without its stream a record is refused within the budget', () => withTrail(line, async ({ publisher }) => {
      const startedAt = performance.now()
      await assert.rejects(publisher.audit.record(grant()), AuditUnavailable)
      assert(performance.now() - startedAt < grantAckBudgetMs + 200)
    }))

    test('through a restart of the server: no grant meanwhile, and afterwards every denial is in the trail once', () => withTrail(line, async ({ deployment, verifier, auditor, publisher, read }) => {
      await ensureStreams(verifier, options)
      const back = reconnected(auditor)
      for (let i = 0; i < 40; i++) publisher.audit.note(unverifiedDenial('192.0.2.7'))
      await deployment.server.kill()
      const startedAt = performance.now()
      await assert.rejects(publisher.audit.record(grant()), AuditUnavailable)
      assert(performance.now() - startedAt < grantAckBudgetMs + 200)
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
  })
}
