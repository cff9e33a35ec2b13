/** A whole migration against a real nats-server: static users go on, what would be refused is on record, and then it ends. */
import assert from 'node:assert/strict'
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hashSync } from 'bcryptjs'
import { type ConnectionOptions, connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import { createUser } from 'nkeys.js'
import { readConfig } from '../../src/config.ts'
import { startVerifier } from '../../src/main.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { type AuditRecord, nats, type Product, startProduct } from '../support/product.ts'
import { boundResume, endorsing, proof } from '../support/proofs.ts'

const POLICY = readFileSync(new URL('../support/policies/orders.yaml', import.meta.url), 'utf8')
const PASSWORD = 'correct horse battery staple'
const TOKEN = 'a token that everybody knows'
const sensor = createUser()
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z')

const billing = `  - user: billing
    password: "${hashSync(PASSWORD, 4)}"
    account: APP
    permissions:
      publish: [billing.>]
      subscribe: { allow: [billing.>, "_INBOX.>"], deny: [billing.secret.>] }
`
const board = `  - name: board
    token: "${hashSync(TOKEN, 4)}"
    account: APP
    permissions: { publish: [], subscribe: [board.>] }
`
const sensors = `  - name: sensors
    nkey: ${sensor.getPublicKey()}
    account: APP
    permissions: { publish: [sensors.>], subscribe: [">"] }
`
const users = (...entries: string[]) => (entries.length === 0 ? 'users: []\n' : `users:\n${entries.join('')}`)
const migration = (settings: string) => `migration: { legacy_users_file: legacy-users.yaml, ${settings} }\n`

/** Static users as they were before the callout: nats-server asks the callout about them now, and looks at none of this. */
const withStaticUsers = (config: string) =>
  config.replace(
    /^ {2}APP \{\n {4}users: \[/m,
    `  APP {\n    users: [\n      { user: billing, password: "${PASSWORD}" }, { nkey: ${sensor.getPublicKey()} }`,
  )

for (const line of NATS_LINES) {
  describe(`report-only mode on nats-server ${line}`, () => {
    let product: Product
    let log = ''
    before(async () => {
      product = await startProduct({
        line,
        policy: POLICY,
        edit: withStaticUsers,
        yaml: migration(`report_only: true, until: "${inDays(30)}", connection_ttl: 1h`),
        files: { 'legacy-users.yaml': () => users(billing, board, sensors) },
      })
    })
    after(async () => {
      // It is not the one that the product was started with.
      await product.verifier.stop()
      await product.stop()
    })

    const as = (options: ConnectionOptions): Promise<NatsConnection> =>
      connect({ servers: `127.0.0.1:${product.deployment.server.port}`, reconnect: false, ...options })
    const password = (pass: string, user = 'billing') => as({ user, pass })
    const verdictOf = (connection: NatsConnection) => product.verdictOn(connection.info?.client_id ?? 0)
    const recordOf = (clientId: number): Promise<AuditRecord> =>
      product.record(({ body }) => nats(body)['client_id'] === clientId && body['class_uid'] === 3002)
    const refused = (connecting: Promise<unknown>) => assert.rejects(connecting, { code: 'AUTHORIZATION_VIOLATION' })
    /** Replaces the file of legacy users, as an editor does. */
    const replaceUsers = (text: string) => {
      const path = join(product.dir, 'legacy-users.yaml')
      writeFileSync(`${path}.new`, text, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    }
    const lifecycle = (code: string) => product.record(({ subject }) => subject === `audit.webauthn.${code}`)
    /** Stops the verifier and starts it again with another section `migration`. */
    const restartWith = async (section: string) => {
      await product.verifier.stop()
      const text = readFileSync(product.configFile, 'utf8').replace(/^migration:.*\n/m, '')
      writeFileSync(product.configFile, text + section)
      const write = (written: string): void => {
        log += written
      }
      product.verifier = await startVerifier(
        readConfig(product.configFile),
        createLogger({ level: 'info', name: 'test', stream: { write } }),
      )
    }

    test('says at the start, on record, that it is on', async () => {
      const { body } = await lifecycle('verifier.succeeded.report_only')
      assert.equal(body['severity_id'], 3)
      const { facts } = body['unmapped'] as unknown as { facts: Record<string, unknown> }
      assert.equal(facts['users'], 3)
    })

    test('a user with a password goes on, with its own permissions and no others', async () => {
      const connection = await password(PASSWORD)
      const { subject, body } = await recordOf(connection.info?.client_id ?? 0)
      assert.equal(subject, 'audit.webauthn.connection.reported.sig_missing')
      assert.deepEqual(body['user'], { name: 'legacy:billing', uid: 'legacy|legacy:billing', type_id: 99, type: 'Legacy user' })
      assert.equal(nats(body)['account'], 'APP')
      const errors: string[] = []
      const done = (async () => {
        for await (const status of connection.status()) {
          errors.push(`${status.data}`)
          if (errors.length === 2) return
        }
      })()
      const heard = connection.subscribe('billing.done', { max: 1 })
      connection.publish('billing.done', 'yes')
      for await (const message of heard) assert.equal(message.string(), 'yes')
      connection.subscribe('billing.secret.salaries', { callback: () => undefined })
      connection.publish('orders.new', 'no')
      await done
      assert.deepEqual(errors, ['PERMISSIONS_VIOLATION', 'PERMISSIONS_VIOLATION'])
      await connection.close()
    })

    test('so do a token and a bare nkey', async () => {
      const board = await as({ token: TOKEN })
      assert.equal(await verdictOf(board), 'reported.sig_missing')
      const sensors = await as({ authenticator: nkeyAuthenticator(sensor.getSeed()) })
      assert.equal(await verdictOf(sensors), 'reported.session_unknown')
      await Promise.all([board.close(), sensors.close()])
    })

    test('a proof is preferred, and endorses a session, although a password comes with it', async () => {
      const orders = await product.enrolled('orders', { roles: ['orders-writer'] })
      const client = await product.raw()
      const { nonce } = client.info
      const extra = { user: 'billing', pass: PASSWORD }
      assert.equal(await client.connect({ ...endorsing(orders, { nonce, url: product.url }), ...extra }), 'PONG')
      assert.equal(await product.verdictOn(client.info.client_id), 'granted.proof_endorsing')
      const again = await product.raw()
      assert.equal(await again.connect({ ...boundResume(orders.session, { nonce: again.info.nonce, url: product.url }), ...extra }), 'PONG')
      assert.equal(await product.verdictOn(again.info.client_id), 'granted.session_bound')
      client.close()
      again.close()
    })

    test('a proof that fails is on record with its reason, and gives nothing of its own', async () => {
      const victim = await product.enrolled('victim', { roles: ['orders-writer'] })
      const stolen = proof(victim, { nonce: 'another-connections-nonce', url: product.url })
      const client = await product.raw()
      assert.equal(await client.connect({ ...stolen, user: 'billing', pass: PASSWORD }), 'PONG')
      const { subject, body } = await recordOf(client.info.client_id)
      assert.equal(subject, 'audit.webauthn.connection.reported.challenge_mismatch')
      assert.equal((body['user'] as unknown as { name: string }).name, 'legacy:billing')
      assert.equal(body['severity_id'], 4)
      client.send('PUB orders.new 2\r\nno')
      assert.match(await nextError(client), /Permissions Violation for Publish to "orders.new"/)
      client.close()
      const alone = await product.raw()
      assert.equal(await alone.connect(proof(victim, { nonce: 'another-connections-nonce', url: product.url })), 'Authorization Violation')
      assert.equal(await product.verdictOn(alone.info.client_id), 'denied.challenge_mismatch')
    })

    test('nobody gets in who has neither', async () => {
      await refused(password('wrong'))
      await refused(password(PASSWORD, 'nobody'))
      await refused(password(PASSWORD, 'board'))
      await refused(as({ token: PASSWORD }))
      await refused(as({ token: hashOf(billing) }))
      await refused(as({ authenticator: nkeyAuthenticator(createUser().getSeed()) }))
      await refused(as({}))
      const client = await product.raw()
      // Another's signature under the listed nkey.
      const signature = Buffer.from(createUser().sign(Buffer.from(client.info.nonce))).toString('base64url')
      assert.equal(await client.connect({ nkey: sensor.getPublicKey(), sig: signature }), 'Authorization Violation')
      assert.equal(await product.verdictOn(client.info.client_id), 'denied.legacy_credentials_invalid')
    })

    test("the verifier's own accounts are out of reach, whatever the file says", async () => {
      for (const account of ['AUTH', 'AUDIT', 'SYS', '$SYS', 'OTHER']) {
        replaceUsers(users(billing.replace('account: APP', `account: "${account}"`)))
        const { body } = await lifecycle('policy.refused.legacy_users_invalid')
        assert.equal(body['status_id'], 2)
      }
      // Those in force stay.
      const connection = await password(PASSWORD)
      assert.equal(await verdictOf(connection), 'reported.sig_missing')
      await connection.close()
    })

    test('a user who is taken out of the file is refused from then on, and the others are not', async () => {
      replaceUsers(users(board, sensors))
      await lifecycle('policy.succeeded.legacy_users_loaded')
      await refused(password(PASSWORD))
      const connection = await as({ token: TOKEN })
      assert.equal(await verdictOf(connection), 'reported.sig_missing')
      await connection.close()
    })

    test('a file that others may read is not taken', async () => {
      replaceUsers(users(billing, board, sensors))
      await lifecycle('policy.succeeded.legacy_users_loaded')
      chmodSync(join(product.dir, 'legacy-users.yaml'), 0o644)
      await product.verifier.reloadPolicy()
      await lifecycle('policy.refused.legacy_users_invalid')
      chmodSync(join(product.dir, 'legacy-users.yaml'), 0o600)
      await product.verifier.reloadPolicy()
    })

    test('ends when it was said to end: the connection that is open, and every new one', async () => {
      // Not later than the client can be seen to be closed, not before it could connect.
      const until = new Date(Math.ceil((Date.now() + 3_000) / 1000) * 1000)
      await restartWith(migration(`report_only: true, until: "${until.toISOString().replace('.000Z', 'Z')}"`))
      assert.match(log, /migration.report_only is on until/)
      const connection = await password(PASSWORD)
      assert.equal(await verdictOf(connection), 'reported.sig_missing')
      const why = await connection.closed()
      assert.equal((why as { code?: string } | undefined)?.code, 'AUTHENTICATION_EXPIRED')
      assert.ok(Date.now() >= until.getTime())
      const client = await product.raw()
      assert.equal(await client.connect({ user: 'billing', pass: PASSWORD }), 'Authorization Violation')
      assert.equal(await product.verdictOn(client.info.client_id), 'denied.legacy_users_ended')
    })

    for (const [name, section] of [
      ['switched off', migration(`report_only: false, until: "${inDays(30)}"`)],
      ['taken out', ''],
    ] as const) {
      test(`${name}, it admits nobody without a proof, and everybody with one`, async () => {
        await restartWith(section)
        const client = await product.raw()
        assert.equal(await client.connect({ user: 'billing', pass: PASSWORD }), 'Authorization Violation')
        assert.equal(await product.verdictOn(client.info.client_id), 'denied.sig_missing')
        const late = await product.enrolled(`late-${section === '' ? 'out' : 'off'}`, { roles: ['orders-writer'] })
        const proven = await product.raw()
        assert.equal(await proven.connect(proof(late, { nonce: proven.info.nonce, url: product.url })), 'PONG')
        assert.equal(await product.verdictOn(proven.info.client_id), 'granted.proof')
        proven.close()
      })
    }

    test('no password, token or hash is in a record or in the log', () => {
      const everything = log + JSON.stringify(product.records)
      for (const secret of [PASSWORD, TOKEN, hashOf(billing), hashOf(board)]) assert.equal(everything.includes(secret), false)
    })
  })
}

function hashOf(entry: string): string {
  return /\$2b\$[^"]+/.exec(entry)?.[0] ?? assert.fail('no hash')
}

async function nextError(client: { line(): Promise<string> }): Promise<string> {
  for (;;) {
    const line = await client.line()
    if (line.startsWith('-ERR') || line === 'closed') return line
  }
}
