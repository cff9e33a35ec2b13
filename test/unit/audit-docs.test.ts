import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { verdictMessage } from '../../src/audit/audit-record.ts'
import { STREAM_AREAS } from '../../src/audit/stream.ts'
import { AUDIT_STREAMS } from '../../src/core/audit-streams.ts'
import { ALL_LIFECYCLE_CODES, verdictEvent } from '../support/audit-events.ts'

const docs = readFileSync(new URL('../../docs/audit.md', import.meta.url), 'utf8')

describe('docs/audit.md', () => {
  test('lists exactly the lifecycle codes', () => {
    const rows = [...docs.matchAll(/^\| `(\w+)` \| `(succeeded|refused|failed)` \| (.+) \|$/gm)]
    const listed = rows.flatMap(([, area, outcome, reasons]) =>
      [...(reasons ?? '').matchAll(/`(\w+)`/g)].map(([, reason]) => `${area}.${outcome}.${reason}`),
    )
    assert.deepEqual(listed.sort(), ALL_LIFECYCLE_CODES.map(({ area, outcome, reason }) => `${area}.${outcome}.${reason}`).sort())
  })

  test('names the areas of each stream', () => {
    assert(docs.includes(`| \`${AUDIT_STREAMS.audit}\` | \`audit.webauthn.{${STREAM_AREAS.WEBAUTHN_AUDIT.join(',')}}.>\` |`))
    assert(docs.includes(`| \`${AUDIT_STREAMS.denials}\` | \`audit.webauthn.${STREAM_AREAS.WEBAUTHN_DENIALS[0]}.>\` |`))
  })

  test('shows a record as it is made', () => {
    const shown: unknown = JSON.parse(/```json\n([\s\S]*?)\n```/.exec(docs)?.[1] ?? 'null')
    const event = verdictEvent({ outcome: 'granted', reason: 'proof' }, { id: '6f1f3c0e-7c0c-4a53-9d53-0d3a6f6b2a11' })
    assert.deepEqual(shown, JSON.parse(verdictMessage(event, { source: 'nats-webauthn/verifier-1', version: '0.1.0' }).body))
  })
})
