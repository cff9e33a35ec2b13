/** What an administrator types about people, on a deployment as `init` writes it. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Local, makeLocal } from '../support/local.ts'

describe('the command line about people', () => {
  let local: Local
  before(async () => {
    local = await makeLocal()
    await local.startNats()
    await local.startVerifier()
  })
  after(() => local.end())

  const enrolArgs = (key: string) => ['enrol', '--url', `http://localhost:${local.ports.enrolment}`, '--key', key]

  test('a person is invited with a link, which goes to stdout or to a file and nowhere else', async () => {
    const invited = await local.cli(['invite', 'alice', '--role', 'orders-desk'])
    assert.equal(invited.code, 0, invited.stderr)
    const [, ticket = ''] = /^http:\/\/localhost:\d+\/#ticket=([A-Za-z0-9_-]{43})\n$/.exec(invited.stdout) ?? []
    assert.notEqual(ticket, '')
    assert.ok(invited.stdout.startsWith(`http://localhost:${local.ports.enrolment}/#`))
    assert.equal(invited.stderr.includes(ticket), false)
    assert.equal((await local.cli(['audit', 'tail', '--since', '1h', '--json'])).stdout.includes(ticket), false)

    const hidden = await local.cli(['invite', 'alice', '--role', 'orders-desk', '--out', 'alice.link', '--json'])
    assert.equal(hidden.code, 0, hidden.stderr)
    const path = join(local.dir, 'alice.link')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const link = readFileSync(path, 'utf8').trim()
    assert.equal((hidden.stdout + hidden.stderr).includes(link.split('#ticket=')[1] ?? ''), false)
    assert.deepEqual(Object.keys(JSON.parse(hidden.stdout) as object), ['id', 'expiresAt', 'url'])
  })

  test("a person's link enrols no machine, and a machine's name is no person's", async () => {
    const { stdout } = await local.cli(['invite', 'carol', '--role', 'orders-desk', '--json'])
    const { ticket } = JSON.parse(stdout) as { ticket: string }
    const { code, stderr } = await local.cli(enrolArgs('carol.key'), ticket)
    assert.equal(code, 1)
    assert.match(stderr, /ticket_invalid/)
    const { stdout: machine } = await local.cli(['invite', 'press', '--machine', '--role', 'orders-reader'])
    assert.equal((await local.cli(enrolArgs('press.key'), machine)).code, 0)
    const taken = await local.cli(['invite', 'press', '--role', 'orders-desk'])
    assert.equal(taken.code, 1)
    assert.match(taken.stderr, /handle_taken/)
  })

  test('a credential is approved once, and a revoked one never', async () => {
    const { stdout: ticket } = await local.cli(['invite', 'scale', '--machine', '--role', 'orders-reader'])
    const enrolled = await local.cli([...enrolArgs('scale.key'), '--json'], ticket)
    const { credential_id: id } = JSON.parse(enrolled.stdout) as { credential_id: string }
    assert.match((await local.cli(['credential', 'approve', id])).stdout, /is approved by admin$/m)
    assert.match((await local.cli(['credential', 'approve', id])).stdout, /as before/)
    assert.match((await local.cli(['credential', 'list', '--handle', 'scale'])).stdout, /approved by admin {2}scale$/m)
    assert.equal((await local.cli(['credential', 'revoke', id])).code, 0)
    const { code, stderr } = await local.cli(['credential', 'approve', id])
    assert.equal(code, 1)
    assert.match(stderr, /conflict/)
    assert.ok((await local.cli(['audit', 'tail', '--since', '1h'])).stdout.includes('credential.succeeded.approved'))
  })
})
