import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AckPolicy, DiscardPolicy, headers, NatsError } from 'nats'
import { ensureStreams, inspectStreams, wantedStreams } from '../../src/audit/stream.ts'
import { readConfig } from '../../src/config.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { auditStreamOptions } from '../../src/verifier-parts.ts'
import { verdictEvent } from '../support/audit-events.ts'
import { options, withTrail } from '../support/audit-trail.ts'
import { makeConfigDir } from '../support/config-dir.ts'
import { NATS_LINES } from '../support/nats-server.ts'

const nameInUse = 10058
const grant = () => verdictEvent({ outcome: 'granted', reason: 'proof' })
const refusal = (api: Promise<unknown>) =>
  api.then(
    () => 'allowed',
    (error: unknown) => (error instanceof NatsError ? error.code : String(error)),
  )

for (const line of NATS_LINES) {
  describe(`the audit streams on nats-server ${line}`, () => {
    test('its streams are made once, as wanted', () =>
      withTrail(line, async ({ verifier }) => {
        const missing = await inspectStreams(verifier, options)
        assert.deepEqual(
          missing.map(({ stream, setting, live }) => [stream, setting, live]),
          [
            ['WEBAUTHN_AUDIT', 'stream', 'absent'],
            ['WEBAUTHN_DENIALS', 'stream', 'absent'],
          ],
        )
        assert.deepEqual(await ensureStreams(verifier, options), [])
        const created = (await (await verifier.jetstreamManager()).streams.info('WEBAUTHN_AUDIT')).created
        assert.deepEqual(await ensureStreams(verifier, options), [])
        assert.deepEqual(await inspectStreams(verifier, options), [])
        assert.equal((await (await verifier.jetstreamManager()).streams.info('WEBAUTHN_AUDIT')).created, created)
      }))

    test('an auditor cannot have a record acknowledged that no stream holds', () =>
      withTrail(line, async ({ auditor, publisher }) => {
        const forged: string[] = []
        auditor.subscribe('audit.webauthn.>', {
          callback: (_, { reply = '' }) => {
            forged.push(reply)
            auditor.publish('$JS.API.INFO', '', { reply })
          },
        })
        await auditor.flush()
        await assert.rejects(publisher.audit.record(grant()), AuditUnavailable)
        assert.ok(forged.length > 0)
      }))

    test('two verifiers that start together make them together', () =>
      withTrail(line, async ({ verifier }) => {
        assert.deepEqual(await Promise.all([ensureStreams(verifier, options), ensureStreams(verifier, options)]), [[], []])
      }))

    test('the settings that init writes fit the account that it writes', () =>
      withTrail(line, async ({ verifier }) => {
        const dir = makeConfigDir()
        try {
          assert.deepEqual(await ensureStreams(verifier, auditStreamOptions(readConfig(dir.file))), [])
        } finally {
          dir.remove()
        }
      }))

    test('a weaker stream is reported, setting by setting, and not touched', () =>
      withTrail(line, async ({ verifier }) => {
        const manager = await verifier.jetstreamManager()
        const [wanted] = wantedStreams(options)
        await manager.streams.add({
          ...wanted,
          name: 'WEBAUTHN_AUDIT',
          deny_delete: false,
          deny_purge: false,
          discard: DiscardPolicy.Old,
          max_age: 3600e9,
          duplicate_window: 1e9,
          max_msgs: 1000,
          max_msg_size: 1024,
          max_bytes: 1024 ** 2,
          allow_rollup_hdrs: true,
          no_ack: true,
          subjects: ['audit.webauthn.connection.>'],
        })
        const before = (await manager.streams.info('WEBAUTHN_AUDIT')).config
        const weak = await ensureStreams(verifier, options)
        assert(weak.every(({ stream }) => stream === 'WEBAUTHN_AUDIT'))
        assert.deepEqual(weak.map(({ setting }) => setting).sort(), [
          'allow_rollup_hdrs',
          'deny_delete',
          'deny_purge',
          'discard',
          'duplicate_window',
          'max_age',
          'max_bytes',
          'max_msg_size',
          'max_msgs',
          'no_ack',
          'subjects',
        ])
        assert.deepEqual((await manager.streams.info('WEBAUTHN_AUDIT')).config, before)
      }))

    test('the verifier can add records and nothing more', () =>
      withTrail(line, async ({ verifier, auditor, publisher, read }) => {
        await ensureStreams(verifier, options)
        await publisher.audit.record(grant())
        const manager = await verifier.jetstreamManager()
        for (const api of [
          () => manager.streams.delete('WEBAUTHN_AUDIT'),
          () => manager.streams.purge('WEBAUTHN_AUDIT'),
          () => manager.streams.deleteMessage('WEBAUTHN_AUDIT', 1),
          () => manager.streams.update('WEBAUTHN_AUDIT', { max_age: 1e9 }),
          () => manager.streams.getMessage('WEBAUTHN_AUDIT', { seq: 1 }),
          () => manager.streams.add({ name: 'WEBAUTHN_OTHER', subjects: ['audit.webauthn.other'] }),
          () => manager.consumers.add('WEBAUTHN_AUDIT', { durable_name: 'x', ack_policy: AckPolicy.None }),
        ])
          assert.equal(await refusal(api()), 'PERMISSIONS_VIOLATION')
        // Nor by a header that lets the publisher roll up or expire what is there.
        for (const [name, value] of [
          ['Nats-Rollup', 'all'],
          ['Nats-TTL', '1s'],
        ] as const) {
          const head = headers()
          head.set(name, value)
          await verifier
            .jetstream()
            .publish('audit.webauthn.connection.granted.proof', 'x', { headers: head })
            .catch(() => {})
        }
        const [first] = await read('connection.>')
        assert.equal(first?.sequence, 1)
        const readOnly = await auditor.jetstreamManager({ checkAPI: false })
        for (const api of [
          () => readOnly.streams.delete('WEBAUTHN_AUDIT'),
          () => readOnly.streams.purge('WEBAUTHN_AUDIT'),
          () => readOnly.streams.deleteMessage('WEBAUTHN_AUDIT', 1),
          () => readOnly.streams.update('WEBAUTHN_AUDIT', { max_age: 1e9 }),
          () => readOnly.streams.add({ name: 'X', subjects: ['x'] }),
          () =>
            readOnly.consumers.add('WEBAUTHN_AUDIT', {
              durable_name: 'x',
              ack_policy: AckPolicy.None,
              deliver_subject: 'audit.webauthn.request.x',
            }),
          () => auditor.jetstream().publish('audit.webauthn.connection.granted.proof', 'forged'),
        ])
          assert.equal(await refusal(api()), 'PERMISSIONS_VIOLATION')
      }))

    test('the right to create a stream is no right to weaken one that is there', () =>
      withTrail(line, async ({ verifier }) => {
        await ensureStreams(verifier, options)
        const manager = await verifier.jetstreamManager()
        const before = (await manager.streams.info('WEBAUTHN_AUDIT')).config
        const [wanted] = wantedStreams(options)
        for (const weaker of [
          { deny_purge: false },
          { deny_delete: false },
          { max_age: 3600e9 },
          { max_msgs: 1 },
          { discard: DiscardPolicy.Old },
        ]) {
          const added = manager.streams.add({ ...wanted, name: 'WEBAUTHN_AUDIT', ...weaker })
          await assert.rejects(added, (error) => error instanceof NatsError && error.api_error?.err_code === nameInUse)
        }
        assert.deepEqual((await manager.streams.info('WEBAUTHN_AUDIT')).config, before)
      }))
  })
}
