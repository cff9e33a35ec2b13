/** The guard between verifiers, over restarts, and closing real connections. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { guardKeyOf } from '../../src/core/guard-entry.ts'
import { type Claim, StoreUnavailable } from '../../src/core/ports.ts'
import { openStores } from '../../src/nats/stores.ts'
import { createSystem } from '../../src/nats/system.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { linkTo, openVerifier, type TestVerifier, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { guardEntry, handleOf, newGuardKey } from '../support/records.ts'

for (const line of NATS_LINES) {
  describe(`guard on nats-server ${line}`, () => {
    let deployment: Deployment
    let one: TestVerifier
    let two: TestVerifier
    before(async () => {
      deployment = await startDeployment({ line })
      one = await openVerifier(deployment)
      two = await openVerifier(deployment)
    })
    after(async () => {
      await one.close()
      await two.close()
      await deployment.stop()
    })

    test('knows at once what it claimed, and the others soon after', async () => {
      const key = newGuardKey()
      const entry = guardEntry({ handle: handleOf('shared') })
      await one.stores.guard.claim(key, entry)
      assert.deepEqual(await one.stores.guard.find(key), entry)
      await until('the other verifier knows', async () => (await two.stores.guard.find(key)) !== null)
      assert.deepEqual(await two.stores.guard.find(key), entry)
      assert.equal(two.stores.guard.connectionsOf(handleOf('shared')), 1)
    })

    test('finds nothing for another key', async () => {
      assert.equal(await one.stores.guard.find(newGuardKey()), null)
    })

    test('is known to a verifier that has only just started', async () => {
      const key = newGuardKey()
      const entry = guardEntry()
      await one.stores.guard.claim(key, entry)
      await until('it is shared', async () => (await two.stores.guard.find(key)) !== null)
      const link = await linkTo(deployment, 'verifierAuth')
      const stores = await openStores(link, { replicas: 1, onReport: () => {} })
      assert.equal(stores.isHealthy(), false)
      assert.deepEqual(await stores.guard.find(key), entry)
      await stores.ready()
      assert.deepEqual(await stores.guard.find(key), entry)
      stores.stop()
      await link.drain()
    })

    test('has no more places than a limit, and gives them in the order of the claims, with every verifier', async () => {
      const handle = handleOf('limited')
      const key = newGuardKey()
      const first = await one.stores.guard.claim(key, guardEntry({ handle }))
      const second = await two.stores.guard.claim(newGuardKey(), guardEntry({ handle }))
      const third = await one.stores.guard.claim(newGuardKey(), guardEntry({ handle }))
      const placesOf = async (claim: Claim) => Promise.all([1, 2, 3].map((max) => claim.isAmong(max)))
      assert.deepEqual(await placesOf(first), [true, true, true])
      assert.deepEqual(await placesOf(second), [false, true, true])
      assert.deepEqual(await placesOf(third), [false, false, true])
      const again = await two.stores.guard.claim(key, guardEntry({ handle }))
      assert.equal(await again.isAmong(1), true, 'whoever is asked again needs no second place')
      const other = await two.stores.guard.claim(newGuardKey(), guardEntry({ handle: handleOf('somebody') }))
      assert.equal(await other.isAmong(1), true)
      second.withdraw()
      await until('it is known', () => one.stores.guard.connectionsOf(handle) === 2)
      assert.deepEqual(await placesOf(third), [false, true, true])
    })

    test('of many that are claimed at once at two verifiers, as many have a place as there are', async () => {
      for (let round = 0; round < 20; round++) {
        const handle = handleOf(`crowd-${round}`)
        const claims = await Promise.all(
          Array.from({ length: 8 }, async (_, n) => {
            const claim = await (n % 2 === 0 ? one : two).stores.guard.claim(newGuardKey(), guardEntry({ handle }))
            return claim.isAmong(3)
          }),
        )
        assert.equal(claims.filter((among) => among).length, 3)
      }
    })

    test('drops a connection that ended, with every verifier', async () => {
      const entry = guardEntry({ handle: handleOf('leaver') })
      const key = guardKeyOf(entry)
      await one.stores.guard.claim(key, entry)
      await until('it is shared', async () => (await two.stores.guard.find(key)) !== null)
      two.stores.guard.disconnected(entry)
      assert.equal(await two.stores.guard.find(key), null)
      await until('the first verifier heard', () => one.stores.guard.connectionsOf(handleOf('leaver')) === 0)
    })

    test('drops a connection whose end it heard of before its entry', async () => {
      const entry = guardEntry({ handle: handleOf('quick') })
      const key = guardKeyOf(entry)
      two.stores.guard.disconnected(entry)
      await one.stores.guard.claim(key, entry)
      await until('the first verifier heard', async () => (await one.stores.guard.find(key)) === null)
      await until('the second never counts it', () => two.stores.guard.connectionsOf(handleOf('quick')) === 0)
      assert.equal(await one.stores.guard.find(key, 'leader'), null)
    })

    test('leaves other connections alone when one ends', async () => {
      const entry = guardEntry({ handle: handleOf('stayer') })
      await one.stores.guard.claim(guardKeyOf(entry), entry)
      one.stores.guard.disconnected({ ...entry, clientId: entry.clientId + 1 })
      assert.equal(one.stores.guard.connectionsOf(handleOf('stayer')), 1)
    })

    test('names the connections of a credential, a session or a handle', async () => {
      const entry = guardEntry({ handle: handleOf('owner') })
      await one.stores.guard.claim(newGuardKey(), entry)
      const expected = [{ serverId: entry.serverId, clientId: entry.clientId }]
      assert.deepEqual(one.stores.guard.connectionsWith({ credential: entry.credential }), expected)
      assert.deepEqual(one.stores.guard.connectionsWith({ handle: entry.handle }), expected)
    })

    test('refuses to answer about a value that is not an entry', async () => {
      const key = newGuardKey()
      await one.link.nats.request(`$KV.webauthn_guard.${key}`, '{"v":1}')
      await until('the watch told of it', () => two.reports.some((report) => report.kind === 'undecodable' && report.key === key))
      await assert.rejects(two.stores.guard.find(key), StoreUnavailable)
    })

    test('closes a real connection, finds it gone the second time, and hears of its end', async () => {
      const link = await linkTo(deployment, 'verifierSys')
      const system = createSystem(link)
      const ended: string[] = []
      const stop = system.onDisconnect(({ serverId, clientId }) => ended.push(`${serverId}/${clientId}`))
      await link.nats.flush()
      const victim = await linkTo(deployment, 'admin')
      const { server_id: serverId, client_id: clientId } = victim.nats.info ?? assert.fail('no INFO')
      const disconnected = new Promise<void>((resolve) =>
        victim.onChange((connected) => {
          if (!connected) resolve()
        }),
      )
      assert.equal(await system.kick({ serverId, clientId }), 'kicked')
      await disconnected
      await until('the server said so', () => ended.includes(`${serverId}/${clientId}`))
      assert.equal(await system.kick({ serverId, clientId }), 'gone')
      stop()
      await victim.drain()
      await link.drain()
    })

    test('takes a connection of another server for gone where there is but one: it was before its restart', async () => {
      const link = await linkTo(deployment, 'verifierSys')
      assert.equal(await createSystem(link).kick({ serverId: guardEntry().serverId, clientId: 1 }), 'gone')
      await link.drain()
    })

    test('finds the connections of a user by name', async () => {
      const link = await linkTo(deployment, 'verifierSys')
      assert.deepEqual(await createSystem(link).connectionsOf(handleOf('nobody')), [])
      await link.drain()
    })
  })
}
