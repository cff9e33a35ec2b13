/**
 * Reads back from the trail what a restore must not undo (src/core/backup/facts.ts). As the auditor, record by record, so no
 * consumer is made.
 */
import { type JetStreamManager, type NatsConnection, NatsError, type StoredMsg, type StreamState } from 'nats'
import { AUDIT_STREAMS } from '../core/audit-streams.ts'
import type { AuditFact } from '../core/backup/facts.ts'
import { readFact } from './fact-record.ts'

/** Where in the trail a backup was made. */
export interface TrailPosition {
  stream: string
  sequence: number
  /** RFC 3339, as the server has it. */
  storedAt: string
}

/** `replaced`: the stream is not the one of then. `trimmed`: records of the time since are gone. `unreadable`: some make no sense. */
export type TrailGap = 'replaced' | 'trimmed' | 'unreadable'

export interface TrailFacts {
  facts: AuditFact[]
  gap: TrailGap | null
  /** How many records were read. */
  records: number
}

// Subjects that hold facts.
const FILTERS = [
  'credential.succeeded.>',
  'session.succeeded.revoked',
  'identity.succeeded.>',
  'connection.denied.sign_count_regression',
  'connection.reported.sign_count_regression',
  'connection.granted.proof',
  'connection.granted.proof_endorsing',
] as const

/**
 * A record comes before its effect, so a record from before the backup may be of something that the backup does not hold
 * yet. No request lives this long.
 */
const overlapMs = 3_600_000
const lanes = 8
const NO_MESSAGE = 10_037
const NO_STREAM = 10_059

/** The last record of the trail, as the verifier may ask for it. Throws when there is none. */
export async function trailPosition(connection: NatsConnection): Promise<TrailPosition> {
  const manager = await connection.jetstreamManager({ checkAPI: false })
  const stream = AUDIT_STREAMS.audit
  const { state } = await manager.streams.info(stream)
  if (state.last_seq === 0) throw new Error(`reading ${stream}: it holds no record yet`)
  return { stream, sequence: state.last_seq, storedAt: String(state.last_ts) }
}

/** Everything since `position` that a restore has to know, in the order of the trail. Throws when the trail cannot be read. */
export async function factsSince(connection: NatsConnection, position: TrailPosition): Promise<TrailFacts> {
  const manager = await connection.jetstreamManager({ checkAPI: false })
  const state = await stateOf(manager, position.stream)
  if (state === null) return { facts: [], gap: 'replaced', records: 0 }
  const then = await getMessage(manager, position.stream, { seq: position.sequence })
  if (then === null || new Date(then.timestamp).getTime() !== new Date(position.storedAt).getTime()) {
    const gap = then === null && position.sequence < state.first_seq ? 'trimmed' : 'replaced'
    return { facts: [], gap, records: 0 }
  }
  const from = await firstSince(manager, position, then.time.getTime() - overlapMs, state.first_seq)
  const trimmed = from.sequence === state.first_seq && state.first_seq > 1 && from.isLater
  const read: { sequence: number; fact: AuditFact }[] = []
  let [records, unreadable] = [0, 0]
  for (const filter of FILTERS) {
    await scan(manager, { stream: position.stream, filter, from: from.sequence, to: state.last_seq }, (message) => {
      records++
      const facts = readFact(message.subject, message.string())
      if (facts === null) unreadable++
      else for (const fact of facts) read.push({ sequence: message.seq, fact })
    })
  }
  read.sort((one, other) => one.sequence - other.sequence)
  return { facts: read.map(({ fact }) => fact), gap: unreadable > 0 ? 'unreadable' : trimmed ? 'trimmed' : null, records }
}

async function stateOf(manager: JetStreamManager, stream: string): Promise<StreamState | null> {
  try {
    return (await manager.streams.info(stream)).state
  } catch (cause) {
    if (cause instanceof NatsError && cause.api_error?.err_code === NO_STREAM) return null
    throw new Error(`reading ${stream}`, { cause })
  }
}

async function scan(
  manager: JetStreamManager,
  { stream, filter, from, to }: { stream: string; filter: string; from: number; to: number },
  each: (message: StoredMsg) => void,
): Promise<void> {
  const size = Math.max(1, Math.ceil((to - from + 1) / lanes))
  const starts = Array.from({ length: lanes }, (_, lane) => from + lane * size).filter((start) => start <= to)
  await Promise.all(
    starts.map(async (start) => {
      const end = Math.min(start + size - 1, to)
      for (let seq = start; seq <= end; ) {
        const message = await getMessage(manager, stream, { seq, next_by_subj: `audit.webauthn.${filter}` })
        if (message === null || message.seq > end) return
        each(message)
        seq = message.seq + 1
      }
    }),
  )
}

/** The first record that was stored at `sinceMs` or later, by halving; `isLater`: none before it is there any more. */
async function firstSince(
  manager: JetStreamManager,
  { stream, sequence }: TrailPosition,
  sinceMs: number,
  first: number,
): Promise<{ sequence: number; isLater: boolean }> {
  let low = first
  let high = sequence
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const message = await getMessage(manager, stream, { seq: middle, next_by_subj: '>' })
    if (message === null || message.time.getTime() >= sinceMs) high = middle
    else low = message.seq + 1
  }
  const oldest = await getMessage(manager, stream, { seq: first, next_by_subj: '>' })
  return { sequence: Math.max(low, 1), isLater: oldest === null || oldest.time.getTime() >= sinceMs }
}

async function getMessage(
  manager: JetStreamManager,
  stream: string,
  query: { seq: number; next_by_subj?: string },
): Promise<StoredMsg | null> {
  try {
    return await manager.streams.getMessage(stream, query)
  } catch (cause) {
    if (cause instanceof NatsError && cause.api_error?.err_code === NO_MESSAGE) return null
    throw new Error(`reading ${stream}`, { cause })
  }
}
