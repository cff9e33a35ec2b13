import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { GuardEntry } from '../../src/core/records.ts'
import { GuardIndex } from '../../src/nats/guard-index.ts'
import { guardEntry, handleOf, newGuardKey, newUserNkey } from '../support/records.ts'

const nowMs = 1_000_000_000_000
const now = nowMs / 1000
/** How long an entry is kept after its grant is over. */
const kept = 300
const keptMs = kept * 1000

const at = (record: GuardEntry, revision = 1) => ({ record, revision })

describe('guard index', () => {
  test('finds an entry by its key and no other', () => {
    const index = new GuardIndex(10)
    const entry = guardEntry({ exp: now + 10 })
    index.put('a', at(entry), nowMs)
    assert.equal(index.get('a'), entry)
    assert.equal(index.get('b'), null)
  })

  test('takes no entry that is over', () => {
    const index = new GuardIndex(10)
    index.put('a', at(guardEntry({ exp: now - kept })), nowMs)
    assert.equal(index.size(), 0)
  })

  test('counts unexpired entries of a handle, to the millisecond, before any sweep', () => {
    const index = new GuardIndex(10)
    const handle = handleOf('orders')
    index.put('a', at(guardEntry({ handle, exp: now + 1 })), nowMs)
    index.put('b', at(guardEntry({ handle, exp: now + 2 })), nowMs)
    index.put('c', at(guardEntry({ handle: handleOf('others'), exp: now + 2 })), nowMs)
    assert.equal(index.countOf(handle, nowMs), 2)
    assert.equal(index.countOf(handle, nowMs + 999), 2)
    assert.equal(index.countOf(handle, nowMs + 1_000), 1)
    assert.equal(index.countOf(handle, nowMs + 2_000), 0)
  })

  test('counts no connection of a server that is not there any more, and finds it all the same', () => {
    const index = new GuardIndex(10)
    const handle = handleOf('orders')
    const [here, gone, come] = ['NHERE', 'NGONE', 'NCOME']
    index.put('a', at(guardEntry({ handle, serverId: here, iat: now - 100, exp: now + 9 })), nowMs)
    index.put('b', at(guardEntry({ handle, serverId: gone, iat: now - 100, exp: now + 9 })), nowMs)
    assert.equal(index.countOf(handle, nowMs), 2)
    index.serversSeen(new Set([here]), nowMs)
    assert.equal(index.countOf(handle, nowMs), 1)
    assert.equal(index.ownedBy({ handle }, nowMs).length, 2)
    // A server that came since it was asked.
    index.put('c', at(guardEntry({ handle, serverId: come, iat: now + 1, exp: now + 9 })), nowMs)
    assert.equal(index.countOf(handle, nowMs), 2)
  })

  test('counts entries with a lower revision alone, where it is asked for those before one', () => {
    const index = new GuardIndex(10)
    const handle = handleOf('orders')
    const entry = guardEntry({ handle, iat: now, exp: now + 9 })
    index.put('a', at(entry, 7), nowMs)
    index.put('b', at(entry, 3), nowMs)
    index.put('c', at(guardEntry({ handle, exp: now }), 4), nowMs)
    index.put('d', at(guardEntry({ handle: handleOf('others'), exp: now + 9 }), 5), nowMs)
    for (const [before, count] of [
      [3, 0],
      [4, 1],
      [7, 1],
      [8, 2],
    ] as const) {
      assert.equal(index.countOf(handle, nowMs, before), count, `before ${before}`)
    }
    assert.deepEqual([index.revisionOf('a'), index.revisionOf('e')], [7, 0])
    index.put('b', at(entry, 9), nowMs)
    assert.equal(index.countOf(handle, nowMs, 8), 1)
    index.serversSeen(new Set(), nowMs + 3_600_000)
    assert.equal(index.countOf(handle, nowMs, 10), 0)
  })

  test('forgets what is over at a sweep, and only that', () => {
    const index = new GuardIndex(10)
    index.put('a', at(guardEntry({ exp: now + 1 })), nowMs)
    index.put('b', at(guardEntry({ exp: now + 2 })), nowMs)
    index.sweep(nowMs + 1_000 + keptMs)
    assert.equal(index.get('a'), null)
    assert.notEqual(index.get('b'), null)
    assert.equal(index.hasForgotten(), false)
  })

  test('knows a connection for minutes after its grant expired: nats-server closes it late, and by its own clock', () => {
    const index = new GuardIndex(10)
    const entry = guardEntry({ exp: now })
    index.put('a', at(entry), nowMs)
    index.sweep(nowMs + keptMs - 1)
    assert.equal(index.get('a'), entry)
    assert.equal(index.countOf(entry.handle, nowMs), 0)
  })

  test('evicts what expires first when it is full, and says until when it may have forgotten something', () => {
    const index = new GuardIndex(3)
    index.put('later', at(guardEntry({ exp: now + 30 })), nowMs)
    index.put('first', at(guardEntry({ exp: now + 10 })), nowMs)
    index.put('second', at(guardEntry({ exp: now + 20 })), nowMs)
    assert.equal(index.hasForgotten(), false)
    index.put('latest', at(guardEntry({ exp: now + 40 })), nowMs)
    assert.equal(index.get('first'), null)
    assert.equal(index.size(), 3)
    assert.equal(index.hasForgotten(), true)
    index.sweep(nowMs + keptMs + 9_000)
    assert.equal(index.hasForgotten(), true)
    index.sweep(nowMs + keptMs + 10_000)
    assert.equal(index.hasForgotten(), false)
  })

  test('keeps one entry for one key, the newest', () => {
    const index = new GuardIndex(10)
    const handle = handleOf('orders')
    index.put('a', at(guardEntry({ handle, exp: now + 10 })), nowMs)
    index.put('a', at(guardEntry({ handle, exp: now + 20 })), nowMs)
    assert.equal(index.countOf(handle, nowMs), 1)
    index.sweep(nowMs + keptMs + 15_000)
    assert.equal(index.size(), 1)
  })

  test('removes one entry once, and leaves the others alone', () => {
    const index = new GuardIndex(10)
    const entry = guardEntry({ exp: now + 10 })
    index.put('a', at(entry), nowMs)
    index.put('b', at({ ...entry, clientId: entry.clientId + 1 }), nowMs)
    index.remove('a')
    index.remove('a')
    assert.equal(index.get('a'), null)
    assert.equal(index.size(), 1)
    assert.equal(index.countOf(entry.handle, nowMs), 1)
  })

  test('tells connections of one credential or session from others of the same handle', () => {
    const index = new GuardIndex(10)
    const session = newUserNkey()
    const one = guardEntry({ session, exp: now + 10 })
    const other = guardEntry({ exp: now + 10 })
    index.put('a', at(one), nowMs)
    index.put('b', at(other), nowMs)
    assert.deepEqual(index.ownedBy({ credential: one.credential }, nowMs), [one])
    assert.deepEqual(index.ownedBy({ session }, nowMs), [one])
    assert.deepEqual(index.ownedBy({ session: newUserNkey() }, nowMs), [])
    assert.equal(index.ownedBy({ handle: one.handle }, nowMs).length, 2)
    assert.deepEqual(index.ownedBy({ credential: one.credential }, nowMs + 10_000), [])
  })

  test('leaves nothing behind of a hundred thousand entries', () => {
    const index = new GuardIndex(200_000)
    const keys = Array.from({ length: 1_000 }, () => newGuardKey())
    const entry = guardEntry()
    for (let i = 0; i < 100_000; i++) index.put(`${keys[i % 1_000]}${i}`, at({ ...entry, clientId: i, exp: now + (i % 900) + 1 }), nowMs)
    assert.equal(index.size(), 100_000)
    index.sweep(nowMs + keptMs + 900_000)
    assert.equal(index.size(), 0)
    assert.equal(index.countOf(entry.handle, nowMs), 0)
  })
})
