/**
 * Reads a bucket into a cache, once and in the background, and only one that fits. What changes while it reads is told by the
 * cache's own watch, so it reads what the leader had when the watch was there already, and nothing after. It asks for one record
 * after the other: what a consumer sends by itself would be ahead, on the connection, of what a verdict waits for.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { StoreUnavailable } from '../core/ports.ts'
import { bucketState, nextValue } from './bucket-scan.ts'
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
  /** Resolves when nobody's verdict waits for what the fill would be in the way of. Asked before each record. */
  giveWay(): Promise<void>
  onEntry(entry: BucketEntry): void
  onFilled(): void
  onTooLarge(): void
  onTrouble(cause: Error): void
}

/** How many records are on their way at once: that much, and no more, is ahead of anybody else's. */
const lanesMany = 2
const retryMs = 1_000
/** After that, who needs what is not there yet asks the leader. */
const waitMsMax = 3_000

export function fillFrom(options: CacheFillOptions): CacheFill {
  const { bucket, keys, keysMax, giveWay, onEntry, onFilled, onTooLarge, onTrouble } = options
  const { link, name } = bucket
  let over = false
  let tell = () => {}
  const ended = new Promise<void>((resolve) => {
    tell = resolve
  })
  const end = () => {
    over = true
    tell()
  }
  /** What `read` brings, however often it takes; null once the fill is over. */
  const patiently = async <T>(read: () => Promise<T>): Promise<T | null> => {
    while (!over) {
      try {
        return await read()
      } catch (cause) {
        if (over) return null
        onTrouble(cause instanceof Error ? cause : new Error(String(cause)))
        await delay(retryMs, undefined, { ref: false })
      }
    }
    return null
  }
  const nextOnLeader = async (from: number, to: number): Promise<BucketEntry | null> => {
    const next = await nextValue(link, name, from)
    if (next !== null || ((await bucketState(link, name))?.sequence ?? 0) >= to) return next
    // Another one leads by now, and has yet to catch up: what it lacks would be missing for good.
    throw new StoreUnavailable(`filling from ${name}: its leader is behind`)
  }
  const readLane = async (from: number, to: number): Promise<void> => {
    for (let revision = from; revision <= to; revision++) {
      await giveWay()
      const next = await patiently(() => nextOnLeader(revision, to))
      if (over || next === null || next.revision > to) return
      if (keys === '>' || !next.key.includes('.')) onEntry(next)
      revision = next.revision
    }
  }
  const begin = async (): Promise<void> => {
    const state = await patiently(async () => (await bucketState(link, name)) ?? Promise.reject(noBucket(name)))
    if (over || state === null) return
    if (state.records > keysMax) {
      onTooLarge()
      end()
      return
    }
    const { first, sequence } = state
    const size = Math.max(1, Math.ceil((sequence - first + 1) / lanesMany))
    const starts = Array.from({ length: lanesMany }, (_, lane) => Math.max(1, first) + lane * size)
    await Promise.all(starts.map((start) => readLane(start, Math.min(start + size - 1, sequence))))
    if (over) return
    onFilled()
    end()
  }
  begin().catch((cause: Error) => {
    onTrouble(cause)
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

function noBucket(name: string): StoreUnavailable {
  return new StoreUnavailable(`filling from ${name}: there is no such bucket`)
}
