/** docs/login.md says what the code does: its check code is recomputed, its context is what login writes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { login } from '../../src/cli/login.ts'
import { logout } from '../../src/cli/logout.ts'
import { CODE_LETTERS, sessionCheckCode } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'

const page = readFileSync(new URL('../../docs/login.md', import.meta.url), 'utf8')
const example = (name: string) => new RegExp(`^${name} += (\\S+)$`, 'm').exec(page)?.[1] ?? assert.fail(name)

describe('docs/login.md', () => {
  test('has the check code of its request and nkey', () => {
    assert.ok(page.includes(`\`${CODE_LETTERS}\``))
    assert.equal(sessionCheckCode(sha256, { request: example('request'), nkey: example('nkey') }), example('check code'))
  })

  test('names options that the commands have', () => {
    const options = new Set([...Object.keys(login.options), ...Object.keys(logout.options)])
    const named = [...page.matchAll(/`--([a-z-]+)`/g)].map(([, name]) => name as string)
    assert.ok(named.length > 3)
    for (const name of named) assert.ok(options.has(name), name)
  })
})
