import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { pageOf, scanBucket } from '../../src/nats/admin-listing.ts'
import { pageBytesMax } from '../../src/nats/admin-protocol.ts'

const entriesOf = (keys: Iterable<string>): [string, string][] => [...keys].map((key) => [key, key])

describe('pages', () => {
  test('hold every item once, in order, whatever the order they come in', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        (keys, limit) => {
          const seen: string[] = []
          let cursor: string | null = null
          do {
            const page: { items: string[]; cursor: string | null } = pageOf(entriesOf(keys), { cursor, limit }, (it) => it)
            assert.ok(page.items.length <= limit)
            seen.push(...page.items)
            cursor = page.cursor
          } while (cursor !== null)
          assert.deepEqual(
            seen,
            [...keys].sort((a, b) => (a < b ? -1 : 1)),
          )
        },
      ),
    )
  })

  test('end without a cursor when the last item is on them', () => {
    assert.deepEqual(
      pageOf(entriesOf(['b', 'a']), { cursor: null, limit: 2 }, (it) => it),
      { items: ['a', 'b'], cursor: null },
    )
    assert.deepEqual(
      pageOf(entriesOf([]), { cursor: null, limit: 2 }, (it) => it),
      { items: [], cursor: null },
    )
    assert.deepEqual(
      pageOf(entriesOf(['a']), { cursor: 'z', limit: 2 }, (it) => it),
      { items: [], cursor: null },
    )
  })

  test('are cut where they would be too large, and go on after the cut', () => {
    const keys = Array.from({ length: 50 }, (_, i) => String(i).padStart(2, '0'))
    const large = 'x'.repeat(pageBytesMax / 10)
    const first = pageOf(entriesOf(keys), { cursor: null, limit: 50 }, (it) => it + large)
    assert.equal(first.items.length, 9)
    const second = pageOf(entriesOf(keys), { cursor: first.cursor, limit: 50 }, (it) => it + large)
    assert.equal(second.items[0]?.slice(0, 2), '09')
  })

  test('hold an item that is too large by itself: a list always gets on', () => {
    const page = pageOf(entriesOf(['a', 'b']), { cursor: null, limit: 5 }, (it) => it + 'x'.repeat(pageBytesMax))
    assert.deepEqual([page.items.length, page.cursor], [1, 'a'])
  })
})

describe('a listing of a bucket', () => {
  test('that cannot begin fails, and leaves no timer behind that would throw later', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const unavailable = () => {
      throw new StoreUnavailable('subscribing')
    }
    const link = { isConnected: () => true, onChange: () => () => {}, inboxPrefix: '_INBOX_test', nats: { subscribe: unavailable } }
    const before = timers()
    await assert.rejects(scanBucket({ name: 'webauthn_tickets', link } as never), StoreUnavailable)
    assert.equal(timers(), before)
  })
})
