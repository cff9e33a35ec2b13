/** The cache by itself: its bound, and many writers. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { changeRecord } from '../../src/nats/admin-call.ts'
import { CachedStore } from '../../src/nats/cached-store.ts'
import { type KvBucket, openBucket } from '../../src/nats/kv-bucket.ts'
import { identitySchema } from '../../src/nats/records-schema.ts'
import { startDeployment } from '../support/deployment.ts'
import { linkTo, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { identityRecord } from '../support/records.ts'

const settings = {
  name: 'webauthn_identities',
  description: '',
  replicas: 1,
  bytesMax: 1_000_000,
  ageSecondsMax: 0,
  whenFull: 'refuse',
} as const

for (const line of NATS_LINES) {
  describe(`cached store on nats-server ${line}`, () => {
    test('stays within its bound, is right about what it dropped, and says that it is not complete', async () => {
      const deployment = await startDeployment({ line })
      const link = await linkTo(deployment, 'verifierAuth')
      const { bucket } = await openBucket(link, settings)
      const open = (entriesMax: number) =>
        new CachedStore({ bucket, schema: identitySchema, keys: '*', keyOf: ({ handle }) => handle, entriesMax, onReport: () => {} })
      const small = open(5)
      const large = open(1_000)
      try {
        await Promise.all([small.ready(), large.ready()])
        for (let i = 0; i < 20; i++) await large.create(`m-${i}`, identityRecord(`m-${i}`))
        await until('it has seen all', async () => [...small.cached()].some(([key]) => key === 'm-19'))
        assert.equal([...small.cached()].length, 5)
        assert.equal(small.isComplete(), false)
        assert.equal(small.isHealthy(), true)
        assert.equal(large.isComplete(), true)
        for (let i = 0; i < 20; i++) assert.equal((await small.find(`m-${i}`))?.record.subject, `m-${i}`)
        assert.equal(await small.find('m-20'), null)
        assert.equal([...small.cached()].length, 5)
        // What was used last stays longest.
        const used = await small.find('m-15')
        for (let i = 0; i < 4; i++) await small.find(`m-${i}`)
        assert.equal(await small.find('m-15'), used)
      } finally {
        small.stop()
        large.stop()
        await link.drain()
        await deployment.stop()
      }
    })

    test('asks once about an unknown key, however many want to know, and once a second at most', async () => {
      const deployment = await startDeployment({ line })
      const link = await linkTo(deployment, 'verifierAuth')
      const { bucket } = await openBucket(link, settings)
      let reads = 0
      const counting: KvBucket = {
        ...bucket,
        find: (key) => {
          reads++
          return bucket.find(key)
        },
      }
      const store = new CachedStore({
        bucket: counting,
        schema: identitySchema,
        keys: '*',
        keyOf: ({ handle }) => handle,
        entriesMax: 10,
        onReport: () => {},
      })
      try {
        await store.ready()
        await Promise.all(Array.from({ length: 100 }, () => store.find('nobody')))
        await store.find('nobody')
        assert.equal(reads, 1)
        await Promise.all(Array.from({ length: 1_000 }, (_, i) => store.find(`nobody-${i}`)))
        assert.ok(reads <= 129, `${reads} reads`)
        // Its own writes are known at once all the same.
        await store.create('nobody', identityRecord('nobody'))
        assert.equal((await store.find('nobody'))?.record.handle, 'nobody')
      } finally {
        store.stop()
        await link.drain()
        await deployment.stop()
      }
    })

    test('refuses a write that does not fit, and says that the bucket is full', async () => {
      const deployment = await startDeployment({ line })
      const link = await linkTo(deployment, 'verifierAuth')
      try {
        const settings = {
          name: 'webauthn_identities',
          description: '',
          replicas: 1,
          bytesMax: 2_000,
          ageSecondsMax: 0,
          whenFull: 'refuse',
        } as const
        const { bucket } = await openBucket(link, settings)
        await assert.rejects(bucket.write('large', new Uint8Array(70_000), 0), /70000 bytes/)
        await bucket.write('first', new Uint8Array(1_500), 0)
        await assert.rejects(bucket.write('second', new Uint8Array(1_500), 0), StoreUnavailable)
        assert.notEqual((await bucket.find('first'))?.value, null)
        assert.equal(await bucket.find('second'), null)
      } finally {
        await link.drain()
        await deployment.stop()
      }
    })
  })
}

describe('changing a record', () => {
  const stored = { record: 0, revision: 1 }
  test('gives up on one that never stands still', async () => {
    let attempts = 0
    const replace = async () => ({ record: ++attempts, revision: attempts })
    await assert.rejects(
      changeRecord(stored, (it) => it + 1, replace),
      StoreUnavailable,
    )
    assert.equal(attempts, 100)
  })

  test('gets there over the writes of others', async () => {
    let others = 3
    const replace = async ({ record, revision }: { record: number; revision: number }) =>
      others-- > 0 ? { record: record + 10, revision: revision + 1 } : null
    assert.deepEqual(await changeRecord(stored, (it) => it + 1, replace), { record: 31, changed: true })
  })

  test('stops when what is there now does not allow it any more', async () => {
    const replace = async () => ({ record: 7, revision: 2 })
    assert.equal(await changeRecord(stored, (it) => (it === 7 ? null : it + 1), replace), null)
  })

  test('writes nothing where nothing is to be done', async () => {
    const replace = async () => assert.fail('written')
    assert.deepEqual(await changeRecord(stored, (it) => it, replace), { record: 0, changed: false })
  })
})
