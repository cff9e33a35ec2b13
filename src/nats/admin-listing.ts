/** Pages of records, in the order of their keys. */
import { StoreUnavailable } from '../core/ports.ts'
import { type Page, pageBytesMax } from './admin-protocol.ts'
import { watchBucket } from './bucket-watch.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'

export interface PageRequest {
  cursor: string | null
  limit: number
}

/** The page after `cursor`, cut where it would get too large for one message. */
export function pageOf<T, V>(
  entries: Iterable<[string, T]>,
  { cursor, limit }: PageRequest,
  view: (record: T) => V,
): Omit<Page<V>, 'complete'> {
  const { first, more } = firstAfter(entries, { cursor, limit })
  const items: V[] = []
  let bytes = 0
  for (const [i, [, record]] of first.entries()) {
    const item = view(record)
    bytes += Buffer.byteLength(JSON.stringify(item))
    if (bytes > pageBytesMax && i > 0) return { items, cursor: first[i - 1]?.[0] ?? null }
    items.push(item)
  }
  return { items, cursor: more ? (first[first.length - 1]?.[0] ?? null) : null }
}

/** The `limit` smallest keys after `cursor`, in one walk: sorting every record for each page would hold up verdicts. */
function firstAfter<T>(entries: Iterable<[string, T]>, { cursor, limit }: PageRequest): { first: [string, T][]; more: boolean } {
  let first: [string, T][] = []
  let more = false
  // Kept in order only now and then; in between at most as many again are waiting.
  const trim = () => {
    first.sort(([a], [b]) => (a < b ? -1 : 1))
    more ||= first.length > limit
    first = first.slice(0, limit)
  }
  let worst: string | null = null
  for (const entry of entries) {
    if (cursor !== null && entry[0] <= cursor) continue
    if (worst !== null && entry[0] > worst) {
      more = true
      continue
    }
    first.push(entry)
    if (first.length < limit * 2) continue
    trim()
    worst = first[first.length - 1]?.[0] ?? null
  }
  trim()
  return { first, more }
}

const scanMsMax = 5_000

/** Every value of a bucket that has no cache, as it was at one moment. Throws StoreUnavailable. */
export async function scanBucket(bucket: KvBucket): Promise<BucketEntry[]> {
  const entries = new Map<string, BucketEntry>()
  return new Promise((resolve, reject) => {
    // Begun before the timer: where it cannot begin, nothing is left behind that would end it later.
    const watch = watchBucket({
      bucket,
      keys: '*',
      from: 'start',
      sink: {
        began: () => entries.clear(),
        entry: (entry) => entries.set(entry.key, entry),
        caughtUp: () => finish(() => resolve([...entries.values()])),
      },
      onTrouble: () => {},
    })
    const timer = setTimeout(() => finish(() => reject(new StoreUnavailable(`listing ${bucket.name}`))), scanMsMax)
    const finish = (end: () => void) => {
      clearTimeout(timer)
      watch.stop()
      end()
    }
  })
}
