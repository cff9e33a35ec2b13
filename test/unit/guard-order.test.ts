/** Places are given in the order of the claims, whatever a verifier hears of first. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StoreUnavailable } from '../../src/core/ports.ts'
import type { GuardEntry } from '../../src/core/records.ts'
import type { Link } from '../../src/nats/connection.ts'
import { createGuard } from '../../src/nats/guard.ts'
import { GuardOrder } from '../../src/nats/guard-order.ts'
import type { KvBucket } from '../../src/nats/kv-bucket.ts'
import { encodeRecord } from '../../src/nats/records-schema.ts'
import { guardEntry, handleOf, newGuardKey } from '../support/records.ts'

type Told = (error: null, message: unknown) => void

const handle = handleOf('orders')

/** A guard whose bucket answers and whose watch tells what the test has them say. */
function guarded() {
  let listening: { tell: Told; sequence: number } | null = null
  const listeners: ((connected: boolean) => void)[] = []
  const answers: ((revision: number | null) => void)[] = []
  const erased: (number | null)[] = []
  const link = {
    inboxPrefix: '_INBOX_test',
    isConnected: () => true,
    onChange: (listener: (connected: boolean) => void) => listeners.push(listener) && (() => {}),
    nats: {
      subscribe: (_: string, { callback }: { callback: Told }) => {
        listening = { tell: callback, sequence: 0 }
        return { unsubscribe: () => {} }
      },
    },
    ask: async () => ({ json: () => ({ num_pending: 0 }) }),
  } as unknown as Link
  const bucket: KvBucket = {
    name: 'b',
    link,
    find: async () => null,
    write: () => new Promise((resolve) => answers.push(resolve)),
    erase: async (_, revision) => erased.push(revision) > 0,
    eraseUnasked: () => {},
  }
  const guard = createGuard(bucket, () => {})
  return {
    guard,
    erased,
    tell: (revision: number, entry: GuardEntry | null, key = newGuardKey()) => {
      const from = listening ?? assert.fail()
      const headers = entry === null ? { get: () => 'DEL' } : undefined
      const reply = `$JS.ACK.KV_b.c.1.${revision}.${++from.sequence}.0.0`
      from.tell(null, { subject: `$KV.b.${key}`, reply, headers, data: entry === null ? new Uint8Array(0) : encodeRecord(entry) })
      return key
    },
    /** Claims; its answer comes when `answer` says with which revision. */
    claim: () => {
      const key = newGuardKey()
      const entry = guardEntry({ handle })
      const claimed = guard.claim(key, entry)
      const written = answers.pop() ?? assert.fail()
      const answer = (revision: number) => {
        written(revision)
        return claimed
      }
      return { key, entry, answer }
    },
    reconnect: () => {
      for (const connected of [false, true]) for (const listener of [...listeners]) listener(connected)
    },
  }
}

/** What became of `isAmong`, or `waits`. */
async function outcomeOf(among: Promise<boolean>): Promise<boolean | 'waits'> {
  const turn = new Promise<'waits'>((resolve) => setImmediate(resolve, 'waits'))
  return Promise.race([among, turn])
}

async function withGuard(play: (field: ReturnType<typeof guarded>) => Promise<void>): Promise<void> {
  const field = guarded()
  try {
    await play(field)
  } finally {
    field.guard.stop()
  }
}

describe('of connections that are claimed at several verifiers', () => {
  test('one that was claimed earlier takes the place, though the watch tells of it later than the bucket answers', () =>
    withGuard(async ({ claim, tell }) => {
      const own = claim()
      const claimed = await own.answer(5)
      const [last, second] = [claimed.isAmong(1), claimed.isAmong(2)]
      assert.deepEqual([await outcomeOf(last), await outcomeOf(second)], ['waits', 'waits'])
      tell(4, guardEntry({ handle }))
      assert.equal(await outcomeOf(last), 'waits')
      tell(5, own.entry, own.key)
      assert.deepEqual([await last, await second], [false, true])
    }))

  test('one that was claimed later takes nothing, though it is known first', () =>
    withGuard(async ({ claim, tell, guard }) => {
      const [own, later] = [claim(), claim()]
      await later.answer(6)
      const claimed = await own.answer(5)
      const among = claimed.isAmong(1)
      tell(5, own.entry, own.key)
      tell(6, later.entry, later.key)
      assert.equal(await among, true)
      assert.equal(guard.connectionsOf(handle), 2)
    }))

  test('one that was claimed here counts from when the watch tells of it, though its answer is still under way', () =>
    withGuard(async ({ claim, tell }) => {
      const [earlier, own] = [claim(), claim()]
      const claimed = await own.answer(6)
      tell(5, earlier.entry, earlier.key)
      tell(6, own.entry, own.key)
      assert.equal(await claimed.isAmong(1), false)
      assert.equal(await (await earlier.answer(5)).isAmong(1), true)
    }))

  test('one that ended, was withdrawn or is on a server that is gone takes no place', () =>
    withGuard(async ({ claim, tell, guard }) => {
      tell(1, guardEntry({ handle, serverId: 'NGONE', iat: 1 }))
      guard.serversSeen(new Set(), Date.now())
      const key = tell(2, guardEntry({ handle }))
      const withdrawn = claim()
      const taken = await withdrawn.answer(3)
      const own = claim()
      const claimed = await own.answer(5)
      tell(3, withdrawn.entry, withdrawn.key)
      taken.withdraw()
      tell(4, null, key)
      tell(5, own.entry, own.key)
      assert.equal(await claimed.isAmong(1), true)
    }))

  test('one that was told to have ended does not come back with its own answer', () =>
    withGuard(async ({ claim, tell, guard }) => {
      const own = claim()
      tell(5, own.entry, own.key)
      tell(6, null, own.key)
      await own.answer(5)
      assert.equal(guard.connectionsOf(handle), 0)
    }))

  test('what was left of a connection before does not hide the claim that followed it', () =>
    withGuard(async ({ claim, tell, guard }) => {
      const own = claim()
      await own.answer(5)
      tell(4, null, own.key)
      assert.equal(guard.connectionsOf(handle), 1)
    }))

  test('a watch that was cut off is heard to the end before it is believed', () =>
    withGuard(async ({ claim, tell, reconnect }) => {
      tell(9, guardEntry({ handle: handleOf('somebody') }))
      reconnect()
      const own = claim()
      const claimed = await own.answer(8)
      const among = claimed.isAmong(1)
      assert.equal(await outcomeOf(among), 'waits')
      tell(7, guardEntry({ handle }))
      tell(9, guardEntry({ handle: handleOf('somebody') }))
      assert.equal(await among, false)
    }))
})

describe('the order of claims', () => {
  const refusedOrTold = (waiting: Promise<void>): Promise<string> =>
    waiting.then(
      () => 'told',
      (cause: unknown) => (cause instanceof StoreUnavailable ? 'unavailable' : 'failed'),
    )

  test('is not waited for for ever: a watch that does not tell of a claim admits nobody', async () => {
    const order = new GuardOrder('b', 1)
    order.told(4)
    assert.equal(await refusedOrTold(order.reached(5)), 'unavailable')
    order.told(6)
    assert.equal(await refusedOrTold(order.reached(5)), 'told')
    order.began()
    assert.equal(await refusedOrTold(order.reached(5)), 'unavailable')
  })

  test('wakes those alone whose claim was told of', async () => {
    const order = new GuardOrder('b', 1)
    const [early, late] = [refusedOrTold(order.reached(3)), refusedOrTold(order.reached(4))]
    order.told(3)
    assert.deepEqual([await early, await late], ['told', 'unavailable'])
  })
})
