/**
 * Reads the trail, oldest first, both streams merged by time. It asks for one record after the other and makes no
 * consumer, so an auditor needs no right beyond reading.
 */
import { type JetStreamManager, type NatsConnection, NatsError, type StoredMsg } from 'nats'
import { AUDIT_STREAMS, type AuditStreamName } from '../core/audit-streams.ts'
import { pause, systemClock } from './clock.ts'
import { STREAM_AREAS } from './stream.ts'

export interface TailOptions {
  /** What follows `audit.webauthn.` in the subject, with NATS wildcards: `>`, `connection.denied.>`, `*.denied.>`. */
  filter: string
  since: Date | null
  /** Goes on waiting for records when the last one was read. */
  follow: boolean
  signal?: AbortSignal
}

export interface TrailEntry {
  stream: AuditStreamName
  sequence: number
  subject: string
  storedAt: Date
  /** CloudEvents `ce-id`: a record that was stored twice has the same. */
  id: string
  /** The record's JSON, as stored. */
  body: string
}

const pollIntervalMs = 250

/** The records that match, each once it can be read. Throws when the streams cannot be read, or the filter is none. */
export async function* tailTrail(connection: NatsConnection, options: TailOptions): AsyncGenerator<TrailEntry> {
  const manager = await connection.jetstreamManager({ checkAPI: false })
  const heads: { cursor: Cursor; entry: TrailEntry | null }[] = []
  for (const stream of streamsOf(options.filter)) {
    heads.push({ cursor: await openCursor(manager, stream, options), entry: null })
  }
  while (options.signal?.aborted !== true) {
    await Promise.all(
      heads.map(async (head) => {
        head.entry ??= await head.cursor.next()
      }),
    )
    const [first] = heads.filter(hasEntry).sort((a, b) => a.entry.storedAt.getTime() - b.entry.storedAt.getTime())
    if (first !== undefined) {
      yield first.entry
      Object.assign(first, { entry: null })
    } else if (options.follow) {
      await pause({ ...systemClock, after: keepAlive }, pollIntervalMs)
    } else return
  }
}

function hasEntry(head: { cursor: Cursor; entry: TrailEntry | null }): head is { cursor: Cursor; entry: TrailEntry } {
  return head.entry !== null
}

// A tail that follows is what its process is for.
function keepAlive(ms: number, then: () => void): () => void {
  const timer = setTimeout(then, ms)
  return () => clearTimeout(timer)
}

/** The streams in which a subject can match the filter. */
export function streamsOf(filter: string): AuditStreamName[] {
  if (!/^([a-z_]+|\*)(\.([a-z_]+|\*))*(\.>)?$|^>$/.test(filter)) throw new Error(`reading the filter ${JSON.stringify(filter)}`)
  const area = filter.split('.')[0] as string
  return Object.values(AUDIT_STREAMS).filter(
    (stream) => area === '*' || area === '>' || STREAM_AREAS[stream].some((known) => known === area),
  )
}

interface Cursor {
  next(): Promise<TrailEntry | null>
}

async function openCursor(manager: JetStreamManager, stream: AuditStreamName, { filter, since }: TailOptions): Promise<Cursor> {
  let sequence = since === null ? 1 : await firstSince(manager, stream, since)
  return {
    async next() {
      const message = await getMessage(manager, stream, { seq: sequence, next_by_subj: `audit.webauthn.${filter}` })
      if (message === null) return null
      sequence = message.seq + 1
      return {
        stream,
        sequence: message.seq,
        subject: message.subject,
        storedAt: message.time,
        id: message.header.get('ce-id'),
        body: message.string(),
      }
    },
  }
}

/** Sequence of the first record stored at `since` or later, by halving: nats-server 2.10 cannot look up a time. */
async function firstSince(manager: JetStreamManager, stream: AuditStreamName, since: Date): Promise<number> {
  const { state } = await manager.streams.info(stream)
  let low = state.first_seq
  let high = state.last_seq + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const message = await getMessage(manager, stream, { seq: middle, next_by_subj: '>' })
    if (message === null || message.time >= since) high = middle
    else low = message.seq + 1
  }
  return Math.max(low, 1)
}

async function getMessage(
  manager: JetStreamManager,
  stream: AuditStreamName,
  query: { seq: number; next_by_subj: string },
): Promise<StoredMsg | null> {
  try {
    return await manager.streams.getMessage(stream, query)
  } catch (cause) {
    if (cause instanceof NatsError && cause.api_error?.code === 404 && cause.api_error.err_code !== streamNotFound) return null
    throw new Error(`reading ${stream}`, { cause })
  }
}

const streamNotFound = 10059
