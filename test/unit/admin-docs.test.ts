/** The pages about the admin API and the state say what the code does, both ways. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { LIFECYCLE } from '../../src/core/audit-event.ts'
import { ADMIN_BODIES, ADMIN_ERRORS } from '../../src/nats/admin-protocol.ts'
import { BUCKETS } from '../../src/nats/stores.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const adminPage = read('docs/admin-api.md')
const statePage = read('docs/state.md')
const config = read('nats-server.conf')

/** Cells of the table rows under a heading. */
function rows(page: string, heading: string): string[][] {
  const from = page.indexOf(`\n${heading}\n`)
  const section = page.slice(from, page.indexOf('\n## ', from + heading.length))
  return section
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}
const code = (cell: string | undefined) => (cell ?? '').replaceAll('`', '')

describe('docs/admin-api.md', () => {
  test('lists every operation, and no other', () => {
    assert.deepEqual(
      rows(adminPage, '## Operations')
        .map(([operation]) => code(operation))
        .sort(),
      Object.keys(ADMIN_BODIES).sort(),
    )
  })

  for (const [operation, body, , record] of rows(adminPage, '## Operations')) {
    test(`tells the members of ${code(operation)} and the record it makes`, () => {
      const schema = z.toJSONSchema(ADMIN_BODIES[code(operation) as keyof typeof ADMIN_BODIES], {
        unrepresentable: 'any',
        io: 'input',
      }) as {
        properties: object
        required?: string[]
      }
      const members = Object.keys(schema.properties).map((name) => (schema.required?.includes(name) ? name : `${name}?`))
      const told = code(body)
        .split(', ')
        .filter(Boolean)
        .map((name) => name.replace('[]', ''))
      assert.deepEqual(told.sort(), members.sort())
      const [area, outcome, reason] = code(record).split('.')
      const reasons: readonly string[] = (LIFECYCLE as Record<string, Record<string, readonly string[]>>)[area ?? '']?.[outcome ?? ''] ?? []
      assert.ok(reasons.includes(reason ?? ''))
    })
  }

  test('lists every error with its message, and no other', () => {
    assert.deepEqual(Object.fromEntries(rows(adminPage, '## Errors').map(([name, message]) => [code(name), message])), ADMIN_ERRORS)
  })
})

describe('docs/state.md', () => {
  test('lists every bucket, and no other', () => {
    const buckets = [...statePage.matchAll(/^\| `(webauthn_[a-z_]+)`/gm)].map((match) => match[1])
    assert.deepEqual([...new Set(buckets)].sort(), [...BUCKETS].sort())
  })
})

describe('nats-server.conf', () => {
  for (const bucket of BUCKETS) {
    test(`lets the verifier make, read and write ${bucket}`, () => {
      for (const subject of [
        `$KV.${bucket}.`,
        `$JS.API.STREAM.INFO.KV_${bucket}"`,
        `$JS.API.STREAM.CREATE.KV_${bucket}"`,
        `$JS.API.STREAM.MSG.GET.KV_${bucket}"`,
      ]) {
        assert.ok(config.includes(`"${subject}`), subject)
      }
    })
  }

  test('gives nobody of our users a wildcard over JetStream', () => {
    for (const [subject] of config.matchAll(/"\$(?:JS|KV)[^"]*"/g)) {
      // A star inside a token is a star to nats-server, not a wildcard.
      assert.ok(!/[^."]\*|\*[^."]/.test(subject), subject)
      assert.ok(!/^"\$(JS|KV|JS\.API|JS\.API\.[A-Z]+)\.>"$/.test(subject), subject)
      assert.ok(
        /^"\$JS\.API\.STREAM\.UPDATE\.WEBAUTHN_/.test(subject) || !/\.(UPDATE|DELETE|PURGE|RESTORE|SNAPSHOT)\b/.test(subject),
        subject,
      )
    }
  })

  test('lets the audit streams be changed by one key alone, which is switched off', () => {
    const users = config.split(/(?=\{ nkey: )/)
    const changing = users.filter((user) => user.includes('STREAM.UPDATE'))
    assert.equal(changing.length, 1)
    assert.match(changing[0] ?? '', /^\{ nkey: \$BREAK_GLASS_AUDIT, allowed_connection_types: \$BREAK_GLASS_AUDIT_BY,/)
    // Every key for emergencies has its switch.
    for (const user of users.filter((each) => each.startsWith('{ nkey: $BREAK_GLASS_')))
      assert.match(user, /^\{ nkey: (\$BREAK_GLASS_[A-Z]+), allowed_connection_types: \1_BY,/)
  })
})
