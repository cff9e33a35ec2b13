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

/** The revision of the newest of these keys, as the leader has it; 0 where there is none. Throws StoreUnavailable. */
export async function newestRevision(link: Link, bucket: string, keys: '*' | '>'): Promise<number> {
  const answer = await askForSetup(link, `$JS.API.STREAM.MSG.GET.${streamOf(bucket)}`, { last_by_subj: subjectOf(bucket, keys) })
  if (!answer.ok && answer.code === MESSAGE_NOT_FOUND) return 0
  const stored = answer.ok ? storedSchema.safeParse(answer.value) : null
  if (stored?.success !== true) throw new StoreUnavailable(`asking about ${bucket}`)
  return stored.data.message.seq
}

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
  const prefix = subjectOf(bucket, '')
  for (let seq = Math.max(1, from); seq <= to; ) {
    const answer = await askForSetup(link, `$JS.API.STREAM.MSG.GET.${streamOf(bucket)}`, { seq, next_by_subj: `${prefix}>` })
    if (!answer.ok && answer.code === MESSAGE_NOT_FOUND) return
    const stored = answer.ok ? storedSchema.safeParse(answer.value) : null
    if (stored?.success !== true) throw new StoreUnavailable(`reading ${bucket}`)
    const { message } = stored.data
    if (message.seq > to) return
    seq = message.seq + 1
    const deleted = /^KV-Operation:/im.test(Buffer.from(message.hdrs, 'base64').toString('latin1'))
    each({
      key: message.subject.slice(prefix.length),
      revision: message.seq,
      value: deleted ? null : Buffer.from(message.data, 'base64'),
    })
  }
}
