/** Claiming a connection in the guard's bucket, by compare-and-set on its key (ADR-0015). */
import { equalBytes } from '../core/encoding.ts'
import { guardEnd } from '../core/guard-entry.ts'
import { type Claim, type GuardPort, StoreUnavailable } from '../core/ports.ts'
import type { GuardEntry } from '../core/records.ts'
import type { GuardIndex } from './guard-index.ts'
import type { GuardWithdrawals } from './guard-withdrawals.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'
import { decodeRecord, encodeRecord, guardSchema } from './records-schema.ts'

/** How often a claim is tried while what is there keeps changing. */
const claimsMax = 5

export interface GuardClaims {
  claim: GuardPort['claim']
  /** Whether the watch tells of what is being claimed here, before the answer that says so. */
  isOwn(key: string, value: Uint8Array): boolean
}

export function createGuardClaims(deps: { bucket: KvBucket; index: GuardIndex; withdrawals: GuardWithdrawals }): GuardClaims {
  const { bucket, index } = deps
  const writing = new Map<string, Uint8Array>()
  const guard = { ...deps, writing }
  const claim: GuardPort['claim'] = async (key, entry) => {
    let revision = 0
    for (let attempt = 0; attempt < claimsMax; attempt++) {
      const ours = await write(key, entry, { ...guard, revision })
      if (ours !== null) return ours
      const there = await bucket.find(key)
      const earlier = entryOf(there, bucket.name)
      if (earlier !== null && guardEnd(earlier) * 1000 > Date.now()) {
        index.put(key, earlier, Date.now())
        return { earlier, withdraw: () => {} }
      }
      // It ended, was withdrawn or is over: the key is free, at the revision of what is left of it.
      revision = there?.revision ?? 0
    }
    throw new StoreUnavailable(`claiming in ${bucket.name}: what is there keeps changing`)
  }
  return {
    claim,
    isOwn: (key, value) => {
      const own = writing.get(key)
      return own !== undefined && equalBytes(own, value)
    },
  }
}

interface Writing {
  bucket: KvBucket
  index: GuardIndex
  withdrawals: GuardWithdrawals
  /** What is on its way to the bucket, by its key. */
  writing: Map<string, Uint8Array>
  revision: number
}

/** Null when somebody else was first. When the answer is lost, nobody may count on what was perhaps written. */
async function write(key: string, entry: GuardEntry, { bucket, index, withdrawals, writing, revision }: Writing): Promise<Claim | null> {
  const value = encodeRecord(entry)
  const withdraw = (written: number | null) => {
    const known = index.get(key)
    if (known !== null && equalBytes(encodeRecord(known), value)) index.remove(key)
    withdrawals.withdraw(key, { value, revision: written })
  }
  writing.set(key, value)
  try {
    const written = await bucket.write(key, value, revision)
    if (written === null) return null
    index.put(key, entry, Date.now())
    return { earlier: null, withdraw: () => withdraw(written) }
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
