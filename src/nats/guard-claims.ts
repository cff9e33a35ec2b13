/** Claiming a connection in the guard's bucket, by compare-and-set on its key (ADR-0015). */
import { equalBytes } from '../core/encoding.ts'
import { guardEnd } from '../core/guard-entry.ts'
import { type Claim, type GuardPort, StoreUnavailable } from '../core/ports.ts'
import type { GuardEntry, Stored } from '../core/records.ts'
import type { GuardIndex } from './guard-index.ts'
import type { GuardOrder } from './guard-order.ts'
import type { GuardWithdrawals } from './guard-withdrawals.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'
import { decodeRecord, encodeRecord, guardSchema } from './records-schema.ts'

/** How often a claim is tried while what is there keeps changing. */
const claimsMax = 5

export interface GuardClaims {
  claim: GuardPort['claim']
  /** The entry that is being claimed here, where the watch tells of it before the answer that says so. */
  ownEntry(key: string, value: Uint8Array): GuardEntry | null
}

export interface GuardParts {
  bucket: KvBucket
  index: GuardIndex
  order: GuardOrder
  withdrawals: GuardWithdrawals
}

export function createGuardClaims(parts: GuardParts): GuardClaims {
  const { bucket } = parts
  const writing: Writing['writing'] = new Map()
  const guard = { ...parts, writing }
  const claim: GuardPort['claim'] = async (key, entry) => {
    let revision = 0
    for (let attempt = 0; attempt < claimsMax; attempt++) {
      const ours = await write(key, entry, { ...guard, revision })
      if (ours !== null) return ours
      const there = await bucket.find(key)
      const earlier = entryOf(there, bucket.name)
      revision = there?.revision ?? 0
      if (earlier !== null && guardEnd(earlier) * 1000 > Date.now()) {
        learn(key, { record: earlier, revision }, parts)
        return { earlier, withdraw: () => {}, isAmong: async () => true }
      }
      // It ended, was withdrawn or is over: the key is free, at the revision of what is left of it.
    }
    throw new StoreUnavailable(`claiming in ${bucket.name}: what is there keeps changing`)
  }
  return {
    claim,
    ownEntry: (key, value) => {
      const own = writing.get(key)
      return own !== undefined && equalBytes(own.value, value) ? own.entry : null
    },
  }
}

interface Writing extends GuardParts {
  /** What is on its way to the bucket, by its key. */
  writing: Map<string, { entry: GuardEntry; value: Uint8Array }>
  revision: number
}

/** What the bucket answered is old where the watch has told of it: that may have told of its end, too. */
function learn(key: string, stored: Stored<GuardEntry>, { index, order }: GuardParts): void {
  if (!order.hasTold(stored.revision) && stored.revision > index.revisionOf(key)) index.put(key, stored, Date.now())
}

/** Null when somebody else was first. When the answer is lost, nobody may count on what was perhaps written. */
async function write(key: string, entry: GuardEntry, { revision, writing, ...parts }: Writing): Promise<Claim | null> {
  const { bucket, index, order, withdrawals } = parts
  const value = encodeRecord(entry)
  const withdraw = (written: number | null) => {
    const known = index.get(key)
    if (known !== null && equalBytes(encodeRecord(known), value)) index.remove(key)
    withdrawals.withdraw(key, { value, revision: written })
  }
  writing.set(key, { entry, value })
  try {
    const written = await bucket.write(key, value, revision)
    if (written === null) return null
    learn(key, { record: entry, revision: written }, parts)
    return {
      earlier: null,
      withdraw: () => withdraw(written),
      isAmong: async (max) => {
        await order.reached(written)
        // A legacy user's connection is no identity's.
        return !('handle' in entry) || index.countOf(entry.handle, Date.now(), written) < max
      },
    }
  } catch (cause) {
    withdraw(null)
    throw cause
  } finally {
    writing.delete(key)
  }
}

/** The entry, or null where there is none; StoreUnavailable where the value is no entry: nobody is admitted by it. */
export function entryOf(there: BucketEntry | null, bucket: string): GuardEntry | null {
  if (there === null || there.value === null) return null
  try {
    return decodeRecord(there.value, guardSchema)
  } catch (cause) {
    throw new StoreUnavailable(`reading ${bucket}: undecodable`, { cause })
  }
}
