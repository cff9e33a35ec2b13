/** A bucket as records: JSON, decoded strictly, each read from the leader and each write a compare-and-set. */
import type { z } from 'zod'
import { type RecordPort, StoreUnavailable } from '../core/ports.ts'
import type { KvBucket } from './kv-bucket.ts'
import { decodeRecord, encodeRecord } from './records-schema.ts'

/** What the stores tell the log and the metrics. Keys are hashes, handles and public keys: no secrets. */
export interface StoreReport {
  kind: 'undecodable' | 'watch_restarted' | 'guard_write_failed'
  bucket: string
  key: string | null
  cause: unknown
}
export type OnStoreReport = (report: StoreReport) => void

/** The port over `bucket`. A value that cannot be decoded is a failure of that key: nobody is admitted by it. */
export function recordStore<T extends object>(bucket: KvBucket, schema: z.ZodType<T>, onReport: OnStoreReport): RecordPort<T> {
  return {
    find: async (key) => {
      const entry = await bucket.find(key)
      if (entry === null || entry.value === null) return null
      try {
        return { record: decodeRecord(entry.value, schema), revision: entry.revision }
      } catch (cause) {
        onReport({ kind: 'undecodable', bucket: bucket.name, key, cause })
        throw new StoreUnavailable(`reading ${bucket.name}: undecodable`, { cause })
      }
    },
    create: async (key, record) => (await bucket.write(key, encodeRecord(record), 0)) !== null,
    replace: async (key, stored, next) => (await bucket.write(key, encodeRecord(next), stored.revision)) !== null,
  }
}
