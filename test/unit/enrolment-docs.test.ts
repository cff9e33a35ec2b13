/** docs/enrolment.md says what the code does: its tables are the registries, its exchange is recomputed. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { REFUSALS } from '../../src/core/refusal.ts'
import { REGISTRATION_CHECKS } from '../../src/core/webauthn/registration-checks.ts'
import { enrolmentExample } from '../support/enrolment-example.ts'

// What only people meet is in docs/refusals.md, with everything else.
const OF_PEOPLE = ['person_enrolment_unavailable', 'devices_full', 'step_up_required', 'device_refused']

const page = readFileSync(new URL('../../docs/enrolment.md', import.meta.url), 'utf8')

/** Cells of the table that follows `heading`. */
function table(heading: string): string[][] {
  const from = page.slice(page.indexOf(heading))
  assert.ok(page.includes(heading), heading)
  const rows = /(?:^\|.*\n)+/m.exec(from)?.[0].trim().split('\n') ?? []
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

const names = (cell: string | undefined) => [...(cell ?? '').matchAll(/`([a-z_]+)`/g)].map(([, name]) => name as string)

describe('docs/enrolment.md', () => {
  test('has every refusal that a machine can meet, with its status and code, and no other', () => {
    const documented = table('## Refusals').flatMap(([status, code, reasons]) =>
      names(reasons).map((reason) => [reason, names(code)[0], status?.split(', ')[0]]),
    )
    const machines = Object.entries(REFUSALS.enrolment).filter(([reason]) => !OF_PEOPLE.includes(reason))
    const real = machines.map(([reason, { status, code }]) => [reason, code, String(status)])
    assert.deepEqual(documented.sort(), real.sort())
  })

  test('has every check of a registration, in order and word for word', () => {
    const documented = table('`check` of `registration_invalid`').map(([check, text]) => [names(check)[0], text])
    assert.deepEqual(documented, Object.entries(REGISTRATION_CHECKS))
  })

  test('has an exchange that is what a machine and the verifier say to each other', async () => {
    const { exchange } = await enrolmentExample()
    const blocks = [...page.matchAll(/```json\n([\s\S]*?)\n```/g)].map(([, json]) => JSON.parse(json as string))
    assert.deepEqual(
      blocks,
      exchange.flatMap(({ request, response }) => [request, response]),
    )
    assert.deepEqual(
      exchange.map(({ status }) => status),
      [200, 200, 200],
    )
  })
})
