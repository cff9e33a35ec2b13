/** A nats-server that restarts takes its connections with it, and nobody tells: not the guard, and not who revokes. */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { createSystem } from '../../src/nats/system.ts'
import { linkTo } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { type Product, startProduct } from '../support/product.ts'
import { proof } from '../support/proofs.ts'
import { type RawClient, rawClient } from '../support/raw-client.ts'

const POLICY = `version: 1
roles:
  one-place:
    account: APP
    publish: { allow: ["orders.>"] }
    ttl: 1h
    limits: { connections: 1 }
`

for (const line of NATS_LINES) {
  describe(`after nats-server ${line} restarts`, () => {
    let product: Product | undefined
    const clients: RawClient[] = []
    afterEach(async () => {
      for (const client of clients.splice(0)) client.close()
      await product?.stop()
      product = undefined
    })

    async function start() {
      const running = await startProduct({ line, policy: POLICY })
      product = running
      const who = await running.enrolled('orders', { roles: ['one-place'] })
      const connect = async () => {
        const raw = await rawClient(running.deployment.server.port)
        clients.push(raw)
        return raw.connect(proof(who, { nonce: raw.info.nonce, url: running.url }))
      }
      assert.equal(await connect(), 'PONG')
      return { running, connect }
    }

    test('an identity has its places again, for grants that would have lasted an hour', { timeout: 60_000 }, async () => {
      const { running, connect } = await start()
      assert.equal(await connect(), 'Authorization Violation')
      running.deployment.server = await running.deployment.server.restart()
      while ((await connect()) !== 'PONG');
      assert.equal(await connect(), 'Authorization Violation')
    })

    test('connections of before are gone, not out of reach', async () => {
      const { running } = await start()
      const before = clients[0]?.info
      assert.ok(before !== undefined)
      running.deployment.server = await running.deployment.server.restart()
      const link = await linkTo(running.deployment, 'verifierSys')
      const system = createSystem(link)
      assert.equal(await system.kick({ serverId: before.server_id, clientId: before.client_id }), 'gone')
      await link.drain()
    })
  })
}
