/** `login` and `logout` against the real verifier and nats-server; stock clients then have nothing but the seed file. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { nkeyAuthenticator as nkeyAuthenticatorV3 } from '@nats-io/nats-core'
import { connect as connectV3 } from '@nats-io/transport-node'
import { connect as connectV2, type NatsConnection, nkeyAuthenticator as nkeyAuthenticatorV2 } from 'nats'
import { createSessionKey } from '../../src/client/session-key.ts'
import { requestSession } from '../../src/client/session-request.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { invited, type Visitor } from '../support/page-visitor.ts'
import { type Product, startProduct } from '../support/product.ts'
import { testCa } from '../support/test-certificates.ts'
import { type TypedCommand, typed } from '../support/typed-command.ts'

const POLICY = `version: 1
roles:
  reader:
    account: APP
    publish: { allow: ["read.>"] }
    subscribe: { allow: ["read.>"] }
    allow_responses: { max: 1, ttl: 5s }
    plain_sessions: true
    login_by_code: true
  writer:
    account: APP
    publish: { allow: ["write.>"] }
    plain_sessions: true
  brief:
    account: APP
    publish: { allow: ["brief.>"] }
    session: 3s
    plain_sessions: true
  vault:
    account: APP
    publish: { allow: ["vault.>"] }
    session: 0
    plain_sessions: true
`

type Connect = (options: object) => Promise<NatsConnection>
const CLIENTS: Record<string, { connect: Connect; authenticator: (seed: Uint8Array) => unknown }> = {
  'nats 2.x': { connect: connectV2, authenticator: nkeyAuthenticatorV2 },
  '@nats-io/transport-node 3.x': { connect: connectV3 as unknown as Connect, authenticator: nkeyAuthenticatorV3 },
}

interface Home {
  dir: string
  env: { XDG_CONFIG_HOME: string }
}

const homes: string[] = []
after(() => {
  for (const dir of homes) rmSync(dir, { recursive: true, force: true })
})
function home(): Home {
  const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-login-'))
  homes.push(dir)
  return { dir, env: { XDG_CONFIG_HOME: dir } }
}

/** `login` in the loopback flow, with the person as its browser. */
async function login(
  product: Product,
  person: Visitor,
  { env }: Home,
  more: string[] = [],
): Promise<{ command: TypedCommand; report: Report }> {
  const command = typed(['login', '--url', product.enrolmentOrigin, '--no-browser', '--json', ...more], env)
  const url = await command.said(/(http:\S+#session=\S+)/)
  const shown = await person.show({ url })
  assert.equal(await command.said(/code (\S{9})/), shown.code)
  const callback = await person.endorse(shown.request)
  assert.equal((await fetch(callback ?? '')).status, 200)
  assert.equal(await command.done, 0, command.io.stderr.join('\n'))
  return { command, report: JSON.parse(command.io.stdout.join('\n')) }
}

interface Report {
  handle: string
  nkey: string
  roles: string[]
  urls: string[]
  inbox_prefix: string
  expires_at: string
  context: string
  context_file: string
  seed_file: string
}

for (const line of NATS_LINES) {
  const isTls = line === '2.15'
  describe(`login, over ${isTls ? 'TLS' : 'loopback'} with nats-server ${line}`, () => {
    let product: Product
    let ca: string
    before(async () => {
      const issuer = await testCa('nats-webauthn test')
      ca = issuer.cert
      const { cert, key } = await issuer.issue({ name: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] })
      product = await startProduct({
        line,
        policy: POLICY,
        ...(isTls ? { tls: { ca, cert, key }, urls: ({ server }) => [`tls://localhost:${server.port}`] } : {}),
      })
    })
    after(() => product.stop())

    /** What any program does that is given a context's file and nothing of ours. */
    function stock(client: keyof typeof CLIENTS, report: Report, more: object = {}): Promise<NatsConnection> {
      const { connect, authenticator } = CLIENTS[client] ?? assert.fail()
      const context = JSON.parse(readFileSync(report.context_file, 'utf8'))
      return connect({
        servers: context.url,
        authenticator: authenticator(new TextEncoder().encode(readFileSync(context.nkey, 'utf8').trim())),
        inboxPrefix: context.inbox_prefix,
        ...(isTls ? { tls: { ca } } : {}),
        reconnect: false,
        ...more,
      })
    }

    for (const client of Object.keys(CLIENTS)) {
      test(`${client} publishes, subscribes and asks with the seed file alone; logout closes it and it stays out`, async () => {
        const handle = `person-${Object.keys(CLIENTS).indexOf(client)}`
        const person = await invited(product, handle, ['reader', 'writer'])
        const at = home()
        const { report } = await login(product, person, at)
        assert.deepEqual([report.handle, report.roles, report.inbox_prefix], [handle, ['reader', 'writer'], `_INBOX_${handle}`])

        const nc = await stock(client, report)
        nc.subscribe('read.ask', { callback: (_, message) => void message.respond(message.data) })
        nc.publish('write.new', 'hello')
        // The answer comes to an inbox under the prefix; any other inbox is somebody else's.
        assert.equal((await nc.request('read.ask', 'hello', { timeout: 5_000 })).string(), 'hello')
        const other = await stock(client, report, { inboxPrefix: '_INBOX_other' })
        await assert.rejects(other.request('read.ask', 'hello', { timeout: 5_000 }))
        await other.close()

        const closed = nc.closed()
        const out = typed(['logout', '--json'], at.env)
        assert.equal(await out.done, 0, out.io.stderr.join('\n'))
        assert.deepEqual(JSON.parse(out.io.stdout.join('')), { context: report.context, handle, nkey: report.nkey, ended: true })
        await closed
        assert.equal((await product.session(report.nkey)).state, 'revoked')
        assert.deepEqual(readdirSync(join(at.dir, 'nats-webauthn')), [])
        assert.deepEqual(readdirSync(join(at.dir, 'nats', 'context')), [])

        const trail = product.records.map(({ subject }) => subject).filter((subject) => subject.startsWith('audit.webauthn.session'))
        assert.deepEqual(
          trail.slice(-3),
          ['endorsed', 'completed', 'revoked'].map((reason) => `audit.webauthn.session.succeeded.${reason}`),
        )
      })
    }

    test('keeps seed, memo and context for their owner alone, and the seed out of everything else', async () => {
      const at = home()
      const { command, report } = await login(product, await invited(product, 'careful', ['reader']), at, ['--context', 'work'])
      const files = [report.seed_file, report.context_file, join(at.dir, 'nats-webauthn', 'work.json')]
      for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600, file)
      const seed = readFileSync(report.seed_file, 'utf8').trim()
      assert.match(seed, /^SU[A-Z2-7]{56}$/)
      for (const file of files.slice(1)) assert.ok(!readFileSync(file, 'utf8').includes(seed))
      assert.ok(![...command.io.stdout, ...command.io.stderr].join('\n').includes(seed))
      assert.ok(!JSON.stringify(product.records).includes(seed))
    })

    test('a connection ends with its session, and there is no way back with the same key', async () => {
      const { report } = await login(product, await invited(product, 'short', ['brief']), home())
      const end = Date.parse(report.expires_at)
      assert.ok(end - Date.now() <= 3_000)
      // Expiries are whole seconds, so a connection may end a part of one before its session, and another come in between.
      for (let refused = false; !refused; ) {
        const closed = await stock('nats 2.x', report).then(
          (nc) => nc.closed(),
          (error: unknown) => error,
        )
        refused = closed instanceof Error && 'code' in closed && closed.code === 'AUTHORIZATION_VIOLATION'
      }
      assert.ok(Date.now() < end + 2_000)
      await assert.rejects(stock('@nats-io/transport-node 3.x', report))
      await product.record(({ subject }) => subject.endsWith('denied.session_expired'))
    })
  })
}

describe('login', () => {
  let product: Product
  before(async () => {
    product = await startProduct({ policy: POLICY })
  })
  after(() => product.stop())

  const connectWith = (seed: string) =>
    connectV2({ servers: product.url, authenticator: nkeyAuthenticatorV2(new TextEncoder().encode(seed)), reconnect: false })

  test('by code gives the roles that allow it, and nothing of the others', async () => {
    const person = await invited(product, 'coder', ['reader', 'writer'])
    const at = home()
    const command = typed(['login', '--url', product.enrolmentOrigin, '--code', '--json'], at.env)
    const code = await command.said(/([B-Z]{4}-[B-Z]{4})/)
    const shown = await person.show({ code: code.toLowerCase() })
    assert.deepEqual([shown.code, shown.roles], [code, ['reader']])
    assert.equal(await person.endorse(shown.request), null)
    assert.equal(await command.done, 0)
    const report: Report = JSON.parse(command.io.stdout.join(''))
    assert.deepEqual(report.roles, ['reader'])
    const nc = await connectWith(readFileSync(report.seed_file, 'utf8').trim())
    const status = nc.status()[Symbol.asyncIterator]()
    nc.publish('write.new', 'hello')
    const { value } = await status.next()
    assert.equal(value.data, 'PERMISSIONS_VIOLATION')
    await nc.close()
  })

  test('puts nothing in force for who sent the link to somebody else', async () => {
    const person = await invited(product, 'phished', ['reader', 'writer'])
    const key = createSessionKey()
    const asked = await requestSession({ url: product.enrolmentOrigin, key, host: 'it-support', port: 41_234 })
    const callback = await person.endorse((await person.show({ url: asked.url })).request)
    assert.equal(new URL(callback ?? '').host, '127.0.0.1:41234')
    assert.deepEqual(await asked.poll(), { state: 'waiting' })
    await assert.rejects(asked.complete('A'.repeat(43)), { code: 'session_refused', refusal: 'request_gone' })
    await assert.rejects(connectWith(key.seed()), { code: 'AUTHORIZATION_VIOLATION' })
    const denied = await product.record(({ subject }) => subject.endsWith('session_pending'))
    assert.match(denied.subject, /denied/)
  })

  test('again ends the session before it', async () => {
    const person = await invited(product, 'again', ['reader'])
    const at = home()
    const { report: first } = await login(product, person, at)
    const seed = readFileSync(first.seed_file, 'utf8').trim()
    const { report: second } = await login(product, person, at)
    assert.notEqual(second.nkey, first.nkey)
    assert.equal((await product.session(first.nkey)).state, 'revoked')
    assert.equal((await product.session(second.nkey)).state, 'active')
    await assert.rejects(connectWith(seed), { code: 'AUTHORIZATION_VIOLATION' })
  })

  test('is told in words that the person said no, or may not', async () => {
    const person = await invited(product, 'unwilling', ['vault'])
    const at = home()
    const command = typed(['login', '--url', product.enrolmentOrigin, '--no-browser'], at.env)
    const url = await command.said(/(http:\S+#session=\S+)/)
    const request = new URL(url).hash.replace('#session=', '')
    const refused = await person.post('/v1/session/show', { request })
    assert.deepEqual([refused.status, refused.body.error.code], [403, 'session_time_zero'])
    assert.equal((await person.post('/v1/session/refuse', { request })).status, 200)
    assert.equal(await command.done, 1)
    assert.match(command.io.stderr.at(-1) ?? '', /refused at the page/)
    assert.deepEqual(command.io.stdout, [])
    assert.deepEqual(readdirSync(join(at.dir, 'nats-webauthn')), [])
  })
})
