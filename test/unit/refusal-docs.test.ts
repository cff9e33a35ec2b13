import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { renderRefusals } from '../../scripts/refusal-docs.ts'
import { LIFECYCLE } from '../../src/core/audit-event.ts'
import { REFUSALS, type RefusalArea, type RefusalRow } from '../../src/core/refusal.ts'
import { REQUEST_CHECKS, TELLS_CHECK } from '../../src/http/http-refusal.ts'

const page = readFileSync(new URL('../../docs/refusals.md', import.meta.url), 'utf8')
const areas = Object.keys(REFUSALS) as RefusalArea[]
const rows = areas.flatMap((area) =>
  Object.entries(REFUSALS[area]).map(([reason, row]): [string, RefusalRow] => [`${area}.${reason}`, row]),
)

describe('docs/refusals.md', () => {
  test('is what scripts/refusal-docs.ts writes', () => assert.equal(page, renderRefusals()))

  test('says of every refusal its status, code, message and what was refused', () => {
    for (const [name, { status, code, message, doc }] of rows) {
      const reason = name.split('.')[1]
      assert.ok(page.includes(`| \`${reason}\` | ${status} | \`${code}\` | ${doc} |`), name)
      assert.ok(page.includes(`| \`${code}\` | ${status} | ${message} |`), name)
    }
  })

  test('has every check of a request', () => {
    for (const [check, doc] of Object.entries(REQUEST_CHECKS)) assert.ok(page.includes(`| \`${check}\` | ${doc} |`), check)
  })
})

describe('the registry of refusals', () => {
  test('has the reasons that records can have, and no other', () => {
    for (const area of areas) assert.deepEqual(Object.keys(REFUSALS[area]).sort(), [...LIFECYCLE[area].refused].sort())
  })

  test('has one status for each code, so that a status never tells reasons apart that share one', () => {
    const statuses = new Map<string, number>()
    for (const [name, { code, status }] of rows) {
      assert.equal(statuses.get(code) ?? status, status, name)
      statuses.set(code, status)
    }
  })

  test('tells nobody which tickets, logins, passkeys and requests of terminals there are', () => {
    const alike: RefusalRow[][] = [
      ['ticket_unknown', 'ticket_used', 'ticket_expired', 'ticket_revoked', 'ticket_wrong_class'].map((reason) => row('enrolment', reason)),
      ['login_missing', 'login_unknown', 'login_ended', 'login_expired'].map((reason) => row('login', reason)),
      ['passkey_unknown', 'passkey_invalid'].map((reason) => row('login', reason)),
      ['request_unknown', 'request_used', 'request_expired', 'completion_invalid'].map((reason) => row('session', reason)),
    ]
    for (const [first, ...others] of alike) {
      for (const other of others) assert.deepEqual({ ...other, doc: first?.doc }, first)
    }
  })

  test('is told with a check only where the registry has it, and never of logins', () => {
    for (const name of TELLS_CHECK)
      assert.ok(
        rows.some(([known]) => known === name),
        name,
      )
    assert.deepEqual(
      TELLS_CHECK.filter((name) => name.startsWith('login.')),
      [],
    )
  })

  test('says everything in whole sentences, with codes that are one lower-case token', () => {
    for (const [name, { code, message, doc }] of rows) {
      assert.match(code, /^[a-z]+(_[a-z]+)*$/, name)
      for (const sentence of [message, doc]) assert.match(sentence, /^[A-Z].*\.$/, name)
    }
    for (const doc of Object.values(REQUEST_CHECKS)) assert.match(doc, /^[A-Z].*\.$/)
  })
})

function row(area: RefusalArea, reason: string): RefusalRow {
  const found = rows.find(([name]) => name === `${area}.${reason}`)
  assert.ok(found, `${area}.${reason}`)
  return found[1]
}
