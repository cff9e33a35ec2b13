import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { type Local, makeLocal } from '../support/local.ts'
import { NATS_LINES } from '../support/nats-server.ts'

interface CheckLine {
  name: string
  passed: boolean | null
  detail: string
}

async function check(local: Local): Promise<{ code: number | null; failed: string[] }> {
  const { code, stdout } = await local.cli(['check', '--json'])
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as CheckLine)
  return { code, failed: lines.filter(({ passed }) => passed === false).map(({ name }) => name) }
}

for (const line of NATS_LINES) {
  describe(`the command line against nats-server ${line}`, () => {
    let local: Local
    before(async () => {
      local = await makeLocal(line)
      await local.startNats()
      await local.startVerifier()
    })
    after(() => local.end())

    const enrolArgs = (key: string) => ['enrol', '--url', `http://localhost:${local.ports.enrolment}`, '--key', key]

    test('check passes, round trip and all', async () => {
      assert.deepEqual(await check(local), { code: 0, failed: [] })
    })

    test("check holds every server to the policy's nats_server_min", async () => {
      const file = join(local.dir, 'policy.yaml')
      const good = readFileSync(file, 'utf8')
      writeFileSync(file, `nats_server_min: "2.15"\n${good}`)
      const { failed } = await check(local)
      writeFileSync(file, good)
      assert.deepEqual(failed, line === '2.10' ? ['nats-1 version'] : [])
    })

    test('healthcheck asks liveness and readiness', async () => {
      assert.equal((await local.cli(['healthcheck'])).code, 0)
      assert.equal((await local.cli(['healthcheck', '--ready'])).code, 0)
    })

    test('an invitation becomes a credential, is listed, shown and revoked, and all of it is in the trail', async () => {
      const invited = await local.cli(['invite', 'orders', '--machine', '--role', 'orders-writer'])
      assert.equal(invited.code, 0)
      const ticket = invited.stdout.trim()
      assert.match(ticket, /^[A-Za-z0-9_-]{43}$/)
      assert.equal(invited.stderr.includes(ticket), false)

      const enrolled = await local.cli([...enrolArgs('orders.key'), '--json'], `${ticket}\n`)
      assert.equal(enrolled.code, 0, enrolled.stderr)
      const { credential_id: id, handle } = JSON.parse(enrolled.stdout) as { credential_id: string; handle: string }
      assert.equal(handle, 'orders')
      assert.equal(statSync(join(local.dir, 'orders.key')).mode & 0o777, 0o600)

      const listed = await local.cli(['credential', 'list', '--handle', 'orders', '--json'])
      assert.deepEqual(
        listed.stdout
          .trimEnd()
          .split('\n')
          .map((text) => (JSON.parse(text) as { id: string; state: string }).state),
        ['active'],
      )
      assert.match((await local.cli(['credential', 'show', id])).stdout, /"handle": "orders"/)
      assert.match((await local.cli(['identity', 'list'])).stdout, /^orders {2}machine {2}active {2}orders-writer/m)

      const reused = await local.cli(enrolArgs('again.key'), ticket)
      assert.equal(reused.code, 1)
      assert.match(reused.stderr, /ticket_invalid/)

      assert.equal((await local.cli(['credential', 'revoke', id])).code, 0)
      assert.match((await local.cli(['credential', 'list'])).stdout, /revoked/)
      const trail = (await local.cli(['audit', 'tail', '--since', '1h'])).stdout
      for (const code of [
        'enrolment.succeeded.invited',
        'enrolment.succeeded.enrolled',
        'enrolment.refused.ticket_used',
        'credential.succeeded.revoked',
      ]) {
        assert.ok(trail.includes(code), code)
      }
      assert.equal(trail.includes(ticket), false)
    })

    test('a ticket goes to a file for its owner alone, and never over another file', async () => {
      const args = ['invite', 'stock', '--machine', '--role', 'orders-reader', '--out', 'stock.ticket', '--json']
      const invited = await local.cli(args)
      assert.equal(invited.code, 0)
      const path = join(local.dir, 'stock.ticket')
      assert.equal(statSync(path).mode & 0o777, 0o600)
      const ticket = readFileSync(path, 'utf8').trim()
      assert.equal((invited.stdout + invited.stderr).includes(ticket), false)
      assert.equal((await local.cli(args)).code, 2)
      assert.equal(readFileSync(path, 'utf8').trim(), ticket)
    })

    test('an invitation that is refused leaves no file', async () => {
      const { code, stderr } = await local.cli(['invite', 'nobody', '--machine', '--role', 'no-such-role', '--out', 'nobody.ticket'])
      assert.equal(code, 1)
      assert.match(stderr, /role_unknown/)
      assert.equal(existsSync(join(local.dir, 'nobody.ticket')), false)
    })

    test('a key whose enrolment failed is used by the next attempt', async () => {
      assert.equal((await local.cli(enrolArgs('retry.key'), 'A'.repeat(43))).code, 1)
      const before = readFileSync(join(local.dir, 'retry.key'), 'utf8')
      const { stdout: ticket } = await local.cli(['invite', 'retry', '--machine', '--role', 'orders-reader'])
      assert.equal((await local.cli(enrolArgs('retry.key'), ticket)).code, 0)
      const { privateKey } = JSON.parse(before) as { privateKey: string }
      assert.ok(readFileSync(join(local.dir, 'retry.key'), 'utf8').includes(privateKey))
      const again = await local.cli(enrolArgs('retry.key'), ticket)
      assert.equal(again.code, 1)
      assert.match(again.stderr, /enrolled already/)
    })

    for (const [name, args] of [
      ['a role is missing', ['invite', 'x', '--machine']],
      ['a name is none', ['invite', 'UPPER', '--machine', '--role', 'orders-reader']],
      ["a person's role is missing", ['invite', 'x']],
      ['a credential id is none', ['credential', 'revoke', 'not an id']],
      ['what is approved is none', ['credential', 'approve', '*']],
      ['a session is none', ['session', 'revoke', 'UABC']],
      ['a state is unknown', ['credential', 'list', '--state', 'gone']],
      ['a filter is none', ['audit', 'tail', 'a b']],
      ['only half of an administrator is named', ['credential', 'list', '--admin-name', 'eve']],
      ['a ticket is missing', ['enrol', '--url', 'http://localhost:1', '--key', 'no.key']],
      ['a file to check is missing', ['assertion', 'check', 'absent.jsonl']],
    ] satisfies [string, string[]][]) {
      test(`exits 2 when ${name}`, async () => {
        const { code, stdout } = await local.cli(args)
        assert.equal(code, 2)
        assert.equal(stdout, '')
      })
    }

    test('an administrator cannot speak in the name of another', async () => {
      const { code, stdout } = await local.cli(['identity', 'list', '--admin-name', 'root', '--admin-seed-file', 'keys/admin.seed'])
      assert.equal(code, 1)
      assert.equal(stdout, '')
    })

    test('a bad policy is refused, said and recorded; the old one stays, and a good one follows', async () => {
      const path = join(local.dir, 'policy.yaml')
      const good = readFileSync(path, 'utf8')
      writeFileSync(path, `${good}  surprise: 1\n`)
      const { stdout } = await untilTrail(local, 'policy.refused.invalid')
      assert.ok(stdout.includes('policy.refused.invalid'))
      assert.equal((await local.cli(['invite', 'still', '--machine', '--role', 'orders-writer'])).code, 0)
      writeFileSync(path, `${good}\n# another\n`)
      assert.ok((await untilTrail(local, 'policy.succeeded.loaded', 2)).stdout.includes('policy.succeeded.loaded'))
      assert.deepEqual(await check(local), { code: 0, failed: [] })
    })
  })
}

/** The trail once it has `count` records of `code`. Each look is a command of its own, so there is no event to await. */
async function untilTrail(local: Local, code: string, count = 1): Promise<{ stdout: string }> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const looked = await local.cli(['audit', 'tail', '--since', '1h'])
    if (looked.stdout.split(code).length > count) return looked
  }
  throw new Error(`waiting for ${count} of ${code}`)
}

test('a command ends although nats-server accepts connections and says nothing', { timeout: 30_000 }, async (t) => {
  const local = await makeLocal()
  t.after(() => local.end())
  const sockets: Socket[] = []
  const silent = createServer((socket) => sockets.push(socket.on('error', () => {})))
  t.after(() => {
    silent.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(silent.listen(local.ports.nats, '127.0.0.1'), 'listening')
  const { code, stderr } = await local.cli(['credential', 'list'])
  assert.equal(code, 1)
  assert.match(stderr, /connecting/)
})

describe('serve', () => {
  let local: Local
  beforeEach(async () => {
    local = await makeLocal()
  })
  afterEach(() => local.end())

  test('exits 78 with the line of each mistake', async () => {
    const file = join(local.dir, 'nats-webauthn.yaml')
    const good = readFileSync(file, 'utf8')
    writeFileSync(file, `${good}surprise: 1\n`)
    const broken = await local.cli(['serve'])
    assert.equal(broken.code, 78)
    assert.match(broken.stderr, /^nats-webauthn\.yaml:\d+: surprise: unknown key/m)

    writeFileSync(file, good)
    chmodSync(join(local.dir, 'keys/verifier/xkey.seed'), 0o644)
    const open = await local.cli(['serve'])
    assert.equal(open.code, 78)
    assert.match(open.stderr, /xkey\.seed: readable by group or others/)

    chmodSync(join(local.dir, 'keys/verifier/xkey.seed'), 0o600)
    writeFileSync(join(local.dir, 'policy.yaml'), 'version: 1\nroles: { a: { account: AUTH } }\n')
    const policy = await local.cli(['serve'])
    assert.equal(policy.code, 78)
    assert.match(policy.stderr, /policy\.yaml:2: /)

    writeFileSync(join(local.dir, 'keys/verifier/metrics.users'), 'prometheus:plain\n')
    writeFileSync(join(local.dir, 'policy.yaml'), 'version: 1\nroles: {}\n')
    assert.equal((await local.cli(['serve'])).code, 78)
  })

  test('lives without NATS, is not ready, and ends with 0 when told to', async () => {
    const verifier = local.beginVerifier()
    while ((await local.cli(['healthcheck'])).code !== 0) assert.equal(verifier.child.exitCode, null)
    assert.equal((await local.cli(['healthcheck', '--ready'])).code, 1)
    assert.equal(await verifier.stop(), 0)
  })

  test('leaves the queue group while NATS is away, comes back with it, and has both in the trail', async () => {
    const nats = await local.startNats()
    const verifier = await local.startVerifier()
    assert.equal(await nats.stop(), 0)
    await verifier.said(/"msg":"not ready"/)
    assert.equal((await local.cli(['healthcheck', '--ready'])).code, 1)
    const readyBefore = verifier.lines.filter((text) => text.includes('"msg":"ready"')).length
    await local.startNats()
    while ((await local.cli(['healthcheck', '--ready'])).code !== 0) assert.equal(verifier.child.exitCode, null)
    assert.equal(verifier.lines.filter((text) => text.includes('"msg":"ready"')).length, readyBefore + 1)
    assert.deepEqual(await check(local), { code: 0, failed: [] })
    assert.equal(await verifier.stop(), 0)
    const trail = (await local.cli(['audit', 'tail', 'verifier.>'])).stdout
    for (const code of ['started', 'ready', 'stopped']) assert.ok(trail.includes(`verifier.succeeded.${code}`), code)
  })

  test('check says what is missing while no verifier runs', async () => {
    await local.startNats()
    assert.deepEqual(await check(local), { code: 1, failed: ['buckets', 'audit streams', 'callout round trip', 'enrolment listener'] })
  })

  test('check says that people could not sign in at the page', async () => {
    const file = join(local.dir, 'nats-webauthn.yaml')
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replace(/^( {2}origin: http:\/\/)localhost/m, '$1127.0.0.1'))
    const { code, stderr } = await local.cli(['check', '--offline'])
    assert.equal(code, 78)
    assert.match(stderr, /nats-webauthn\.yaml:\d+: .*people sign in at enrolment\.origin/)
  })

  test('check says that nats-server names another issuer than the seed is for', async () => {
    const other = await local.cli(['init', 'other'])
    assert.equal(other.code, 0)
    copyFileSync(join(local.dir, 'other/keys/verifier/issuer.seed'), join(local.dir, 'keys/verifier/issuer.seed'))
    const { code, stdout } = await local.cli(['check', '--offline'])
    assert.equal(code, 1)
    assert.match(stdout, /^✗ public keys: .*: ISSUER$/m)
  })

  test('check says that the xkeys differ, and passes where neither side has one', async () => {
    const file = join(local.dir, 'nats-webauthn.yaml')
    const conf = join(local.dir, 'nats-server.conf')
    const keys = join(local.dir, 'nats-server.keys.conf')
    writeFileSync(file, readFileSync(file, 'utf8').replace(/xkey_seed_file: .*/, 'xkey: none'))
    const sealing = await local.startNats()
    const verifier = await local.startVerifier()
    assert.deepEqual(await check(local), { code: 1, failed: ['callout round trip'] })
    assert.match((await local.cli(['check'])).stdout, /recorded as request_malformed: compare auth_callout\.xkey/)

    assert.equal(await verifier.stop(), 0)
    await sealing.stop()
    writeFileSync(conf, readFileSync(conf, 'utf8').replace(/^ *xkey: .*$/m, ''))
    writeFileSync(keys, readFileSync(keys, 'utf8').replace(/^XKEY.*$/m, ''))
    await local.startNats()
    await local.startVerifier()
    assert.deepEqual(await check(local), { code: 0, failed: [] })
  })
})
