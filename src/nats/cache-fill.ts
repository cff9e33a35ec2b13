/**
 * Reads a bucket into a cache, once and in the background: slowly, so that verdicts go on meanwhile, and only one that fits.
 * What changes while it reads is told by the cache's own watch. In a cluster another replica may read to us than the one that
 * watches, and be behind: so it is not over before it told what the leader had when the watch was there already.
 */
import { StoreUnavailable } from '../core/ports.ts'
import { bucketState, newestRevision } from './bucket-scan.ts'
import { type BucketWatch, watchBucket } from './bucket-watch.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'

export interface CacheFill {
  /** Resolves when it is over, in whichever way, or has taken longer than a verifier that starts waits for it. */
  settled(): Promise<void>
  isOver(): boolean
  stop(): void
}

export interface CacheFillOptions {
  bucket: KvBucket
  keys: '*' | '>'
  /** A bucket with more keys is not read. */
  keysMax: number
  onEntry(entry: BucketEntry): void
  onFilled(): void
  onTooLarge(): void
  onTrouble(cause: Error): void
}

// Three caches are filled at once: some 10,000 records a second, which is a third of a core, and so leaves room for verdicts.
const bytesPerSecondMax = 2_000_000
/** After that, who needs what is not there yet asks the leader. */
const waitMsMax = 3_000

export function fillFrom(options: CacheFillOptions): CacheFill {
  const { bucket, keys, keysMax, onEntry, onFilled, onTooLarge, onTrouble } = options
  let watch: BucketWatch | null = null
  let over = false
  let toldUpTo = 0
  let caughtUp = false
  let tell = () => {}
  const ended = new Promise<void>((resolve) => {
    tell = resolve
  })
  const end = () => {
    over = true
    watch?.stop()
    tell()
  }
  const begin = async () => {
    const [state, newest] = await Promise.all([bucketState(bucket.link, bucket.name), newestRevision(bucket.link, bucket.name, keys)])
    if (over) return
    if (state === null) throw new StoreUnavailable(`filling from ${bucket.name}: there is no such bucket`)
    if (state.records > keysMax) {
      onTooLarge()
      end()
      return
    }
    const endIfAll = () => {
      if (over || !caughtUp || toldUpTo < newest) return
      onFilled()
      end()
    }
    watch = watchBucket({
      bucket,
      keys,
      from: 'start',
      bytesPerSecondMax,
      sink: {
        began: () => {
          caughtUp = false
          toldUpTo = 0
        },
        entry: (entry) => {
          onEntry(entry)
          toldUpTo = Math.max(toldUpTo, entry.revision)
          endIfAll()
        },
        caughtUp: () => {
          caughtUp = true
          endIfAll()
        },
      },
      onTrouble,
    })
    if (over) watch.stop()
  }
  // Not filled, the cache is a cache all the same: the watch begins anew at the next trouble, and the fill with it.
  begin().catch((cause: Error) => {
    if (!over) onTrouble(cause)
    end()
  })
  return {
    settled: async () => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMsMax)
      })
      await Promise.race([ended, late])
      clearTimeout(timer)
    },
    isOver: () => over,
    stop: end,
  }
}
