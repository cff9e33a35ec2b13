/**
 * Entries that must leave the guard's bucket: claims that came to nothing and connections that ended. Nobody waits for it.
 * What cannot be erased now is erased when the watch tells of it, as after a reconnect. Every connection ends, so that is not
 * acknowledged: the watch tells of it. What it does not tell of soon is erased once more, and asked about.
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
  /** The watch told that the key was erased. */
  gone(key: string): void
  /** Erases what was not told of for some time, and forgets what was not for long. By the monotonic clock. */
  sweep(nowMs: number): void
}

/** `value`: what must be there for it to go; null: whatever is. */
interface Leaving {
  value: Uint8Array | null
  since: number
  /** Whether the bucket answers for it. */
  asked: boolean
}

const leavingMax = 10_000
/** How long nats-server may be away. What is left then holds its place until its grant would have expired. */
const keptMs = 900_000
/** When an erasure that nobody answers for has come to nothing. */
const toldMsMax = 5_000

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
  function begin(key: string, value: Uint8Array | null, work: Promise<void>): void {
    if (leaving.size < leavingMax || leaving.has(key)) leaving.set(key, { value, since: performance.now(), asked: true })
    work.catch((cause: unknown) => onReport({ kind: 'guard_write_failed', bucket: bucket.name, key, cause }))
  }
  return {
    withdraw: (key, { value, revision }) => begin(key, value, revision === null ? eraseIfThere(key, value) : erase(key, revision)),
    end: (key) => {
      if (leaving.size >= leavingMax) return begin(key, null, erase(key, null))
      leaving.set(key, { value: null, since: performance.now(), asked: false })
      bucket.eraseUnasked(key)
    },
    isLeaving: (entry) => {
      const item = leaving.get(entry.key)
      if (item === undefined || !isThat(item.value, entry)) return false
      begin(entry.key, item.value, erase(entry.key, entry.revision))
      return true
    },
    gone: (key) => {
      // A claim may yet be written over what was erased; of a connection that ended nothing is.
      if (leaving.get(key)?.value === null) leaving.delete(key)
    },
    sweep: (nowMs) => {
      for (const [key, item] of leaving) {
        if (nowMs - item.since > keptMs) leaving.delete(key)
        else if (!item.asked && nowMs - item.since > toldMsMax) begin(key, null, erase(key, null))
      }
    },
  }
}

function isThat(value: Uint8Array | null, there: BucketEntry): boolean {
  return there.value !== null && (value === null || equalBytes(there.value, value))
}
