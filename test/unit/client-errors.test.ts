import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CLIENT_ERROR_CODES } from '../../src/client/index.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

test('docs/client.md lists exactly the error codes, with their meaning', () => {
  const table = read('docs/client.md').split('## Errors')[1] ?? ''
  const rows = [...table.matchAll(/^\| `([a-z_]+)` \| (.+) \|$/gm)].map(([, code, meaning]) => [code, meaning])
  assert.deepEqual(rows, Object.entries(CLIENT_ERROR_CODES))
})

test('every error code is thrown somewhere', () => {
  const sources = readdirSync(new URL('../../src/client/', import.meta.url))
    .filter((name) => name !== 'client-error.ts')
    .map((name) => read(`src/client/${name}`))
    .join('\n')
  for (const code of Object.keys(CLIENT_ERROR_CODES)) assert.ok(sources.includes(`'${code}'`), code)
})
