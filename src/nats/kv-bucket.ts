/**
 * One KV bucket, by the layout that every NATS client understands: stream `KV_<bucket>`, subject `$KV.<bucket>.<key>`.
 * nats.js has a KV of its own, but reads through any replica where it may; verdicts rest on the leader.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { headers, type MsgHdrs } from 'nats'
import { z } from 'zod'
import { StoreUnavailable } from '../core/ports.ts'
import type { Link } from './connection.ts'
import { askForSetup, askJetStream } from './jetstream.ts'

export interface BucketSettings {
  name: string
  /** What the stream's description says. */
  description: string
  replicas: number
  bytesMax: number
  /** Only collects what is long over; what is in force is in the value. 0: never. */
  ageSecondsMax: number
  /** When full: refuse new records, or forget the oldest. */
  whenFull: 'refuse' | 'forget_oldest'
}

/** A setting of the live stream that is not what we would have made. */
export interface BucketDifference {
  bucket: string
  setting: string
  wanted: string
  live: string
}

/** A value as the leader, or the watch, has it. `value` is null where the key was deleted. */
export interface BucketEntry {
  key: string
  revision: number
  value: Uint8Array | null
}

export interface KvBucket {
  readonly name: string
  readonly link: Link
  /** The leader's value, or null when the key was never written. */
  find(key: string): Promise<BucketEntry | null>
  /**
   * Writes if the key is still at `revision` (0: was never written, not even deleted since). The new revision, or null
   * when somebody else was first.
   */
  write(key: string, value: Uint8Array, revision: number): Promise<number | null>
  /** Marks the key as deleted if it is still at `revision`; null: whatever is there. False when somebody else was first. */
  erase(key: string, revision: number | null): Promise<boolean>
  /** Marks the key as deleted, whatever is there, if nats-server can be reached: whether it came to pass, a watch tells. */
  eraseUnasked(key: string): void
}

const valueBytesMax = 65_536
const NANOS_PER_SECOND = 1_000_000_000

// JetStream error numbers (nats-server server/errors.json).
const STREAM_NOT_FOUND = 10_059
const STREAM_EXISTS = 10_058
const MESSAGE_NOT_FOUND = 10_037
const WRONG_SEQUENCE = 10_071
// Since 2.12: the stream's leader still has another write to this key in flight, which may yet come to nothing.
const WRITE_IN_FLIGHT = 10_164
/** How often a write is tried that meets another in flight; before attempt n + 1 it waits n milliseconds, so for 435 in all. */
const attemptsMax = 30

export function streamOf(bucket: string): string {
  return `KV_${bucket}`
}

export function subjectOf(bucket: string, key: string): string {
  return `$KV.${bucket}.${key}`
}

/** Makes the bucket if it is not there. What differs in one that is there is told, never changed. */
export async function openBucket(link: Link, settings: BucketSettings): Promise<{ bucket: KvBucket; differences: BucketDifference[] }> {
  const wanted = streamConfig(settings)
  const live = (await liveConfig(link, settings.name)) ?? (await createStream(link, settings.name, wanted))
  return { bucket: kvBucket(link, settings.name), differences: differencesOf(settings.name, wanted, live) }
}

function streamConfig(settings: BucketSettings) {
  return {
    name: streamOf(settings.name),
    description: settings.description,
    subjects: [subjectOf(settings.name, '>')],
    retention: 'limits',
    storage: 'file',
    num_replicas: settings.replicas,
    max_msgs_per_subject: 1,
    max_msgs: -1,
    max_bytes: settings.bytesMax,
    max_msg_size: valueBytesMax,
    max_consumers: -1,
    max_age: settings.ageSecondsMax * NANOS_PER_SECOND,
    discard: settings.whenFull === 'refuse' ? 'new' : 'old',
    // A replica may lag; a revoked credential must not come back through one.
    allow_direct: false,
    mirror_direct: false,
    // Nobody may erase a tombstone: neither a message by its number, nor a subject's past.
    deny_delete: true,
    deny_purge: true,
    allow_rollup_hdrs: false,
  }
}

type StreamConfig = ReturnType<typeof streamConfig>

const liveSchema = z.looseObject({ config: z.record(z.string(), z.unknown()) })

async function liveConfig(link: Link, bucket: string): Promise<Record<string, unknown> | null> {
  const subject = `$JS.API.STREAM.INFO.${streamOf(bucket)}`
  const answer = await askForSetup(link, subject, {})
  if (!answer.ok && answer.code === STREAM_NOT_FOUND) return null
  if (!answer.ok) throw new StoreUnavailable(`asking ${subject}: ${answer.description}`)
  return liveSchema.parse(answer.value).config
}

async function createStream(link: Link, bucket: string, wanted: StreamConfig): Promise<Record<string, unknown>> {
  const subject = `$JS.API.STREAM.CREATE.${streamOf(bucket)}`
  const answer = await askForSetup(link, subject, wanted)
  if (answer.ok) return liveSchema.parse(answer.value).config
  // Another verifier was first, with other settings.
  const live = answer.code === STREAM_EXISTS ? await liveConfig(link, bucket) : null
  if (live === null) throw new StoreUnavailable(`making the bucket ${bucket}: ${answer.description}`)
  return live
}

/** What a server leaves out of a stream's settings is the zero value. */
function differencesOf(bucket: string, wanted: StreamConfig, live: Record<string, unknown>): BucketDifference[] {
  const differences: BucketDifference[] = []
  for (const [setting, value] of Object.entries(wanted)) {
    if (setting === 'description') continue
    const zero = typeof value === 'boolean' ? false : typeof value === 'number' ? 0 : ''
    const there = live[setting] ?? zero
    if (JSON.stringify(there) === JSON.stringify(value)) continue
    // More replicas or more room than asked for is not weaker.
    const atLeast = setting === 'num_replicas' || setting === 'max_bytes'
    if (atLeast && typeof there === 'number' && (there >= Number(value) || there === -1)) continue
    differences.push({ bucket, setting, wanted: JSON.stringify(value), live: JSON.stringify(there) })
  }
  return differences
}

const storedSchema = z.looseObject({
  message: z.looseObject({ seq: z.number().int().positive(), data: z.string().default(''), hdrs: z.string().default('') }),
})
const writtenSchema = z.looseObject({ seq: z.number().int().positive() })

const NOTHING = new Uint8Array(0)
const DELETED = headers()
DELETED.set('KV-Operation', 'DEL')

function kvBucket(link: Link, name: string): KvBucket {
  const readSubject = `$JS.API.STREAM.MSG.GET.${streamOf(name)}`
  return {
    name,
    link,
    find: async (key) => {
      const answer = await askJetStream(link, readSubject, { last_by_subj: subjectOf(name, key) })
      if (!answer.ok && answer.code === MESSAGE_NOT_FOUND) return null
      if (!answer.ok) throw new StoreUnavailable(`reading ${name}: ${answer.description}`)
      const stored = storedSchema.safeParse(answer.value)
      if (!stored.success) throw new StoreUnavailable(`reading ${name}`, { cause: stored.error })
      const { seq, data, hdrs } = stored.data.message
      const deleted = hdrs !== '' && /^KV-Operation:/im.test(Buffer.from(hdrs, 'base64').toString('latin1'))
      return { key, revision: seq, value: deleted ? null : Buffer.from(data, 'base64') }
    },
    write: async (key, value, revision) => {
      if (value.length > valueBytesMax) throw new Error(`writing ${name}: the value has ${value.length} bytes`)
      return put(key, value, expecting(revision))
    },
    erase: async (key, revision) => {
      const head = revision === null ? headers() : expecting(revision)
      head.set('KV-Operation', 'DEL')
      return (await put(key, NOTHING, head)) !== null
    },
    eraseUnasked: (key) => {
      // nats.js would keep it until there is a connection again, however many there are by then.
      if (link.isConnected()) link.nats.publish(subjectOf(name, key), NOTHING, { headers: DELETED })
    },
  }

  async function put(key: string, value: Uint8Array, head: MsgHdrs): Promise<number | null> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const answer = await askJetStream(link, subjectOf(name, key), value, head)
      if (answer.ok) return sequenceOf(answer.value)
      if (answer.code === WRONG_SEQUENCE) return null
      if (answer.code !== WRITE_IN_FLIGHT) throw new StoreUnavailable(`writing ${name}: ${answer.description}`)
      await delay(attempt)
    }
    throw new StoreUnavailable(`writing ${name}: another write to the key does not end`)
  }

  function sequenceOf(answer: unknown): number {
    const written = writtenSchema.safeParse(answer)
    if (!written.success) throw new StoreUnavailable(`writing ${name}`, { cause: written.error })
    return written.data.seq
  }
}

function expecting(revision: number): MsgHdrs {
  const head = headers()
  head.set('Nats-Expected-Last-Subject-Sequence', String(revision))
  return head
}
