/** The buckets that are backed up, as records: read strictly, and put where a restore wants them. */
import type { KeptBucket } from '../core/backup/backup-format.ts'
import { emptyState, type KeptState, type PlannedWrite } from '../core/backup/restore-plan.ts'
import { credentialKey } from '../core/identifiers.ts'
import { StoreUnavailable } from '../core/ports.ts'
import { bucketState, scanValues } from './bucket-scan.ts'
import type { Link } from './connection.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'
import { credentialSchema, decodeRecord, encodeRecord, identitySchema, subjectIndexSchema, tombstoneSchema } from './records-schema.ts'

/** Puts one value into `state`, unless a later one of its key is there. Throws when it is not a record of its bucket and key. */
export function addRecord(state: KeptState, entry: { bucket: KeptBucket; key: string; revision: number; value: Uint8Array }): void {
  const { bucket, key, revision, value } = entry
  switch (bucket) {
    case 'webauthn_credentials': {
      const record = decodeRecord(value, credentialSchema)
      put(state.credentials, credentialKey(record.id), key, { record, revision })
      return
    }
    case 'webauthn_identities': {
      if (key.startsWith('subject.')) {
        put(state.subjects, key, key, { record: decodeRecord(value, subjectIndexSchema), revision })
        return
      }
      const record = decodeRecord(value, identitySchema)
      put(state.identities, record.handle, key, { record, revision })
      return
    }
    case 'webauthn_revoked_nkeys': {
      const record = decodeRecord(value, tombstoneSchema)
      put(state.tombstones, record.nkey, key, { record, revision })
      return
    }
  }
}

function put<K extends string, V extends { revision: number }>(map: Map<K, V>, own: K, key: string, stored: V): void {
  if (own !== key) throw new Error('decoding a record: it belongs under another key')
  const there = map.get(own)
  if (there === undefined || there.revision < stored.revision) map.set(own, stored)
}

/** What is live now; buckets that are not there are empty. Nothing is made. Throws StoreUnavailable. */
export async function readLive(link: Link, buckets: readonly KeptBucket[]): Promise<KeptState> {
  const state = emptyState()
  for (const bucket of buckets) {
    const there = await bucketState(link, bucket)
    if (there === null) continue
    const latest = new Map<string, BucketEntry>()
    await scanValues(link, there, (entry) => {
      if ((latest.get(entry.key)?.revision ?? 0) < entry.revision) latest.set(entry.key, entry)
    })
    for (const { key, revision, value } of latest.values()) {
      try {
        if (value !== null) addRecord(state, { bucket, key, revision, value })
        else state.blanks.set(`${bucket}/${key}`, { revision, undecodable: false })
      } catch {
        state.blanks.set(`${bucket}/${key}`, { revision, undecodable: true })
      }
    }
  }
  return state
}

const writesAtOnce = 32

/**
 * Writes in the order given, each by compare-and-set. Throws StoreUnavailable when somebody else wrote one of the keys
 * meanwhile: a restore may simply be run again.
 */
export async function writeRecords(buckets: ReadonlyMap<KeptBucket, KvBucket>, writes: readonly PlannedWrite[]): Promise<void> {
  for (let from = 0; from < writes.length; from += writesAtOnce) {
    await Promise.all(writes.slice(from, from + writesAtOnce).map((write) => writeRecord(buckets, write)))
  }
}

async function writeRecord(buckets: ReadonlyMap<KeptBucket, KvBucket>, { bucket, key, record, revision }: PlannedWrite): Promise<void> {
  const to = buckets.get(bucket)
  if (to === undefined) throw new Error(`writing ${bucket}: it is not open`)
  if ((await to.write(key, encodeRecord(record), revision)) === null) {
    throw new StoreUnavailable(`writing ${bucket}: somebody else wrote ${key} meanwhile`)
  }
}
