/** What happens when something the verifier depends on is missing: nothing is granted, and it is said. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, connect as dial } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { connect } from 'nats'
import { encodeSeed } from '../../src/core/nkey.ts'
import { startNatsServer } from '../support/nats-server.ts'
import { nats, nkeyUser, type Product, startProduct } from '../support/product.ts'
import { boundResume, endorsing, plainResume, proof } from '../support/proofs.ts'
import { rawClient } from '../support/raw-client.ts'

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.>"] }
    session: 1h
    plain_sessions: true
`

const VIOLATION = 'Authorization Violation'

describe('fail closed', () => {
  let product: Product | undefined
  afterEach(async () => {
    await product?.stop()
    product = undefined
  })

  test('with the audit stream full nothing is granted, and denials are still answered', async () => {
    product = await startProduct({ policy: POLICY, yaml: 'audit: { max_bytes: 1MiB }' })
    const { url } = product
    const who = await product.enrolled('orders', { roles: ['orders-writer'] })
    const before = await product.raw()
    assert.equal(await before.connect(proof(who, { nonce: before.info.nonce, url })), 'PONG')

    const filler = await connect(nkeyUser(product.deployment, 'verifierAudit', '_INBOX_verifier_audit'))
    const block = JSON.stringify('x'.repeat(60_000))
    let full = false
    while (!full) {
      const answer = await filler.request('audit.webauthn.verifier.succeeded.started', block)
      full = answer.json<{ error?: unknown }>().error !== undefined
    }
    // The last gap, too small for a block but not for a record.
    for (const small of [10_000, 1_000, 100]) {
      for (;;) {
        const answer = await filler.request('audit.webauthn.verifier.succeeded.started', JSON.stringify('x'.repeat(small)))
        if (answer.json<{ error?: unknown }>().error !== undefined) break
      }
    }
    await filler.close()

    const proven = await product.raw()
    assert.equal(await proven.connect(proof(who, { nonce: proven.info.nonce, url })), VIOLATION)
    // The record of the grant was published but not stored, so it was no grant.
    await product.record(
      ({ subject, body }) => subject.endsWith('.error.audit_unavailable') && nats(body)['client_id'] === proven.info.client_id,
    )
    const unproven = await product.raw()
    assert.equal(await unproven.connect({}), VIOLATION)
    assert.equal(await product.verdictOn(unproven.info.client_id), 'denied.sig_missing')
    before.close()
  })

  test('an endorsement whose record was not durable endorses nothing', async () => {
    product = await startProduct({ policy: POLICY })
    const { url } = product
    const who = await product.enrolled('orders', { roles: ['orders-writer'] })
    // A session that is only reserved: what a verifier leaves behind that died before the record.
    const first = await product.raw()
    assert.equal(await first.connect(endorsing(who, { nonce: first.info.nonce, url, plain: true })), 'PONG')
    const session = await product.session(who.session.publicKey)
    await product.putSession({ ...session, state: 'pending' })
    let verdict = ''
    for (let i = 0; i < 100 && verdict !== 'denied.session_pending'; i++) {
      const raw = await product.raw()
      await raw.connect(plainResume(who.session, raw.info.nonce))
      verdict = await product.verdictOn(raw.info.client_id)
      raw.close()
    }
    assert.equal(verdict, 'denied.session_pending')
    first.close()
  })

  test('denies plaintext requests where the verifier has an xkey', async () => {
    product = await startProduct({ policy: POLICY, xkey: false, verifierXkey: true })
    const who = await product.enrolled('orders', { roles: ['orders-writer'] })
    const raw = await product.raw()
    assert.equal(await raw.connect(proof(who, { nonce: raw.info.nonce, url: product.url })), VIOLATION)
    const found = await product.record(({ subject }) => subject.startsWith('audit.webauthn.request.'))
    assert.equal(found.subject, 'audit.webauthn.request.denied.request_unsealed')
  })

  test('denies sealed requests where the verifier has no xkey', async () => {
    product = await startProduct({ policy: POLICY, xkey: true, verifierXkey: false })
    const raw = await product.raw()
    assert.equal(await raw.connect({}), VIOLATION)
    const found = await product.record(({ subject }) => subject.startsWith('audit.webauthn.request.'))
    assert.equal(found.subject, 'audit.webauthn.request.denied.request_malformed')
  })

  test('denies a relay that copies INFO and forwards what it is given', async () => {
    product = await startProduct({ policy: POLICY })
    const who = await product.enrolled('orders', { roles: ['orders-writer'] })
    const { port } = product.deployment.server
    const relay = createServer((client) => {
      const upstream = dial(port, '127.0.0.1')
      client.pipe(upstream).pipe(client)
      for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
    }).listen(0, '127.0.0.1')
    await once(relay, 'listening')
    const address = relay.address() as { port: number }
    const victim = await rawClient(address.port)
    // The victim signs for what it dialled; the INFO it was shown is the real server's.
    const dialled = `nats://localhost:${address.port}`
    assert.equal(await victim.connect(proof(who, { nonce: victim.info.nonce, url: dialled })), VIOLATION)
    assert.equal(await product.verdictOn(victim.info.client_id), 'denied.url_not_allowed')
    relay.close()
  })

  test('denies plain sessions behind a proxy that is not said to terminate TLS, and bound ones work', async () => {
    const tls = (port: number) => `tls://localhost:${port}`
    product = await startProduct({ policy: POLICY, yaml: 'behind_proxy: true', urls: ({ server }) => [tls(server.port)] })
    const url = tls(product.deployment.server.port)
    const who = await product.enrolled('orders', { roles: ['orders-writer'] })
    const raw = await product.raw()
    assert.equal(await raw.connect(endorsing(who, { nonce: raw.info.nonce, url, plain: true })), 'PONG')
    const stock = await product.raw()
    assert.equal(await stock.connect(plainResume(who.session, stock.info.nonce)), VIOLATION)
    assert.equal(await product.verdictOn(stock.info.client_id), 'denied.plain_session_without_tls')
    const bound = await product.raw()
    assert.equal(await bound.connect(boundResume(who.session, { nonce: bound.info.nonce, url })), 'PONG')
    for (const client of [raw, bound]) client.close()
  })

  test('denies a leafnode that logs in with an endorsed session nkey', async () => {
    const leafPort = 'leafnodes { listen: "127.0.0.1:-1" }\n'
    product = await startProduct({ policy: POLICY, edit: (config) => leafPort + config })
    const who = await product.enrolled('orders', { roles: ['orders-writer'] })
    const raw = await product.raw()
    assert.equal(await raw.connect(endorsing(who, { nonce: raw.info.nonce, url: product.url, plain: true })), 'PONG')
    const stock = await product.raw()
    assert.equal(await stock.connect(plainResume(who.session, stock.info.nonce)), 'PONG')

    const listening = await product.deployment.server.logged(/Listening for leafnode connections on/)
    const port = /:(\d+)\s*$/.exec(listening)?.[1]
    const seed = encodeSeed('U', who.session.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32))
    const leaf = await startNatsServer(
      `listen: "127.0.0.1:-1"\nleafnodes { remotes: [ { url: "nats-leaf://127.0.0.1:${port}", nkey: "${seed}" } ] }\n`,
    )
    const verdict = await product.record(({ subject }) => subject.endsWith('client_kind_refused'))
    assert.equal(verdict.subject, 'audit.webauthn.request.denied.client_kind_refused')
    await leaf.stop()
    raw.close()
    stock.close()
  })

  test('a bad policy keeps the old one, says why, and is recorded', async () => {
    product = await startProduct({ policy: POLICY })
    const who = await product.enrolled('orders', { roles: ['orders-writer'] })
    const loaded = await product.record(({ subject }) => subject === 'audit.webauthn.policy.succeeded.loaded')
    writeFileSync(join(product.dir, 'policy.yaml'), `${POLICY}    surprise: true\n`)
    await product.record(({ subject }) => subject === 'audit.webauthn.policy.refused.invalid')
    const raw = await product.raw()
    assert.equal(await raw.connect(proof(who, { nonce: raw.info.nonce, url: product.url })), 'PONG')
    const granted = await product.record(({ body }) => nats(body)['client_id'] === raw.info.client_id)
    assert.ok(JSON.stringify(granted.body).includes(String((loaded.body['unmapped'] as unknown as Record<string, string>)['policy_hash'])))
    raw.close()

    writeFileSync(join(product.dir, 'policy.yaml'), POLICY.replace('orders-writer', 'nobody-has-this'))
    const renewed = await product.record(({ subject }) => subject === 'audit.webauthn.policy.succeeded.loaded')
    const hashOf = ({ body }: typeof renewed) => (body['unmapped'] as unknown as Record<string, string>)['policy_hash']
    assert.notEqual(hashOf(renewed), hashOf(loaded))
    const after = await product.raw()
    assert.equal(await after.connect(proof(who, { nonce: after.info.nonce, url: product.url })), VIOLATION)
    assert.equal(await product.verdictOn(after.info.client_id), 'denied.roles_none')
  })
})
