/** Where records go: JetStream, one publish and one acknowledgement each. */
import { Events, headers, type Msg, type MsgHdrs, type NatsConnection } from 'nats'
import type { AuditRecord } from './audit-record.ts'

export interface RecordSink {
  /**
   * Resolves when the record's own stream holds it durably: `duplicate` when it already did. Throws otherwise, at once when
   * JetStream refuses it and after `timeoutMs` at the latest; then the record may be there or not.
   */
  publish(record: AuditRecord, timeoutMs: number): Promise<{ duplicate: boolean }>
}

/** Publishes and resolves with the first message that `isAnswer`; throws after `msMax`, and when nobody listens. */
export type Ask = (message: {
  subject: string
  body: string
  headers: MsgHdrs
  msMax: number
  isAnswer(message: Msg): boolean
}) => Promise<Msg>

/** Longer than an acknowledgement with the longest names, or an error with its description. */
const answerBytesMax = 4096

/** Publishes over a connection to the AUDIT account; `ask` is of the same connection. */
export function jetStreamSink(connection: NatsConnection, ask: Ask): RecordSink {
  const link = watchLink(connection)
  return {
    async publish(record, timeoutMs) {
      // The client would keep what is published meanwhile and send it at the reconnect, long after its verdict.
      const msMax = await link.connected(timeoutMs)
      const head = headers()
      for (const [name, value] of record.headers) head.append(name, value)
      head.append('Nats-Msg-Id', record.id)
      head.append('Nats-Expected-Stream', record.stream)
      const found: { answer: Answer | null } = { answer: null }
      const isAnswer = (message: Msg): boolean => {
        found.answer = readAnswer(message, record.stream)
        return found.answer !== null
      }
      await ask({ subject: record.subject, body: record.body, headers: head, msMax, isAnswer })
      const { answer } = found
      if (answer === null) throw new Error('publishing an audit record: the answer is no acknowledgement')
      if ('error' in answer) throw new Error(`publishing an audit record: ${JSON.stringify(answer.error)}`)
      return answer
    },
  }
}

/** That the stream holds the record, or why JetStream refused it. */
type Answer = { duplicate: boolean } | { error: unknown }

/** Null: something that does not answer a publish to `stream`, whoever had it sent there. */
function readAnswer(message: Msg, stream: string): Answer | null {
  if (message.data.length > answerBytesMax) return null
  const { error, type, stream: holder, seq, duplicate } = membersOf(message.string())
  // An auditor sees the reply subject, and can have JetStream send some other answer there: those name their type, errors too.
  if (type !== undefined) return null
  if (error !== undefined) return { error }
  return holder === stream && typeof seq === 'number' && seq > 0 ? { duplicate: duplicate === true } : null
}

function membersOf(text: string): Record<string, unknown> {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'object' && read !== null ? { ...read } : {}
  } catch {
    return {}
  }
}

interface Link {
  /** Resolves with the time that is left of `timeoutMs` once there is a connection; throws when there is none. */
  connected(timeoutMs: number): Promise<number>
}

function watchLink(connection: NatsConnection): Link {
  let up = true
  const waiting = new Set<() => void>()
  const watch = async () => {
    for await (const status of connection.status()) {
      if (status.type === Events.Disconnect) up = false
      if (status.type !== Events.Reconnect) continue
      up = true
      for (const wake of waiting) wake()
    }
  }
  void watch()
  return {
    async connected(timeoutMs) {
      if (up && !connection.isClosed()) return timeoutMs
      const startedAt = performance.now()
      await new Promise<void>((resolve, reject) => {
        const done = (settle: () => void) => () => {
          clearTimeout(timer)
          waiting.delete(wake)
          settle()
        }
        const wake = done(resolve)
        const timer = setTimeout(
          done(() => reject(new Error('waiting for the connection to the AUDIT account'))),
          timeoutMs,
        )
        timer.unref()
        waiting.add(wake)
      })
      return Math.max(1, timeoutMs - (performance.now() - startedAt))
    },
  }
}
