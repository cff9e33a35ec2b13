/** Tells the other verifiers what the guard remembers: nobody waits for it, and what failed is offered again. */
import { headers } from 'nats'
import { utf8 } from '../core/encoding.ts'
import { StoreUnavailable } from '../core/ports.ts'
import type { GuardEntry } from '../core/records.ts'
import { askJetStream } from './jetstream.ts'
import { type KvBucket, subjectOf } from './kv-bucket.ts'
import type { OnStoreReport } from './record-store.ts'
import { encodeRecord } from './records-schema.ts'

export interface GuardSharing {
  share(key: string, entry: GuardEntry): void
  withdraw(key: string): void
  /** Offers again what the bucket did not take: `find` says what is still remembered. */
  again(find: (key: string) => GuardEntry | null): void
}

const unsharedMax = 10_000

export function createGuardSharing(bucket: KvBucket, onReport: OnStoreReport): GuardSharing {
  const unshared = new Set<string>()
  const write = async (key: string, value: Uint8Array, deleted: boolean) => {
    const header = headers()
    if (deleted) header.set('KV-Operation', 'DEL')
    try {
      const answer = await askJetStream(bucket.link, subjectOf(bucket.name, key), value, deleted ? header : undefined)
      if (!answer.ok) throw new StoreUnavailable(`writing ${bucket.name}: ${answer.description}`)
    } catch (cause) {
      if (!deleted && unshared.size < unsharedMax) unshared.add(key)
      onReport({ kind: 'guard_write_failed', bucket: bucket.name, key, cause })
    }
  }
  return {
    share: (key, entry) => void write(key, encodeRecord(entry), false),
    withdraw: (key) => void write(key, utf8(''), true),
    again: (find) => {
      const keys = [...unshared]
      unshared.clear()
      for (const key of keys) {
        const entry = find(key)
        if (entry !== null) void write(key, encodeRecord(entry), false)
      }
    },
  }
}
