/**
 * Entries that must leave the guard's bucket: claims that came to nothing and connections that ended. Nobody waits for it.
 * What cannot be erased now is erased when the watch tells of it, as after a reconnect.
 */
import { equalBytes } from '../core/encoding.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'
import type { OnStoreReport } from './record-store.ts'

export interface GuardWithdrawals {
  /** A claim of this verifier, and its revision; null when it is not known whether it was written at all. */
  withdraw(key: string, claim: { value: Uint8Array; revision: number | null }): void
  /** The connection ended, whoever claimed it. */
  end(key: string): void
  /** The watch told of an entry: whether it is one of these, which goes now. */
  isLeaving(entry: BucketEntry): boolean
  /** Forgets what was not told of for long, by the monotonic clock. */
  sweep(nowMs: number): void
}

/** `value`: what must be there for it to go; null: whatever is. */
interface Leaving {
  value: Uint8Array | null
  since: number
}

const leavingMax = 10_000
/** How long nats-server may be away. What is left then holds its place until its grant would have expired. */
const keptMs = 900_000

export function createGuardWithdrawals(bucket: KvBucket, onReport: OnStoreReport): GuardWithdrawals {
  const leaving = new Map<string, Leaving>()

  async function erase(key: string, revision: number | null): Promise<void> {
    // False where somebody else wrote meanwhile: then it is theirs.
    await bucket.erase(key, revision)
    leaving.delete(key)
  }
  /** A claim whose answer was lost: it is there, or not, or still on its way. */
  async function eraseIfThere(key: string, value: Uint8Array): Promise<void> {
    const there = await bucket.find(key)
    if (there !== null && isThat(value, there)) await erase(key, there.revision)
  }
  function begin(key: string, value: Uint8Array | null, work: () => Promise<void>): void {
    if (leaving.size < leavingMax) leaving.set(key, { value, since: performance.now() })
    work().catch((cause: unknown) => onReport({ kind: 'guard_write_failed', bucket: bucket.name, key, cause }))
  }
  return {
    withdraw: (key, { value, revision }) => begin(key, value, () => (revision === null ? eraseIfThere(key, value) : erase(key, revision))),
    end: (key) => begin(key, null, () => erase(key, null)),
    isLeaving: (entry) => {
      const item = leaving.get(entry.key)
      if (item === undefined || !isThat(item.value, entry)) return false
      begin(entry.key, item.value, () => erase(entry.key, entry.revision))
      return true
    },
    sweep: (nowMs) => {
      for (const [key, { since }] of leaving) if (nowMs - since > keptMs) leaving.delete(key)
    },
  }
}

function isThat(value: Uint8Array | null, there: BucketEntry): boolean {
  return there.value !== null && (value === null || equalBytes(there.value, value))
}
