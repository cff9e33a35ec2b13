/** Beyond loopback: TLS towards nats-server for the verifier, the SDK and stock clients. */
import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { connect as connectV3 } from '@nats-io/transport-node'
import { connect as connectV2, nkeyAuthenticator } from 'nats'
import { connectWithWebAuthn, type MachineKey } from '../../src/client/index.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { encodeSeed } from '../../src/core/nkey.ts'
import type { SessionRecord } from '../../src/core/records.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { nats, type Product, startProduct, type TestIdentity } from '../support/product.ts'
import { type TestCa, testCa } from '../support/test-certificates.ts'

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.>"] }
    session: 1h
    plain_sessions: true
`

for (const line of NATS_LINES) {
  describe(`TLS on nats-server ${line}`, () => {
    let ca: TestCa
    let product: Product
    let url: string
    before(async () => {
      ca = await testCa('nats-webauthn test')
      const { cert, key } = await ca.issue({ name: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] })
      product = await startProduct({
        line,
        policy: POLICY,
        tls: { ca: ca.cert, cert, key },
        urls: ({ server }) => [`tls://localhost:${server.port}`, `nats://localhost:${server.port}`],
      })
      url = `tls://localhost:${product.deployment.server.port}`
    })
    after(() => product.stop())

    for (const [name, connect] of Object.entries({ 'nats 2.x': connectV2, '@nats-io/transport-node 3.x': connectV3 })) {
      test(`${name} proves over tls:// and publishes`, async () => {
        const who = await product.enrolled(name.startsWith('nats') ? 'two' : 'three', { roles: ['orders-writer'] })
        const nc = await connectWithWebAuthn(connect as typeof connectV2, { key: machineKey(who), url, nats: { tls: { ca: ca.cert } } })
        nc.publish('orders.new', 'hello')
        await nc.flush()
        const { body } = await product.record(
          (record) => (record.body['user'] as { name?: string } | undefined)?.name === who.identity.handle,
        )
        assert.equal(nats(body)['url'], url)
        await nc.close()
      })
    }

    test('the SDK does not sign for a server whose certificate it cannot verify', async () => {
      const who = await product.enrolled('careful', { roles: ['orders-writer'] })
      const other = await testCa('somebody else')
      await assert.rejects(
        connectWithWebAuthn(connectV2, { key: machineKey(who), url, nats: { tls: { ca: other.cert }, reconnect: false } }),
      )
      assert.equal(product.records.filter(({ body }) => (body['user'] as { name?: string } | undefined)?.name === 'careful').length, 0)
    })

    test('a stock client uses an endorsed plain session over TLS', async () => {
      const who = await product.enrolled('stock', { roles: ['orders-writer'] })
      const now = Date.now()
      const { id, class: kind, handle } = who.credential
      await product.putSession({
        v: 1,
        nkey: who.session.publicKey as SessionRecord['nkey'],
        credential: credentialKey(id),
        handle,
        class: kind,
        plain: true,
        userVerified: false,
        byCode: false,
        label: '',
        createdAt: now,
        expiresAt: now + 3_600_000,
        state: 'active',
        endedAt: null,
      })
      const seed = encodeSeed('U', who.session.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32))
      const authenticator = nkeyAuthenticator(new TextEncoder().encode(seed))
      const nc = await connectV2({ servers: url.replace('tls://', 'nats://'), authenticator, tls: { ca: ca.cert } })
      await product.record(({ subject }) => subject.endsWith('granted.session_plain'))
      await nc.close()
    })
  })
}

function machineKey(who: TestIdentity): MachineKey {
  const { id, rpId, userHandle, handle } = who.credential
  const key = { alg: -7 as const, publicKeyCose: who.key.cose, sign: (bytes: Uint8Array) => sign('sha256', bytes, who.key.privateKey) }
  return { key, credentialId: id, rpId, userHandle, handle }
}
