/** Entries that leave the guard's bucket: what is erased, how often, and when it is forgotten. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { utf8 } from '../../src/core/encoding.ts'
import { createGuardWithdrawals } from '../../src/nats/guard-withdrawals.ts'
import type { BucketEntry, KvBucket } from '../../src/nats/kv-bucket.ts'
import type { StoreReport } from '../../src/nats/record-store.ts'

const VALUE = utf8('an entry')
const told = (changes: Partial<BucketEntry> = {}): BucketEntry => ({ key: 'k', revision: 7, value: VALUE, ...changes })
const soon = () => performance.now() + 6_000
const muchLater = () => performance.now() + 901_000

function withdrawals({ there = null, fails = false }: { there?: BucketEntry | null; fails?: boolean } = {}) {
  const erased: (number | null | 'unasked')[] = []
  const reports: StoreReport['kind'][] = []
  const bucket = {
    name: 'guard',
    find: async () => there,
    write: async () => null,
    erase: async (_: string, revision: number | null) => {
      erased.push(revision)
      if (fails) throw new Error('no answer')
      return true
    },
    eraseUnasked: () => void erased.push('unasked'),
  }
  const guard = createGuardWithdrawals(bucket as unknown as KvBucket, ({ kind }) => reports.push(kind))
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { guard, erased, reports, settled }
}

describe('a connection that ended', () => {
  test('is erased without waiting for an answer, and forgotten when the watch tells of it', () => {
    const { guard, erased } = withdrawals()
    guard.end('k')
    guard.gone('k')
    guard.sweep(soon())
    assert.deepEqual(erased, ['unasked'])
    assert.equal(guard.isLeaving(told()), false)
  })

  test('is erased once more when the watch does not tell of it', async () => {
    const { guard, erased, settled } = withdrawals()
    guard.end('k')
    guard.sweep(performance.now())
    assert.deepEqual(erased, ['unasked'])
    guard.sweep(soon())
    guard.sweep(soon())
    await settled()
    assert.deepEqual(erased, ['unasked', null])
    assert.equal(guard.isLeaving(told()), false)
  })

  test('is erased when the watch tells of its entry after all, at that revision', () => {
    const { guard, erased } = withdrawals()
    guard.end('k')
    assert.equal(guard.isLeaving(told()), true)
    assert.deepEqual(erased, ['unasked', 7])
  })

  test('stays to be erased when nobody answers, and that is reported', async () => {
    const { guard, erased, reports, settled } = withdrawals({ fails: true })
    guard.end('k')
    guard.sweep(soon())
    await settled()
    assert.deepEqual(reports, ['guard_write_failed'])
    assert.equal(guard.isLeaving(told()), true)
    assert.deepEqual(erased, ['unasked', null, 7])
  })

  test('is forgotten after a quarter of an hour', () => {
    const { guard, erased } = withdrawals()
    guard.end('k')
    guard.sweep(muchLater())
    assert.equal(guard.isLeaving(told()), false)
    assert.deepEqual(erased, ['unasked'])
  })

  test('is asked about once, also where as many leave as may', async () => {
    const { guard, erased, settled } = withdrawals({ fails: true })
    for (let i = 0; i < 10_000; i++) guard.end(String(i))
    for (let i = 0; i < 3; i++) guard.sweep(soon())
    await settled()
    assert.equal(erased.filter((one) => one === null).length, 10_000)
  })

  test('is asked about at once where too many others leave', async () => {
    const { guard, erased, settled } = withdrawals()
    for (let i = 0; i < 10_000; i++) guard.end(`k${i}`)
    guard.end('one more')
    await settled()
    assert.deepEqual(erased.slice(10_000), [null])
  })
})

describe('a claim that came to nothing', () => {
  test('is erased at its own revision alone', async () => {
    const { guard, erased, settled } = withdrawals()
    guard.withdraw('k', { value: VALUE, revision: 5 })
    await settled()
    assert.deepEqual(erased, [5])
    assert.equal(guard.isLeaving(told()), false)
  })

  test('whose answer was lost is erased where it is there', async () => {
    const { guard, erased, settled } = withdrawals({ there: told({ revision: 9 }) })
    guard.withdraw('k', { value: VALUE, revision: null })
    await settled()
    assert.deepEqual(erased, [9])
  })

  test('whose answer was lost is not forgotten because something else of its key was erased: it may yet be written', async () => {
    const { guard, erased, settled } = withdrawals()
    guard.withdraw('k', { value: VALUE, revision: null })
    await settled()
    guard.gone('k')
    assert.equal(guard.isLeaving(told()), true)
    assert.deepEqual(erased, [7])
  })

  test('of somebody else’s entry nothing is erased', async () => {
    const { guard, erased, settled } = withdrawals({ there: told({ value: utf8('another') }) })
    guard.withdraw('k', { value: VALUE, revision: null })
    await settled()
    assert.equal(guard.isLeaving(told({ value: utf8('another') })), false)
    assert.deepEqual(erased, [])
  })
})
