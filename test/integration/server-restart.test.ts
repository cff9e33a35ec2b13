/** A nats-server that restarts takes its connections with it, and nobody tells: not the guard, and not who revokes. */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { watchServers } from '../../src/nats/server-watch.ts'
import { createSystem } from '../../src/nats/system.ts'
import { startDeployment } from '../support/deployment.ts'
import { linkTo } from '../support/links.ts'
import { NATS_LINES, type RunningNatsServer } from '../support/nats-server.ts'
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
    let restarted: RunningNatsServer | undefined
    const clients: RawClient[] = []
    afterEach(async () => {
      for (const client of clients.splice(0)) client.close()
      await product?.stop()
      await restarted?.stop()
      product = restarted = undefined
    })
    const restart = async ({ deployment }: Product) => {
      restarted = await deployment.server.restart()
    }

    async function start() {
      // What is asked before the verifier is back need not be waited for so long.
      const running = await startProduct({ line, policy: POLICY, edit: (config) => config.replace('timeout: 5', 'timeout: 2') })
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
      await restart(running)
      while ((await connect()) !== 'PONG');
      assert.equal(await connect(), 'Authorization Violation')
    })

    test('connections of before are gone, not out of reach', async () => {
      const { running } = await start()
      const before = clients[0]?.info
      assert.ok(before !== undefined)
      await restart(running)
      const link = await linkTo(running.deployment, 'verifierSys')
      const system = createSystem(link)
      assert.equal(await system.kick({ serverId: before.server_id, clientId: before.client_id }), 'gone')
      await link.drain()
    })

    test('verifiers see which server there is, and how long it waits for them', async () => {
      const deployment = await startDeployment({ line, edit: (config) => config.replace('timeout: 5', 'timeout: 3') })
      const link = await linkTo(deployment, 'verifierSys')
      const seen: string[][] = []
      let told = () => {}
      const next = () => new Promise<void>((resolve) => (told = resolve))
      const first = next()
      const servers = watchServers(link, (ids) => {
        seen.push([...ids])
        told()
      })
      assert.equal(servers.authTimeoutSeconds(), 5)
      await first
      assert.equal(servers.authTimeoutSeconds(), 3)
      const second = next()
      restarted = await deployment.server.restart()
      await second
      servers.stop()
      await link.drain()
      // Each look found one server, and the one after the restart goes by another id.
      assert.deepEqual(
        seen.map((ids) => ids.length),
        [1, 1],
      )
      assert.notDeepEqual(seen[0], seen[1])
    })
  })
}
