/** Two verifiers' caches of one bucket against what was really written: compare-and-set is exact, and nobody sees time run backwards. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IdentityRecord, Stored } from '../../src/core/records.ts'
import { CachedStore } from '../../src/nats/cached-store.ts'
import { openBucket } from '../../src/nats/kv-bucket.ts'
import { identitySchema } from '../../src/nats/records-schema.ts'
import { startDeployment } from '../support/deployment.ts'
import { linkTo, until } from '../support/links.ts'
import { seededRandom } from '../support/random.ts'
import { identityRecord } from '../support/records.ts'

const steps = 400
const KEYS = ['m-0', 'm-1', 'm-2', 'm-3']
const settings = {
  name: 'webauthn_identities',
  description: '',
  replicas: 1,
  bytesMax: 10_000_000,
  ageSecondsMax: 0,
  whenFull: 'refuse',
} as const

test('any steps of two stores, one of them too small, are those of one list', async () => {
  const seed = Date.now() >>> 0
  const random = seededRandom(seed)
  const deployment = await startDeployment()
  const link = await linkTo(deployment, 'verifierAuth')
  const { bucket } = await openBucket(link, settings)
  const open = (entriesMax: number) =>
    new CachedStore({ bucket, schema: identitySchema, keys: '*', keyOf: ({ handle }) => handle, entriesMax, onReport: () => {} })
  const stores = [open(2), open(100)]
  const written = new Map<string, Stored<IdentityRecord>>()
  const seen = new Map<string, number>()
  const remembered = new Map<string, Stored<IdentityRecord>>()
  let races = 0
  const note = (at: string, revision: number) => {
    assert.ok(revision >= (seen.get(at) ?? 0), `seed ${seed}: an older revision of ${at}`)
    seen.set(at, revision)
  }
  try {
    await Promise.all(stores.map((store) => store.ready()))
    for (let i = 0; i < steps; i++) {
      const store = random.pick(stores)
      const key = random.pick(KEYS)
      const at = `${stores.indexOf(store)} ${key}`
      const real = written.get(key)
      const next = identityRecord(key, { displayName: `step ${i}` })
      const way = random.below(5)
      if (way === 0) {
        const created = await store.create(key, next)
        assert.equal(created === null, real !== undefined, `seed ${seed}, step ${i}`)
        if (created !== null) written.set(key, created)
      } else if (way === 1) {
        const found = await store.findOnLeader(key)
        assert.deepEqual(found, real ?? null, `seed ${seed}, step ${i}`)
        if (found !== null) note(at, found.revision)
      } else {
        const read = await store.find(key)
        if (read === null) continue
        note(at, read.revision)
        if (way === 2) continue
        // What somebody read a while ago is old by now.
        const found = way === 3 ? (remembered.get(key) ?? read) : read
        if (random.once(3)) remembered.set(key, read)
        // What the cache has may be old: then the write loses, and is told what is there.
        const there = await store.replace(key, found, next)
        if (found.revision !== real?.revision) {
          races++
          assert.deepEqual(there, real, `seed ${seed}, step ${i}`)
        } else {
          assert.equal(there, null, `seed ${seed}, step ${i}`)
          const now = await store.findOnLeader(key)
          assert.equal(now?.record.displayName, `step ${i}`)
          if (now !== null) written.set(key, now)
        }
      }
    }
    for (const store of stores) {
      for (const key of KEYS) {
        await until(`it has seen the last of ${key}`, async () => (await store.find(key))?.revision === written.get(key)?.revision)
        assert.deepEqual((await store.find(key))?.record, written.get(key)?.record)
      }
    }
    assert.ok(races > 10, `seed ${seed}: ${races} lost writes`)
    assert.equal(written.size, KEYS.length)
  } finally {
    for (const store of stores) store.stop()
    await link.drain()
    await deployment.stop()
  }
})
