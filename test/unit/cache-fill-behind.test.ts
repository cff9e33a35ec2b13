/** A fill that is read from a replica that is behind: what it missed, no watch would ever tell. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CachedStore } from '../../src/nats/cached-store.ts'
import type { Link } from '../../src/nats/connection.ts'
import type { KvBucket } from '../../src/nats/kv-bucket.ts'
import { encodeRecord, identitySchema } from '../../src/nats/records-schema.ts'
import { identityRecord } from '../support/records.ts'

type Told = (error: null, message: unknown) => void

/** A bucket whose leader has `newest`; its two consumers, the watch and the fill, tell what the test has them tell. */
function clustered({ newest, entriesMax = 100 }: { newest: number; entriesMax?: number }) {
  const heard = new Map<string, { tell: Told; sequence: number }>()
  const consumers: { policy: string; inbox: string }[] = []
  const read: string[] = []
  const listeners: ((connected: boolean) => void)[] = []
  const link = {
    inboxPrefix: '_INBOX_test',
    isConnected: () => true,
    onChange: (listener: (connected: boolean) => void) => listeners.push(listener) && (() => {}),
    nats: {
      subscribe: (inbox: string, { callback }: { callback: Told }) => {
        heard.set(inbox, { tell: callback, sequence: 0 })
        return { unsubscribe: () => heard.delete(inbox) }
      },
    },
    ask: async ({ subject, body }: { subject: string; body: string }) => ({ json: () => answer(subject, JSON.parse(body)) }),
  } as unknown as Link
  function answer(subject: string, asked: { config?: { deliver_policy: string; deliver_subject: string } }): unknown {
    if (subject.includes('STREAM.INFO')) return { created: '', state: { messages: 2, first_seq: 1, last_seq: newest } }
    if (subject.includes('MSG.GET')) return { message: { subject: '$KV.b.x', seq: newest } }
    assert.ok(asked.config)
    consumers.push({ policy: asked.config.deliver_policy, inbox: asked.config.deliver_subject })
    return { num_pending: asked.config.deliver_policy === 'new' ? 0 : 1 }
  }
  const bucket: KvBucket = {
    name: 'b',
    link,
    find: async (key) => {
      read.push(key)
      return { key, revision: newest, value: encodeRecord(identityRecord(key, { state: 'disabled' })) }
    },
    write: async () => null,
    erase: async () => false,
    eraseUnasked: () => {},
  }
  const store = new CachedStore({
    bucket,
    schema: identitySchema,
    keys: '*',
    keyOf: ({ handle }) => handle,
    entriesMax,
    onReport: () => {},
  })
  /** What the fill's replica has. */
  const tell = (
    key: string,
    revision: number,
    { state = 'active', pending = 0 }: { state?: 'active' | 'disabled'; pending?: number } = {},
  ) => {
    const { inbox } = consumers.findLast(({ policy }) => policy === 'last_per_subject') ?? assert.fail()
    const from = heard.get(inbox) ?? assert.fail()
    const reply = `$JS.ACK.KV_b.c.1.${revision}.${++from.sequence}.0.${pending}`
    from.tell(null, { subject: `$KV.b.${key}`, reply, data: encodeRecord(identityRecord(key, { state })) })
  }
  const isFilling = () => consumers.some(({ policy, inbox }) => policy === 'last_per_subject' && heard.has(inbox))
  const reconnect = () => {
    for (const connected of [false, true]) for (const listener of [...listeners]) listener(connected)
  }
  return { store, tell, read, isFilling, reconnect }
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
async function begun({ isFilling }: { isFilling(): boolean }): Promise<void> {
  while (!isFilling()) await settle()
  await settle()
}

test('is not over before it told what the leader had', async () => {
  const field = clustered({ newest: 97 })
  const { store, tell, isFilling } = field
  try {
    await begun(field)
    tell('m-1', 90)
    await settle()
    assert.deepEqual([isFilling(), store.isComplete()], [true, false])
    // Its replica catches up: the identity was disabled before anybody watched.
    tell('m-1', 97, { state: 'disabled' })
    await settle()
    assert.deepEqual([isFilling(), store.isComplete()], [false, true])
    assert.equal((await store.find('m-1'))?.record.state, 'disabled')
  } finally {
    store.stop()
  }
})

test('is not believed when it had to be given up: the leader is asked', async () => {
  const field = clustered({ newest: 97, entriesMax: 2 })
  const { store, tell, read, isFilling } = field
  try {
    await begun(field)
    tell('m-1', 90, { pending: 2 })
    tell('m-2', 91, { pending: 1 })
    tell('m-3', 92)
    await settle()
    assert.equal(isFilling(), false)
    for (const key of ['m-2', 'm-3']) assert.equal((await store.find(key))?.record.state, 'disabled')
    assert.deepEqual(read, ['m-2', 'm-3'])
    // And then believed.
    assert.equal((await store.find('m-3'))?.record.state, 'disabled')
    assert.equal(read.length, 2)
  } finally {
    store.stop()
  }
})

test('after a reconnect is not believed where more was known before it', async () => {
  const field = clustered({ newest: 97 })
  const { store, tell, read, reconnect } = field
  try {
    await begun(field)
    tell('m-1', 97, { state: 'disabled' })
    await settle()
    assert.equal(store.isComplete(), true)
    reconnect()
    await begun(field)
    tell('m-1', 90, { pending: 1 })
    assert.equal((await store.find('m-1'))?.record.state, 'disabled')
    assert.deepEqual(read, ['m-1'])
  } finally {
    store.stop()
  }
})
