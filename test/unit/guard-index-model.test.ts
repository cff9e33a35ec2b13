/** The guard's index against a list of everything that was put into it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { guardEnd } from '../../src/core/guard-entry.ts'
import type { GuardEntry } from '../../src/core/records.ts'
import { GuardIndex } from '../../src/nats/guard-index.ts'
import { guardEntry, handleOf, legacyGuardEntry, newUserNkey } from '../support/records.ts'

const startMs = 1_000_000_000_000
const entriesMax = 6
const HANDLES = ['orders', 'stock'].map(handleOf)
const SESSIONS = [null, newUserNkey(), newUserNkey()]
const BASE = guardEntry()
const LEGACY = legacyGuardEntry({ serverId: BASE.serverId })

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')
const step = fc.oneof(
  fc.record({
    act: fc.constant('put' as const),
    key,
    /** Null: a legacy user's. */
    handle: fc.constantFrom(...HANDLES, null),
    session: fc.constantFrom(...SESSIONS),
    clientId: fc.integer({ min: 1, max: 3 }),
    inSeconds: fc.integer({ min: -400, max: 600 }),
    revision: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ act: fc.constant('remove' as const), key }),
  fc.record({ act: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 400_000 }) }),
  fc.record({ act: fc.constant('sweep' as const) }),
)

/** What is known, in no clever order. */
class Model {
  entries: [string, GuardEntry, number][] = []
  forgottenUntil = 0
  sweptAt = 0

  put(at: string, entry: GuardEntry, revision: number, nowMs: number): void {
    if (guardEnd(entry) * 1000 <= nowMs) return
    this.entries = [...this.entries.filter(([other]) => other !== at), [at, entry, revision]]
    if (this.entries.length <= entriesMax) return
    const first = Math.min(...this.entries.map(([, one]) => guardEnd(one)))
    this.forgottenUntil = Math.max(this.forgottenUntil, first)
    this.entries = this.entries.filter(([, one]) => guardEnd(one) > first)
  }

  matching(nowMs: number, isOne: (entry: GuardEntry, revision: number) => boolean): GuardEntry[] {
    return this.entries.flatMap(([, entry, revision]) => (entry.exp * 1000 > nowMs && isOne(entry, revision) ? [entry] : []))
  }
}

const sameEntries = (actual: GuardEntry[], expected: GuardEntry[]) => assert.deepEqual(new Set(actual), new Set(expected))

test('after any steps it finds, counts and forgets what the list does', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new GuardIndex(entriesMax)
      const model = new Model()
      let nowMs = startMs
      for (const one of steps) {
        if (one.act === 'put') {
          const { handle, session, clientId } = one
          const exp = Math.floor(nowMs / 1000) + one.inSeconds
          const entry = handle === null ? { ...LEGACY, clientId, exp } : { ...BASE, handle, session, clientId, exp }
          index.put(one.key, { record: entry, revision: one.revision }, nowMs)
          model.put(one.key, entry, one.revision, nowMs)
        } else if (one.act === 'remove') {
          index.remove(one.key)
          model.entries = model.entries.filter(([at]) => at !== one.key)
        } else if (one.act === 'wait') nowMs += one.ms
        else {
          index.sweep(nowMs)
          model.sweptAt = Math.floor(nowMs / 1000)
          model.entries = model.entries.filter(([, entry]) => guardEnd(entry) > model.sweptAt)
        }
        assert.equal(index.size(), model.entries.length)
        assert.equal(index.hasForgotten(), model.forgottenUntil > model.sweptAt)
        for (const [at, entry, revision] of model.entries) assert.deepEqual([index.get(at), index.revisionOf(at)], [entry, revision])
        for (const handle of HANDLES) {
          const live = model.matching(nowMs, (entry) => 'handle' in entry && entry.handle === handle)
          sameEntries(index.ownedBy({ handle }, nowMs), live)
          assert.equal(index.countOf(handle, nowMs), live.length)
          const before = model.matching(nowMs, (entry, revision) => 'handle' in entry && entry.handle === handle && revision < 5)
          assert.equal(index.countOf(handle, nowMs, 5), before.length)
        }
        for (const session of SESSIONS) {
          if (session === null) continue
          const live = model.matching(nowMs, (entry) => 'session' in entry && entry.session === session)
          sameEntries(index.ownedBy({ session }, nowMs), live)
        }
      }
    }),
    { numRuns: 500 },
  )
})
