/** One entry for each connection, whoever is asked about it and whatever becomes of the claim. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { guardKeyOf } from '../../src/core/guard-entry.ts'
import { StoreUnavailable } from '../../src/core/ports.ts'
import type { KvBucket } from '../../src/nats/kv-bucket.ts'
import { openBucket } from '../../src/nats/kv-bucket.ts'
import { BUCKET_SETTINGS } from '../../src/nats/stores.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { openVerifier, type TestVerifier, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { guardEntry, handleOf, newGuardKey } from '../support/records.ts'

const now = () => Math.floor(Date.now() / 1000)

for (const line of NATS_LINES) {
  describe(`claims of the guard on nats-server ${line}`, () => {
    let deployment: Deployment
    let one: TestVerifier
    let two: TestVerifier
    let bucket: KvBucket
    before(async () => {
      deployment = await startDeployment({ line })
      one = await openVerifier(deployment)
      two = await openVerifier(deployment)
      bucket = (await openBucket(one.link, { ...BUCKET_SETTINGS.guard, replicas: 1 })).bucket
    })
    after(async () => {
      await one.close()
      await two.close()
      await deployment.stop()
    })

    test('of many at once one counts, and the others hear whose', async () => {
      for (let round = 0; round < 20; round++) {
        const key = newGuardKey()
        const entries = Array.from({ length: 8 }, () => guardEntry())
        const claims = await Promise.all(entries.map((entry, n) => (n % 2 === 0 ? one : two).stores.guard.claim(key, entry)))
        const won = claims.findIndex(({ earlier }) => earlier === null)
        assert.ok(won >= 0)
        claims.forEach(({ earlier }, n) => {
          assert.deepEqual(earlier, n === won ? null : entries[won])
        })
        for (const { stores } of [one, two]) assert.deepEqual(await stores.guard.find(key, 'leader'), entries[won])
      }
    })

    test('the loser’s withdrawal takes nothing back', async () => {
      const key = newGuardKey()
      const entry = guardEntry()
      await one.stores.guard.claim(key, entry)
      const lost = await two.stores.guard.claim(key, guardEntry())
      lost.withdraw()
      await two.link.nats.flush()
      assert.deepEqual((await two.stores.guard.claim(key, guardEntry())).earlier, entry)
    })

    test('a withdrawn one is nobody’s, with every verifier, and may be claimed again', async () => {
      const key = newGuardKey()
      const handle = handleOf('withdrawn')
      const claim = await one.stores.guard.claim(key, guardEntry({ handle }))
      await until('the other counts it', () => two.stores.guard.connectionsOf(handle) === 1)
      claim.withdraw()
      assert.equal(one.stores.guard.connectionsOf(handle), 0)
      await until('the other heard', () => two.stores.guard.connectionsOf(handle) === 0)
      const again = guardEntry({ handle })
      assert.equal((await two.stores.guard.claim(key, again)).earlier, null)
      assert.deepEqual((await one.stores.guard.claim(key, guardEntry())).earlier, again)
    })

    test('a withdrawal that comes late does not touch who claimed meanwhile', async () => {
      const key = newGuardKey()
      const first = await one.stores.guard.claim(key, guardEntry())
      first.withdraw()
      await until('it is gone', async () => (await bucket.find(key))?.value === null)
      const entry = guardEntry()
      assert.equal((await two.stores.guard.claim(key, entry)).earlier, null)
      first.withdraw()
      await one.link.nats.flush()
      assert.deepEqual(await one.stores.guard.find(key, 'leader'), entry)
    })

    test('the key of a connection that ended is free, by compare-and-set on what is left of it', async () => {
      const ended = guardEntry()
      const key = guardKeyOf(ended)
      await one.stores.guard.claim(key, ended)
      one.stores.guard.disconnected(ended)
      await until('it is gone', async () => (await bucket.find(key))?.value === null)
      const entries = Array.from({ length: 6 }, () => guardEntry())
      const claims = await Promise.all(entries.map((entry, n) => (n % 2 === 0 ? one : two).stores.guard.claim(key, entry)))
      assert.equal(claims.filter(({ earlier }) => earlier === null).length, 1)
    })

    test('the key of an entry that is over is free only once the connection has surely ended', async () => {
      for (const [age, free] of [
        [1, false],
        [290, false],
        [301, true],
        [86_000, true],
      ] as const) {
        const key = newGuardKey()
        const over = guardEntry({ iat: now() - 90_000, exp: now() - age })
        await bucket.write(key, Buffer.from(JSON.stringify(over)), 0)
        const { earlier } = await two.stores.guard.claim(key, guardEntry())
        assert.deepEqual(earlier, free ? null : over, `${age} seconds after its expiry`)
      }
    })

    test('a value that is no entry is claimed by nobody', async () => {
      const key = newGuardKey()
      await bucket.write(key, Buffer.from('{"v":1}'), 0)
      await assert.rejects(one.stores.guard.claim(key, guardEntry()), StoreUnavailable)
      await assert.rejects(two.stores.guard.find(key, 'leader'), StoreUnavailable)
    })

    test('a verifier whose memory misses the claim asks the leader, and knows it from then on', async () => {
      const key = newGuardKey()
      const entry = guardEntry()
      await one.stores.guard.claim(key, entry)
      const { earlier } = await two.stores.guard.claim(key, guardEntry())
      assert.deepEqual([earlier, await two.stores.guard.find(key)], [entry, entry])
    })
  })
}
