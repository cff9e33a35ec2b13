/** A fill from a leader that is behind the one before it: what the fill missed, no watch would ever tell. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CachedStore } from '../../src/nats/cached-store.ts'
import { identitySchema } from '../../src/nats/records-schema.ts'
import { until } from '../support/links.ts'
import { type ScriptedLeader, scriptedLeader } from '../support/scripted-leader.ts'

const storeOver = ({ bucket }: ScriptedLeader, entriesMax = 100) => {
  const troubles: string[] = []
  const onReport = ({ kind }: { kind: string }) => void troubles.push(kind)
  const store = new CachedStore({ bucket, schema: identitySchema, keys: '*', keyOf: ({ handle }) => handle, entriesMax, onReport })
  return { store, troubles }
}

test('is not over before it told what the leader had', async () => {
  const leader = scriptedLeader({ newest: 97 })
  leader.has.set(90, { key: 'm-1', state: 'active' })
  leader.upTo = 90
  leader.says.push(90)
  const { store, troubles } = storeOver(leader)
  try {
    await until('it noticed', () => troubles.length > 0)
    assert.equal(store.isComplete(), false)
    // The new leader catches up: the identity was disabled before anybody watched.
    leader.has.set(97, { key: 'm-1', state: 'disabled' })
    leader.upTo = 97
    leader.says[0] = 97
    await until('all is read', () => store.isComplete())
    assert.equal((await store.find('m-1'))?.record.state, 'disabled')
    assert.deepEqual(leader.read, [])
  } finally {
    store.stop()
  }
})

test('is not believed when it had to be given up: the leader is asked', async () => {
  const leader = scriptedLeader({ newest: 97 })
  for (const n of [1, 2, 3]) leader.has.set(89 + n, { key: `m-${n}`, state: 'active' })
  const { store } = storeOver(leader, 2)
  try {
    await until('it is full', () => [...store.cached()].some(([key]) => key === 'm-3'))
    assert.equal(store.isComplete(), false)
    for (const key of ['m-2', 'm-3']) assert.equal((await store.find(key))?.record.state, 'disabled')
    assert.deepEqual(leader.read, ['m-2', 'm-3'])
    // And then believed.
    assert.equal((await store.find('m-3'))?.record.state, 'disabled')
    assert.equal(leader.read.length, 2)
  } finally {
    store.stop()
  }
})

test('after a reconnect is not believed where more was known before it', async () => {
  const leader = scriptedLeader({ newest: 97 })
  leader.has.set(97, { key: 'm-1', state: 'disabled' })
  const { store, troubles } = storeOver(leader)
  try {
    await until('all is read', () => store.isComplete())
    leader.has.clear()
    leader.has.set(90, { key: 'm-1', state: 'active' })
    leader.upTo = 90
    leader.says.push(90)
    leader.reconnect()
    await until('it was read again', () => troubles.length > 0)
    assert.equal((await store.find('m-1'))?.record.state, 'disabled')
    assert.deepEqual(leader.read, ['m-1'])
  } finally {
    store.stop()
  }
})
