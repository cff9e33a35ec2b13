/** One socket, asked about twice, in report-only mode on a real nats-server: whose it is and until when does not change. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { hashSync } from 'bcryptjs'
import { createUser } from 'nkeys.js'
import { readConfig } from '../../src/config.ts'
import { guardKeyOf } from '../../src/core/guard-entry.ts'
import { parseServerId } from '../../src/core/identifiers.ts'
import { startVerifier } from '../../src/main.ts'
import { until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { nats, type Product, startProduct, type TestIdentity } from '../support/product.ts'
import { endorsing, proof } from '../support/proofs.ts'
import type { RawClient } from '../support/raw-client.ts'
import { b64u } from '../support/test-authenticator.ts'

const POLICY = `version: 1
roles:
  orders-writer: { account: APP, publish: { allow: [orders.>] }, limits: { connections: 1 }, session: 1h }
`
const sensor = createUser()
const entry = (name: string) => `  - user: ${name}
    password: "${hashSync(name, 4)}"
    account: APP
    permissions: { publish: [${name}.>], subscribe: [] }
`
const USERS = `users:
${entry('billing')}${entry('reports')}  - name: sensors
    nkey: ${sensor.getPublicKey()}
    account: APP
    permissions: { publish: [sensors.>], subscribe: [] }
`
const inAMonth = new Date(Date.now() + 30 * 86_400_000).toISOString().replace(/\.\d+Z$/, 'Z')
const REFUSED = 'Authorization Violation'
const billing = { user: 'billing', pass: 'billing' }

for (const line of NATS_LINES) {
  describe(`a second CONNECT in report-only mode on nats-server ${line}`, () => {
    let product: Product
    let orders: TestIdentity
    before(async () => {
      product = await startProduct({
        line,
        policy: POLICY,
        yaml: `migration: { legacy_users_file: legacy-users.yaml, report_only: true, until: "${inAMonth}", connection_ttl: 1h }\n`,
        files: { 'legacy-users.yaml': () => USERS },
      })
      orders = await product.enrolled('orders', { roles: ['orders-writer'] })
    })
    after(async () => {
      // It is not the one that the product was started with.
      await product.verifier.stop()
      await product.stop()
    })

    const nonceOf = (client: RawClient) => ({ nonce: client.info.nonce, url: product.url })
    const bareNkey = ({ info }: RawClient) => ({ nkey: sensor.getPublicKey(), sig: b64u(sensor.sign(Buffer.from(info.nonce))) })
    const replayed = (client: RawClient) => ({ ...proof(orders, { ...nonceOf(client), nonce: 'of-another' }), ...billing })
    /** Sends CONNECT and returns the answer with what is on record about it. */
    async function asked(client: RawClient, options: Record<string, unknown>) {
      const answer = await client.connect(options)
      const { subject, body } = await product.record(
        (one) => one.body['class_uid'] === 3002 && nats(one.body)['client_id'] === client.info.client_id,
      )
      return { answer, verdict: subject.split('.').slice(-2).join('.'), expiresAt: nats(body)['expires_at'] as number | undefined }
    }
    /** The connection's guard entry in the bucket, or null. */
    async function entryOf({ info }: RawClient): Promise<Record<string, unknown> | null> {
      const serverId = parseServerId(info.server_id) ?? assert.fail('no server id')
      const key = guardKeyOf({ serverId, clientId: info.client_id })
      const answer = await product.auth.request(
        '$JS.API.STREAM.MSG.GET.KV_webauthn_guard',
        JSON.stringify({ last_by_subj: `$KV.webauthn_guard.${key}` }),
      )
      const { message } = answer.json<{ message?: { data?: string } }>()
      return message?.data === undefined ? null : JSON.parse(Buffer.from(message.data, 'base64').toString())
    }
    /** As another verifier would: one that has to read the bucket to know anything. */
    async function anotherVerifier(): Promise<void> {
      await product.verifier.stop()
      product.verifier = await startVerifier(readConfig(product.configFile))
    }

    for (const [what, options, verdict] of [
      ['a password, whose request names no nonce', () => billing, 'reported.sig_missing'],
      ['a password beside a proof that fails', replayed, 'reported.challenge_mismatch'],
      ['a bare nkey', bareNkey, 'reported.session_unknown'],
    ] as const) {
      test(`with ${what} keeps the expiry of the first, at this verifier and at the next`, async () => {
        const client = await product.raw()
        const first = await asked(client, options(client))
        assert.deepEqual([first.answer, first.verdict], ['PONG', verdict])
        for (const meanwhile of [async () => {}, anotherVerifier]) {
          await meanwhile()
          assert.deepEqual(await asked(client, options(client)), first)
        }
        client.close()
      })
    }

    test('with a password gives nobody who has proven a second identity', async () => {
      // nats-server keeps what a second CONNECT does not name: the sig of the first, unless there is another, or none.
      for (const sig of ['', 'x']) {
        const client = await product.raw()
        assert.equal((await asked(client, proof(orders, nonceOf(client)))).verdict, 'granted.proof')
        const { answer, verdict } = await asked(client, { ...billing, sig })
        assert.deepEqual([answer, verdict], [REFUSED, sig === '' ? 'denied.sig_missing' : 'denied.sig_malformed'])
        await until('the place is free', async () => (await entryOf(client)) === null)
      }
    })

    test('with another legacy user’s password is refused', async () => {
      const client = await product.raw()
      assert.equal((await asked(client, billing)).answer, 'PONG')
      const { answer, verdict } = await asked(client, { user: 'reports', pass: 'reports' })
      assert.deepEqual([answer, verdict], [REFUSED, 'denied.sig_missing'])
    })

    test('with a good proof is refused where a legacy user was admitted, and the proof’s session stays unusable', async () => {
      const client = await product.raw()
      assert.equal((await asked(client, billing)).answer, 'PONG')
      const { answer, verdict } = await asked(client, endorsing(orders, nonceOf(client)))
      assert.deepEqual([answer, verdict], [REFUSED, 'denied.connection_already_proven'])
      assert.equal((await product.session(orders.session.publicKey)).state, 'pending')
    })

    test('or a first one takes no place of the identity whose proof failed, and its entry goes with the connection', async () => {
      const client = await product.raw()
      assert.equal((await asked(client, replayed(client))).answer, 'PONG')
      assert.equal((await entryOf(client))?.['legacy'], 'legacy:billing')
      const proven = await product.raw()
      assert.equal((await asked(proven, proof(orders, nonceOf(proven)))).verdict, 'granted.proof')
      client.close()
      proven.close()
      for (const one of [client, proven]) await until('its entry is gone', async () => (await entryOf(one)) === null)
    })
  })
}
