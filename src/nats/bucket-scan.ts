/**
 * Every value of a bucket, asked of the leader one after the other: it needs no consumer, so no right beyond reading keys, and
 * what is written meanwhile is met again at the end.
 */
import { z } from 'zod'
import { StoreUnavailable } from '../core/ports.ts'
import type { Link } from './connection.ts'
import { askForSetup } from './jetstream.ts'
import { type BucketEntry, streamOf, subjectOf } from './kv-bucket.ts'

/** A bucket's stream at one moment. */
export interface BucketState {
  bucket: string
  /** RFC 3339. */
  createdAt: string
  /** The bucket's revision: the sequence of its last write. */
  sequence: number
  first: number
  records: number
}

const STREAM_NOT_FOUND = 10_059
const MESSAGE_NOT_FOUND = 10_037
// How many reads wait for the leader at once.
const lanes = 16

const infoSchema = z.looseObject({
  created: z.string(),
  state: z.looseObject({ messages: z.int().nonnegative(), first_seq: z.int().nonnegative(), last_seq: z.int().nonnegative() }),
})

/** Null when there is no such bucket. Throws StoreUnavailable. */
export async function bucketState(link: Link, bucket: string): Promise<BucketState | null> {
  const answer = await askForSetup(link, `$JS.API.STREAM.INFO.${streamOf(bucket)}`, {})
  if (!answer.ok && answer.code === STREAM_NOT_FOUND) return null
  const info = answer.ok ? infoSchema.safeParse(answer.value) : null
  if (info?.success !== true) throw new StoreUnavailable(`asking about ${bucket}`)
  const { created, state } = info.data
  return { bucket, createdAt: created, sequence: state.last_seq, first: state.first_seq, records: state.messages }
}

const storedSchema = z.looseObject({
  message: z.looseObject({ subject: z.string(), seq: z.int().positive(), data: z.string().default(''), hdrs: z.string().default('') }),
})

/** Hands every value to `each`; a key that is written meanwhile comes again, with a higher revision. Throws StoreUnavailable. */
export async function scanValues(link: Link, state: BucketState, each: (entry: BucketEntry) => void): Promise<void> {
  const { bucket, first, sequence } = state
  const size = Math.max(1, Math.ceil((sequence - first + 1) / lanes))
  const starts = Array.from({ length: lanes }, (_, lane) => first + lane * size).filter((start) => start <= sequence)
  await Promise.all(starts.map((start) => scanLane(link, { bucket, from: start, to: Math.min(start + size - 1, sequence) }, each)))
  await scanLane(link, { bucket, from: sequence + 1, to: Number.POSITIVE_INFINITY }, each)
}

async function scanLane(
  link: Link,
  { bucket, from, to }: { bucket: string; from: number; to: number },
  each: (entry: BucketEntry) => void,
): Promise<void> {
  for (let revision = Math.max(1, from); revision <= to; revision++) {
    const next = await nextValue(link, bucket, revision)
    if (next === null || next.revision > to) return
    each(next)
    revision = next.revision
  }
}

/** The first value whose revision is `from` or higher, as the leader has it; null where there is none. Throws StoreUnavailable. */
export async function nextValue(link: Link, bucket: string, from: number): Promise<BucketEntry | null> {
  const prefix = subjectOf(bucket, '')
  const answer = await askForSetup(link, `$JS.API.STREAM.MSG.GET.${streamOf(bucket)}`, { seq: from, next_by_subj: `${prefix}>` })
  if (!answer.ok && answer.code === MESSAGE_NOT_FOUND) return null
  const stored = answer.ok ? storedSchema.safeParse(answer.value) : null
  if (stored?.success !== true) throw new StoreUnavailable(`reading ${bucket}`)
  const { subject, seq, data, hdrs } = stored.data.message
  const deleted = /^KV-Operation:/im.test(Buffer.from(hdrs, 'base64').toString('latin1'))
  return { key: subject.slice(prefix.length), revision: seq, value: deleted ? null : Buffer.from(data, 'base64') }
}
