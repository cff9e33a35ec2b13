/**
 * Identities in `webauthn_identities`, by handle; under `subject.<hash>` stands which handle belongs to (issuer, subject).
 * Handles are never reused and no subject has two.
 */
import type { Handle } from '../core/identifiers.ts'
import type { IdentityPort, RecordPort } from '../core/ports.ts'
import type { IdentityRecord, Stored } from '../core/records.ts'
import { subjectKey } from '../core/subject-key.ts'
import { CachedStore } from './cached-store.ts'
import type { KvBucket } from './kv-bucket.ts'
import { type OnStoreReport, recordStore } from './record-store.ts'
import { identitySchema, type SubjectIndex, subjectIndexSchema } from './records-schema.ts'

/** `exists`: that very identity is there already. */
export type IdentityCreation = 'created' | 'exists' | 'handle_taken' | 'subject_taken'

export interface IdentityStore extends IdentityPort {
  createIdentity(record: IdentityRecord): Promise<IdentityCreation>
  findOnLeader(handle: Handle): Promise<Stored<IdentityRecord> | null>
  /** The identity of (issuer, subject), read from the leader. Null also when its creation stopped half-way: create it again. */
  findBySubject(issuer: string, subject: string): Promise<Stored<IdentityRecord> | null>
  /** Compare-and-set: null when it was written, else what is there. */
  replace(stored: Stored<IdentityRecord>, next: IdentityRecord): Promise<Stored<IdentityRecord> | null>
  counts(): Record<IdentityRecord['state'], number>
  /** By handle, without a cache: for enrolment. `create` keeps (issuer, subject) unique too. */
  readonly records: RecordPort<IdentityRecord>
  readonly cache: CachedStore<IdentityRecord>
}

const entriesMax = 200_000

export function createIdentityStore(bucket: KvBucket, onReport: OnStoreReport): IdentityStore {
  // Keys of one token are handles; the index has two.
  const cache = new CachedStore({
    bucket,
    schema: identitySchema,
    keys: '*',
    keyOf: ({ handle }) => handle,
    entriesMax,
    keysPerRecord: 2,
    onReport,
  })
  const index: RecordPort<SubjectIndex> = recordStore(bucket, subjectIndexSchema, onReport)
  const createIdentity = (record: IdentityRecord) => create(record, cache, index)
  return {
    cache,
    createIdentity,
    find: async (handle) => (await cache.find(handle))?.record ?? null,
    findOnLeader: (handle) => cache.findOnLeader(handle),
    findBySubject: (issuer, subject) => findBySubject({ issuer, subject }, cache, index),
    replace: (stored, next) => cache.replace(stored.record.handle, stored, next),
    records: { ...cache.asRecords(), create: async (_, record) => (await createIdentity(record)) === 'created' },
    counts: () => {
      const counts = { active: 0, disabled: 0 }
      for (const [, { record }] of cache.cached()) counts[record.state]++
      return counts
    },
  }
}

async function create(
  record: IdentityRecord,
  cache: CachedStore<IdentityRecord>,
  index: RecordPort<SubjectIndex>,
): Promise<IdentityCreation> {
  const { handle } = record
  const key = subjectKey(record)
  const indexed = await index.find(key)
  if (indexed !== null && indexed.record.handle !== handle) return 'subject_taken'
  const made = await cache.create(handle, record)
  const there = made ?? (await cache.findOnLeader(handle))
  if (there === null || subjectKey(there.record) !== key) return 'handle_taken'
  // The index comes second, so an identity without one is either unfinished or the loser of a race for its subject.
  if (indexed === null && !(await index.create(key, { v: 1, handle }))) {
    const winner = await index.find(key)
    if (winner?.record.handle !== handle) {
      await disable(there, cache)
      return 'subject_taken'
    }
  }
  return made === null ? 'exists' : 'created'
}

async function findBySubject(
  wanted: { issuer: string; subject: string },
  cache: CachedStore<IdentityRecord>,
  index: RecordPort<SubjectIndex>,
): Promise<Stored<IdentityRecord> | null> {
  const key = subjectKey(wanted)
  const indexed = await index.find(key)
  if (indexed === null) return null
  const stored = await cache.findOnLeader(indexed.record.handle)
  // An index that names somebody else's record was not written by us: nobody signs in by it.
  return stored !== null && subjectKey(stored.record) === key ? stored : null
}

/** The loser's handle is spent: handles are never reused. */
async function disable(stored: Stored<IdentityRecord>, cache: CachedStore<IdentityRecord>): Promise<void> {
  let current: Stored<IdentityRecord> | null = stored
  while (current !== null && current.record.state !== 'disabled') {
    current = await cache.replace(current.record.handle, current, { ...current.record, state: 'disabled' })
  }
}
