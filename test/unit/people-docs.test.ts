/** docs/people.md says what the code does: its table of checks is the registry. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DEVICE_CHECKS } from '../../src/core/people/device-policy.ts'

test('docs/people.md has the checks of device_refused, in their order', () => {
  const page = readFileSync(new URL('../../docs/people.md', import.meta.url), 'utf8')
  const from = page.slice(page.indexOf('`check` of `device_refused`'))
  const rows = /(?:^\|.*\n)+/m.exec(from)?.[0].trim().split('\n').slice(2) ?? []
  const documented = rows
    .map((row) => row.split('|').slice(1, -1))
    .map(([check = '', meaning = '']) => [check.replaceAll('`', '').trim(), meaning.trim()])
  assert.deepEqual(documented, Object.entries(DEVICE_CHECKS))
})
