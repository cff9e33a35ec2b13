import assert from 'node:assert/strict'
import { streamsOf } from '../../src/audit/tail.ts'
import { trailJson, trailLine } from '../../src/audit/trail-line.ts'
import { AUDIT_STREAMS } from '../../src/core/audit-streams.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const record = {
  time: 1_767_614_400_000,
  status_code: 'proof',
  count: 2,
  user: { name: 'orders' },
  src_endpoint: { ip: '192.0.2.7' },
  unmapped: { nats: { server_name: 'nats-1', client_id: 7, account: 'APP' } },
}

/** Whatever is in the trail is shown in one line that steers no terminal, and as one JSON object. A filter is one or is none. */
export const trail: FuzzTarget = {
  name: 'trail',
  seeds: () =>
    [record, { ...record, time: 1e300 }, { actor: { app_name: 'v' }, entity: { uid: 'x', type: 'Session' } }].map((value) =>
      bytesOf(JSON.stringify(value)),
    ),
  dictionary: ['\u001b[2J', '\n', '\u202e', '"time":', '"user":{"name":', '"unmapped":', '-8640000000000001', '*.denied.>'],
  shape: 'json',
  run(input) {
    const body = textOf(input)
    const stored = { stream: AUDIT_STREAMS.audit, sequence: 1, id: 'x', storedAt: new Date(0), body }
    for (const subject of ['audit.webauthn.connection.granted.proof', body]) {
      const entry = { ...stored, subject }
      assert.match(trailLine(entry), /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u)
      const printed = trailJson(entry)
      assert.ok(!printed.includes('\n'))
      assert.equal((JSON.parse(printed) as { subject: string }).subject, subject)
    }
    filters(body)
  },
}

function filters(text: string): void {
  try {
    const streams = streamsOf(text)
    assert.ok(streams.length <= 2 && !/\s/.test(text))
  } catch (error) {
    assert.ok(error instanceof Error && error.message.startsWith('reading the filter '))
  }
}
