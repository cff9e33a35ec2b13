/** Credentials in `webauthn_credentials`, by the SHA-256 of their id. None is ever deleted: a revoked one stays revoked. */
import { type CredentialKey, credentialKey } from '../core/identifiers.ts'
import type { CredentialPort, RecordPort } from '../core/ports.ts'
import type { CredentialRecord, Stored } from '../core/records.ts'
import { CachedStore } from './cached-store.ts'
import type { KvBucket } from './kv-bucket.ts'
import type { OnStoreReport } from './record-store.ts'
import { credentialSchema } from './records-schema.ts'

export const CREDENTIAL_STATES = ['pending', 'active', 'quarantined', 'revoked'] as const satisfies readonly CredentialRecord['state'][]

export interface CredentialStore extends CredentialPort {
  /** False when a credential with this id is or ever was there. */
  create(record: CredentialRecord): Promise<boolean>
  findOnLeader(key: CredentialKey): Promise<Stored<CredentialRecord> | null>
  /** How many this verifier keeps at hand, by state. */
  counts(): Record<CredentialRecord['state'], number>
  /** How many there are, by state; null where they are not all at hand. */
  census(): Record<CredentialRecord['state'], number> | null
  /** Without a cache: for enrolment. */
  readonly records: RecordPort<CredentialRecord>
  readonly cache: CachedStore<CredentialRecord>
}

const entriesMax = 200_000

export function createCredentialStore(bucket: KvBucket, onReport: OnStoreReport): CredentialStore {
  const cache = new CachedStore({
    bucket,
    schema: credentialSchema,
    keys: '*',
    keyOf: ({ id }) => credentialKey(id),
    entriesMax,
    // Activated on one verifier, used on another a moment later.
    isUnsettled: ({ state }) => state === 'pending',
    onReport,
  })
  const counts = () => {
    const states = { pending: 0, active: 0, quarantined: 0, revoked: 0 }
    for (const [, { record }] of cache.cached()) states[record.state]++
    return states
  }
  return {
    cache,
    records: cache.asRecords(),
    find: (id) => cache.find(credentialKey(id)),
    findByKey: (key) => cache.find(key),
    findOnLeader: (key) => cache.findOnLeader(key),
    replace: (stored, next) => cache.replace(credentialKey(stored.record.id), stored, next),
    create: async (record) => (await cache.create(credentialKey(record.id), record)) !== null,
    counts,
    census: () => (cache.isComplete() ? counts() : null),
  }
}
