/** What a rotation writes into the files of a deployment: nats-server.conf as it is shipped, and as people change it. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { COMMANDS } from '../../src/cli/commands.ts'
import { writeDeployment } from '../../src/cli/deployment-files.ts'
import { run } from '../../src/cli/run.ts'
import { addUserBeside, removeUserBeside } from '../../src/cli/server-conf-users.ts'
import { memoryIo } from '../support/memory-io.ts'

const shipped = readFileSync(new URL('../../nats-server.conf', import.meta.url), 'utf8')
const beside = (text: string, name = 'ADMIN') => addUserBeside(text, { name, beside: `${name}_NEXT` })

describe('a user beside another in nats-server.conf', () => {
  for (const name of ['VERIFIER_AUTH', 'VERIFIER_AUDIT', 'VERIFIER_SYS', 'ADMIN', 'AUDITOR']) {
    test(`stands beside ${name} with the same permissions, is in auth_users, and leaves no trace`, () => {
      const text = beside(shipped, name) ?? assert.fail()
      const blocks = [...text.matchAll(new RegExp(`\\{ nkey: \\$${name}(_NEXT)?,`, 'g'))]
      assert.equal(blocks.length, 2)
      const block = (of: string) =>
        /\{[\s\S]*?\n? {6}\}?[\s\S]*?(?=\n {6}[{#]|\n {4}\])/.exec(text.slice(text.indexOf(`{ nkey: $${of},`)))?.[0].replace(`$${of}`, '')
      assert.equal(block(`${name}_NEXT`)?.trim(), block(name)?.trim())
      assert.match(text, new RegExp(`auth_users: \\[[^\\]]*\\$${name}, \\$${name}_NEXT[,\\]]`))
      assert.equal(beside(text, name), text, 'done twice, it is there once')
      assert.equal(removeUserBeside(text, `${name}_NEXT`), shipped)
    })
  }

  test('is found past braces in comments and strings, and never taken for one with a longer name', () => {
    const text = `users: [
      { nkey: $ADMIN_TWO, permissions: { publish: ["two"] } }
      # { nkey: $ADMIN } was here }}
      { nkey: $ADMIN, permissions: { publish: ["a}b"] # }
      } }
    ]
    auth_users: [$ADMIN_TWO, $ADMIN]`
    const added = beside(text) ?? assert.fail()
    assert.equal(added.match(/publish: \["a}b"\]/g)?.length, 2)
    assert.match(added, /auth_users: \[\$ADMIN_TWO, \$ADMIN, \$ADMIN_NEXT\]/)
    assert.match(removeUserBeside(added, 'ADMIN_NEXT'), /auth_users: \[\$ADMIN_TWO, \$ADMIN\]/)
  })

  test('is refused where the user, its end or the list is not there', () => {
    assert.equal(beside('users: [ { nkey: $OTHER } ] auth_users: [$OTHER]'), null)
    assert.equal(beside('users: [ { nkey: $ADMIN '), null)
    assert.equal(beside('users: [ { nkey: $ADMIN } ]'), null)
    assert.equal(beside('users: [ { nkey: UADMIN } ] auth_users: [UADMIN]'), null)
  })
})

describe('the rotate commands', () => {
  let dir: string
  const typed = async (...args: string[]) => {
    const io = memoryIo()
    const code = await run([...args, '-c', join(dir, 'nats-webauthn.yaml')], COMMANDS, io)
    return { code, out: io.stdout, err: io.stderr.join('\n') }
  }
  const contents = () =>
    Object.fromEntries(
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'utf8')]),
    )

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-rotate-'))
    writeDeployment(dir)
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  test('change nothing when they are only asked what they would', async () => {
    const before = contents()
    for (const command of ['begin', 'replace']) {
      const { code, out } = await typed('rotate', command, 'issuer', 'auth', 'audit', 'system', 'admin', 'auditor', '--dry-run', '--json')
      assert.equal(code, 0)
      assert.ok((JSON.parse(out[0] ?? '') as { changes: unknown[] }).changes.length > 6)
      assert.equal(/S[AUX][A-Z2-7]{56}/.test(out.join()), false, 'no seed is shown')
    }
    assert.deepEqual(contents(), before)
  })

  test('make seeds for their owner alone, keep what was edited, and are done by `finish`', async () => {
    const before = contents()
    assert.equal((await typed('rotate', 'begin', 'auth', 'issuer')).code, 0)
    const next = join(dir, 'keys/verifier/auth.next.seed')
    assert.equal(statSync(next).mode & 0o777, 0o600)
    assert.equal(readFileSync(join(dir, 'nats-server.conf.bak'), 'utf8'), before[join(dir, 'nats-server.conf')])
    assert.equal((await typed('check', '--offline')).code, 0, 'nats-server is told the next issuer, and the verifier holds it')
    const seed = readFileSync(next, 'utf8')
    assert.equal((await typed('rotate', 'finish', '--offline')).code, 0)
    assert.equal(readFileSync(join(dir, 'keys/verifier/auth.seed'), 'utf8'), seed)
    assert.equal(readFileSync(join(dir, 'nats-server.conf'), 'utf8'), before[join(dir, 'nats-server.conf')])
    assert.equal((await typed('check', '--offline')).code, 0)
    assert.deepEqual((await typed('rotate', 'finish', '--offline')).out, [], 'nothing is left to do')
  })

  test('take no second key while the seed of the rotation before is not destroyed', async () => {
    await typed('rotate', 'begin', 'admin')
    await typed('rotate', 'finish', '--offline')
    await typed('rotate', 'begin', 'admin')
    const before = contents()
    assert.equal((await typed('rotate', 'finish', '--offline')).code, 1)
    assert.equal((await typed('rotate', 'replace', 'admin')).code, 1)
    assert.deepEqual(contents(), before)
  })

  test('refuse files that they cannot read, and change none of them', async () => {
    writeFileSync(join(dir, 'nats-server.conf'), shipped.replaceAll('$ADMIN', '$BOSS'))
    const before = contents()
    assert.equal((await typed('rotate', 'begin', 'auth', 'admin')).code, 1)
    rmSync(join(dir, 'nats-server.keys.conf'))
    assert.equal((await typed('rotate', 'begin', 'auth')).code, 1)
    assert.equal((await typed('rotate', 'replace', 'auth')).code, 1)
    delete before[join(dir, 'nats-server.keys.conf')]
    assert.deepEqual(contents(), before)
  })

  test('begin no rotation of the issuer that the verifier could not follow', async () => {
    const file = join(dir, 'nats-webauthn.yaml')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^ *next_\w+:.*\n/gm, ''))
    assert.equal((await typed('rotate', 'begin', 'issuer')).code, 1)
    assert.equal((await typed('rotate', 'replace', 'issuer')).code, 0)
    assert.equal((await typed('check', '--offline')).code, 0)
  })

  test('know their keys by name', async () => {
    assert.equal((await typed('rotate', 'begin', 'verifier')).code, 2)
    assert.equal((await typed('rotate', 'begin')).code, 2)
    assert.equal((await typed('rotate', 'begin', 'xkey')).code, 0)
    assert.equal(existsSync(join(dir, 'keys/verifier/issuer.next.seed')), true)
  })

  test('plan nothing twice when both names of the pair are written', async () => {
    const planned = await typed('rotate', 'begin', 'issuer', 'xkey', 'issuer', '--dry-run', '--json')
    assert.deepEqual(planned.out, (await typed('rotate', 'begin', 'issuer', '--dry-run', '--json')).out)
  })

  test('half a pair of next seeds is a mistake that the verifier does not start with', async () => {
    await typed('rotate', 'begin', 'issuer')
    rmSync(join(dir, 'keys/verifier/xkey.next.seed'))
    const { code, out } = await typed('check', '--offline')
    assert.equal(code, 1)
    assert.match(out.join('\n'), /xkey\.next\.seed/)
  })
})
