/** Caches in front of buckets that they cannot hold, or have not read yet: who is asked then, and what is believed. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CachedStore } from '../../src/nats/cached-store.ts'
import type { Link } from '../../src/nats/connection.ts'
import { type KvBucket, openBucket } from '../../src/nats/kv-bucket.ts'
import { identitySchema } from '../../src/nats/records-schema.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { linkTo, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { identityRecord } from '../support/records.ts'

const settings = {
  name: 'webauthn_identities',
  description: '',
  replicas: 1,
  bytesMax: 4_000_000,
  ageSecondsMax: 0,
  whenFull: 'refuse',
} as const

for (const line of NATS_LINES) {
  describe(`a cache and its bucket on nats-server ${line}`, () => {
    let deployment: Deployment
    let link: Link
    let bucket: KvBucket
    const handles = Array.from({ length: 200 }, (_, i) => `m-${i}`)
    before(async () => {
      deployment = await startDeployment({ line })
      link = await linkTo(deployment, 'verifierAuth')
      bucket = (await openBucket(link, settings)).bucket
      const encode = (handle: string) => new TextEncoder().encode(JSON.stringify(identityRecord(handle)))
      await Promise.all(handles.map((handle) => bucket.write(handle, encode(handle), 0)))
    })
    after(async () => {
      await link.drain()
      await deployment.stop()
    })

    /** A store over the bucket, and how often it asked the leader. */
    function open(entriesMax: number) {
      const asked: string[] = []
      const counting: KvBucket = {
        ...bucket,
        find: (key) => {
          asked.push(key)
          return bucket.find(key)
        },
      }
      const store = new CachedStore({
        bucket: counting,
        schema: identitySchema,
        keys: '*',
        keyOf: ({ handle }) => handle,
        entriesMax,
        onReport: () => {},
      })
      return { store, asked }
    }

    test('that fits is read once, and then answers without the leader', async () => {
      const { store, asked } = open(1_000)
      try {
        await store.ready()
        await until('all is read', () => store.isComplete())
        for (const handle of handles) assert.equal((await store.find(handle))?.record.handle, handle)
        assert.deepEqual(asked, [])
        assert.equal([...store.cached()].length, handles.length)
      } finally {
        store.stop()
      }
    })

    test('that does not fit is never read as a whole: it is ready at once, asks the leader once for each, and says it is not complete', async () => {
      const { store, asked } = open(50)
      try {
        await store.ready()
        assert.equal(store.isHealthy(), true)
        assert.equal(store.isComplete(), false)
        assert.equal([...store.cached()].length, 0)
        const first = await store.find('m-7')
        assert.equal(first?.record.handle, 'm-7')
        assert.equal(await store.find('m-7'), first)
        assert.deepEqual(asked, ['m-7'])
      } finally {
        store.stop()
      }
    })

    test('that does not fit hears of every change to what it holds, and of deletions', async () => {
      const { store, asked } = open(50)
      try {
        await store.ready()
        const held = (await store.find('m-8')) ?? assert.fail()
        const next = new TextEncoder().encode(JSON.stringify({ ...held.record, state: 'disabled' }))
        const revision = (await bucket.write('m-8', next, held.revision)) ?? assert.fail()
        await until('it follows', async () => (await store.find('m-8'))?.record.state === 'disabled')
        await bucket.erase('m-8', revision)
        await until('it follows', async () => (await store.find('m-8')) === null)
        assert.deepEqual(asked, ['m-8'])
      } finally {
        store.stop()
      }
    })

    test('lets more reads than may be under way wait for their turn, and answers each', async () => {
      const { store, asked } = open(50)
      try {
        await store.ready()
        const wanted = handles.slice(10)
        const found = await Promise.all(wanted.map((handle) => store.find(handle)))
        assert.deepEqual(
          found.map((stored) => stored?.record.handle),
          wanted,
        )
        assert.equal(asked.length, wanted.length)
        // Also those that wait for what is not there.
        const nobody = await Promise.all(Array.from({ length: 400 }, (_, i) => store.find(`nobody-${i}`)))
        assert.ok(nobody.every((stored) => stored === null))
      } finally {
        store.stop()
      }
    })

    test('believes nothing from before it was cut off until the leader said so, and then keeps the object', async () => {
      const { store, asked } = open(50)
      try {
        await store.ready()
        const kept = (await store.find('m-1')) ?? assert.fail()
        const changed = (await store.find('m-2')) ?? assert.fail()
        const writer = await linkTo(deployment, 'verifierAuth')
        await disconnected(link)
        const theirs = (await openBucket(writer, settings)).bucket
        const next = new TextEncoder().encode(JSON.stringify({ ...changed.record, state: 'disabled' }))
        assert.notEqual(await theirs.write('m-2', next, changed.revision), null)
        await writer.drain()
        await until('it is current', () => store.isHealthy())
        assert.equal((await store.find('m-2'))?.record.state, 'disabled')
        assert.equal(await store.find('m-1'), kept)
        assert.equal(await store.find('m-1'), kept)
        // The other was asked for again, or the watch was back in time to tell.
        assert.deepEqual(
          asked.filter((key) => key === 'm-1'),
          ['m-1', 'm-1'],
        )
      } finally {
        store.stop()
      }
    })

    test('what was asked for while nothing was followed is asked for again', async () => {
      const { store, asked } = open(50)
      try {
        // Before the watch has begun: the answer is true, and may be over a moment later without a word.
        assert.equal((await store.find('m-3'))?.record.handle, 'm-3')
        await store.ready()
        await store.find('m-3')
        await store.find('m-3')
        assert.deepEqual(asked, ['m-3', 'm-3'])
      } finally {
        store.stop()
      }
    })
  })
}

/** Cuts the connection and resolves when it is gone; it comes back by itself. */
async function disconnected(link: Link): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    const stop = link.onChange((connected) => {
      if (connected) return
      stop()
      resolve()
    })
  })
  void link.nats.reconnect()
  await gone
}
