/**
 * Endorsed session nkeys in `webauthn_sessions`, where records of sessions that are over go in time. That one was revoked
 * stays in a bucket of its own for ever, so it is never endorsed again.
 */

import type { Handle, UserNkey } from '../core/identifiers.ts'
import { type RecordPort, type SessionPort, StoreUnavailable } from '../core/ports.ts'
import type { SessionRecord, Stored, Tombstone } from '../core/records.ts'
import { CachedStore } from './cached-store.ts'
import type { KvBucket } from './kv-bucket.ts'
import type { OnStoreReport } from './record-store.ts'
import { sessionSchema } from './records-schema.ts'

/** `expired`: active, but its time is over. */
export type SessionStanding = SessionRecord['state'] | 'expired'

export interface SessionStore extends SessionPort {
  /** Compare-and-set to a revoked record, after the tombstone. Null when it was written, else what is there now. */
  revoke(stored: Stored<SessionRecord>, next: SessionRecord): Promise<Stored<SessionRecord> | null>
  findOnLeader(nkey: UserNkey): Promise<Stored<SessionRecord> | null>
  /** The identity's sessions in this verifier's cache, active and not over, in no order: for showing, never for deciding. */
  of(handle: Handle): readonly SessionRecord[]
  /** How many this verifier keeps at hand. */
  counts(now: Date): Record<SessionStanding, number>
  /** How many there are whose time is not over, by state; null where they are not all at hand. Those that are over leave the bucket without a word. */
  census(now: Date): Record<SessionRecord['state'], number> | null
  readonly cache: CachedStore<SessionRecord>
}

const entriesMax = 500_000

export function createSessionStore(
  bucket: KvBucket,
  { tombstones, onReport }: { tombstones: RecordPort<Tombstone>; onReport: OnStoreReport },
): SessionStore {
  const cache = new CachedStore({
    bucket,
    schema: sessionSchema,
    keys: '*',
    keyOf: ({ nkey }) => nkey,
    entriesMax,
    // Activated on one verifier, used on another a moment later.
    isUnsettled: ({ state }) => state === 'pending',
    groupOf: ({ handle }) => handle,
    onReport,
  })
  return {
    cache,
    find: (nkey) => cache.find(nkey),
    findOnLeader: (nkey) => cache.findOnLeader(nkey),
    reserve: async (record) => {
      // At once, because most nkeys are new and have no tombstone.
      const [created, tombstone] = await Promise.all([cache.create(record.nkey, record), tombstones.find(record.nkey)])
      if (tombstone !== null) return { record: { ...record, state: 'revoked', endedAt: tombstone.record.revokedAt }, revision: 0 }
      if (created !== null) return created
      const there = await cache.findOnLeader(record.nkey)
      if (there === null) throw new StoreUnavailable("reserving a session: the nkey's record was deleted")
      return there
    },
    revoke: async (stored, next) => {
      const { nkey, endedAt } = next
      await tombstones.create(nkey, { v: 1, nkey, revokedAt: endedAt ?? 0 })
      return cache.replace(nkey, stored, next)
    },
    replace: async (stored, next) => (await cache.replace(stored.record.nkey, stored, next)) === null,
    of: (handle) => {
      const now = new Date()
      return cache.ofGroup(handle).flatMap(({ record }) => (standingOf(record, now) === 'active' ? [record] : []))
    },
    counts: (now) => {
      const counts = { pending: 0, active: 0, expired: 0, revoked: 0 }
      for (const [, { record }] of cache.cached()) counts[standingOf(record, now)]++
      return counts
    },
    census: (now) => {
      if (!cache.isComplete()) return null
      const counts = { pending: 0, active: 0, revoked: 0 }
      for (const [, { record }] of cache.cached()) if (record.expiresAt > now.getTime()) counts[record.state]++
      return counts
    },
  }
}

/** The session's state, with its time taken into account. */
export function standingOf(record: SessionRecord, now: Date): SessionStanding {
  return record.state === 'active' && record.expiresAt <= now.getTime() ? 'expired' : record.state
}
