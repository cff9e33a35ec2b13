/** An auditor sees where acknowledgements go, and has JetStream send other things there. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import { createUser } from 'nkeys.js'
import { verdictMessage } from '../../src/audit/audit-record.ts'
import { ensureStreams } from '../../src/audit/stream.ts'
import { verdictEvent } from '../support/audit-events.ts'
import { options, type Trail, withTrail } from '../support/audit-trail.ts'
import { NATS_LINES } from '../support/nats-server.ts'

const INBOX = '_INBOX_verifier_audit.>'
/** Longer than any test: what ends sooner ended by itself. */
const forever = 600_000
const WRONG_STREAM = 10_060

const grant = () => verdictEvent({ outcome: 'granted', reason: 'proof' })
const record = () => verdictMessage(grant(), { source: 'nats-webauthn/test', version: '0.1.0' })

/** Everything that an auditor's permissions let JetStream answer, as an answer to each record. */
const FORGERIES: readonly (readonly [subject: string, body: string])[] = [
  ['$JS.API.INFO', ''],
  ['$JS.API.STREAM.INFO.WEBAUTHN_AUDIT', ''],
  ['$JS.API.STREAM.INFO.WEBAUTHN_AUDIT', 'no JSON'],
  ['$JS.API.STREAM.MSG.GET.WEBAUTHN_AUDIT', '{"seq":1}'],
  ['$JS.API.STREAM.MSG.GET.WEBAUTHN_AUDIT', '{"seq":1000000}'],
  ['$JS.API.STREAM.MSG.GET.WEBAUTHN_DENIALS', '{"last_by_subj":"audit.webauthn.connection.granted.proof"}'],
]

async function forging(auditor: NatsConnection): Promise<void> {
  auditor.subscribe('audit.webauthn.>', {
    callback: (_, { reply = '' }) => {
      for (const [subject, body] of FORGERIES) auditor.publish(subject, body, { reply })
    },
  })
  await auditor.flush()
}

/** Runs a test with one more user of the AUDIT account, who may do anything: it stands for a stream that takes its time. */
async function withHolder(line: (typeof NATS_LINES)[number], run: (trail: Trail, holder: NatsConnection) => Promise<void>): Promise<void> {
  const pair = createUser()
  const nkey = pair.getPublicKey()
  const edit = (config: string) =>
    config
      .replace(/( {2}AUDIT \{\n.*\n {4}users: \[\n)/, (users) => `${users}      { nkey: ${nkey} }\n`)
      .replace('auth_users: [', `auth_users: [${nkey}, `)
  await withTrail(
    line,
    async (trail) => {
      const servers = `127.0.0.1:${trail.deployment.server.port}`
      const holder = await connect({ servers, authenticator: nkeyAuthenticator(pair.getSeed()), reconnect: false })
      try {
        await run(trail, holder)
      } finally {
        await holder.close()
      }
    },
    edit,
  )
}

for (const line of NATS_LINES) {
  describe(`what an auditor has sent to where acknowledgements go, on nats-server ${line}`, () => {
    test('ends no wait: the record is stored when its acknowledgement comes after all of that', () =>
      withHolder(line, async ({ auditor, sink }, holder) => {
        const heard: Record<string, unknown>[] = []
        holder.subscribe(INBOX, {
          callback: (_, message) => {
            heard.push(message.json())
            // The verifier was sent it before this is sent to it.
            if (heard.length === FORGERIES.length) holder.publish(message.subject, '{"stream":"WEBAUTHN_AUDIT","seq":1}')
          },
        })
        await holder.flush()
        await forging(auditor)
        assert.deepEqual(await sink.publish(record(), forever), { duplicate: false })
        const forged = heard.slice(0, FORGERIES.length)
        assert.ok(forged.every(({ type }) => typeof type === 'string'))
        assert.ok(forged.some(({ error }) => error !== undefined) && forged.some(({ error }) => error === undefined))
      }))

    test('acknowledges nothing by itself', () =>
      withTrail(line, async ({ auditor, sink }) => {
        await forging(auditor)
        await assert.rejects(sink.publish(record(), 200))
      }))

    test('neither loses nor refuses one of two hundred grants', () =>
      withTrail(line, async ({ verifier, auditor, publisher, read }) => {
        await ensureStreams(verifier, options)
        await forging(auditor)
        for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 10 }, () => publisher.audit.record(grant())))
        assert.equal((await read('connection.>')).length, 200)
      }))

    test('keeps no refusal of JetStream’s own from being heard at once', () =>
      withTrail(line, async ({ verifier, auditor, sink }) => {
        await ensureStreams(verifier, options)
        await forging(auditor)
        const refused = sink.publish({ ...record(), stream: 'WEBAUTHN_DENIALS' }, forever)
        await assert.rejects(refused, new RegExp(`"err_code":${WRONG_STREAM}\\b`))
      }))
  })

  describe(`an answer to a record, on nats-server ${line}`, () => {
    const others: readonly string[] = [
      'no JSON',
      'null',
      '[]',
      '7',
      '{}',
      '{"stream":"WEBAUTHN_AUDIT"}',
      '{"stream":"WEBAUTHN_AUDIT","seq":0}',
      '{"stream":"WEBAUTHN_AUDIT","seq":-1}',
      '{"stream":"WEBAUTHN_AUDIT","seq":"1"}',
      '{"stream":"WEBAUTHN_DENIALS","seq":1}',
      '{"stream":"WEBAUTHN_AUDIT","seq":1,"type":"io.nats.jetstream.api.v1.stream_info_response"}',
      '{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","error":{"code":404,"err_code":10037}}',
      `{"stream":"WEBAUTHN_AUDIT","seq":1,"domain":"${'x'.repeat(5_000)}"}`,
    ]

    test('is the first that acknowledges it, and none that does not', () =>
      withHolder(line, async ({ sink }, holder) => {
        holder.subscribe('audit.webauthn.>', {
          callback: (_, question) => {
            for (const other of others) question.respond(other)
            question.respond('{"stream":"WEBAUTHN_AUDIT","seq":7,"duplicate":true}')
            question.respond('{"stream":"WEBAUTHN_AUDIT","seq":8}')
          },
        })
        await holder.flush()
        assert.deepEqual(await sink.publish(record(), forever), { duplicate: true })
      }))

    test('is none of the others alone, each of them for itself', () =>
      withHolder(line, async ({ sink }, holder) => {
        const answers = others.values()
        holder.subscribe('audit.webauthn.>', { callback: (_, question) => void question.respond(answers.next().value ?? assert.fail()) })
        await holder.flush()
        const published = await Promise.allSettled(others.map(() => sink.publish(record(), 200)))
        assert.deepEqual(new Set(published.map(({ status }) => status)), new Set(['rejected']))
        assert.equal(answers.next().done, true)
      }))

    test('is at once that nobody keeps records, where there is no stream', () =>
      withTrail(line, ({ sink }) => assert.rejects(sink.publish(record(), forever))))
  })
}
