/** Several verifiers are one: a queue group, one guard, and a way for operators to see each of them. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { connect } from 'nats'
import { readConfig } from '../../src/config.ts'
import { startVerifier, type Verifier } from '../../src/main.ts'
import { freePort } from '../support/free-port.ts'
import { nats, type Product, type ProductOptions, startProduct } from '../support/product.ts'
import { proof } from '../support/proofs.ts'

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.>"] }
`

/** A second verifier of the same deployment, on ports of its own. */
async function startSecond(product: Product): Promise<Verifier> {
  let text = readFileSync(product.configFile, 'utf8')
  for (const url of [product.enrolmentOrigin, product.operationsUrl]) text = text.replaceAll(new URL(url).port, String(await freePort()))
  const file = join(product.dir, 'second.yaml')
  writeFileSync(file, text)
  return startVerifier(readConfig(file))
}

describe('several verifiers', () => {
  let product: Product | undefined
  let second: Verifier | undefined
  afterEach(async () => {
    await second?.stop()
    await product?.stop()
    product = second = undefined
  })

  async function start(options: Partial<ProductOptions> = {}): Promise<Product> {
    product = await startProduct({ policy: POLICY, ...options })
    second = await startSecond(product)
    return product
  }

  test('each request is answered once, and stopping one leaves no client outside', async () => {
    const running = await start()
    const who = await running.enrolled('orders', { roles: ['orders-writer'] })
    const connectOne = async () => {
      const raw = await running.raw()
      const answer = await raw.connect(proof(who, { nonce: raw.info.nonce, url: running.url }))
      raw.close()
      return { clientId: raw.info.client_id, answer }
    }
    const before = await Promise.all(Array.from({ length: 30 }, connectOne))
    const [after] = await Promise.all([Promise.all(Array.from({ length: 30 }, connectOne)), second?.stop()])
    for (const { answer } of [...before, ...after]) assert.equal(answer, 'PONG')
    for (const { clientId } of [...before, ...after]) {
      assert.equal(await running.verdictOn(clientId), 'granted.proof')
      const again = running.records.filter(({ body }) => nats(body)['client_id'] === clientId)
      assert.equal(again.length, 1)
    }
  })

  test('a proof asked about again moves no expiry, whichever verifier is asked', async () => {
    const running = await start()
    const who = await running.enrolled('orders', { roles: ['orders-writer'] })
    const raw = await running.raw()
    const fields = proof(who, { nonce: raw.info.nonce, url: running.url })
    const expiries = new Set<unknown>()
    for (let i = 0; i < 12; i++) {
      assert.equal(await raw.connect(fields), 'PONG')
      const { body } = await running.record((record) => nats(record.body)['client_id'] === raw.info.client_id)
      expiries.add(nats(body)['expires_at'])
    }
    assert.equal(expiries.size, 1)
    raw.close()
  })

  test('operators see each verifier as a NATS micro service', async () => {
    const operator = '{ user: operator, password: operator, permissions: { publish: "$SRV.>", subscribe: "_INBOX.>" } }'
    const running = await start({
      edit: (config) =>
        config.replace('{ nkey: $ADMIN, ', `${operator}\n      { nkey: $ADMIN, `).replace('auth_users: [', 'auth_users: [operator, '),
    })
    const nc = await connect({ servers: `127.0.0.1:${running.deployment.server.port}`, user: 'operator', pass: 'operator' })
    const unproven = await running.raw()
    await unproven.connect({})
    const services = []
    for await (const stats of await nc.services.client({ maxWait: 1000, strategy: 'timer' as never }).stats('nats-webauthn'))
      services.push(stats)
    assert.equal(services.length, 2)
    assert.equal(
      services.reduce((sum, { endpoints }) => sum + (endpoints?.[0]?.num_requests ?? 0), 0),
      1,
    )
    assert.deepEqual(
      services.map(({ endpoints }) => endpoints?.[0]?.subject),
      ['$SYS.REQ.USER.AUTH', '$SYS.REQ.USER.AUTH'],
    )
    await nc.close()
  })
})
