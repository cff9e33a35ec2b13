/** Where records go: JetStream, one publish and one acknowledgement each. */
import { Events, headers, type Msg, type MsgHdrs, type NatsConnection } from 'nats'
import type { AuditRecord } from './audit-record.ts'

export interface RecordSink {
  /**
   * Resolves when the record's own stream holds it durably: `duplicate` when it already did. Throws otherwise, after
   * `timeoutMs` at the latest; then the record may be there or not.
   */
  publish(record: AuditRecord, timeoutMs: number): Promise<{ duplicate: boolean }>
}

/** Publishes and resolves with the first answer; throws after `msMax`. */
export type Ask = (message: { subject: string; body: string; headers: MsgHdrs; msMax: number }) => Promise<Msg>

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
      const answer = await ask({ subject: record.subject, body: record.body, headers: head, msMax })
      return readAcknowledgement(answer.string(), record.stream)
    },
  }
}

/** Throws when `answer` does not say that `stream` holds the record. */
function readAcknowledgement(answer: string, stream: string): { duplicate: boolean } {
  const read: unknown = JSON.parse(answer)
  const members: Record<string, unknown> = typeof read === 'object' && read !== null ? { ...read } : {}
  const { error, type, stream: holder, seq, duplicate } = members
  if (error !== undefined) throw new Error(`publishing an audit record: ${JSON.stringify(error)}`)
  // An auditor sees the reply subject, and can have JetStream send some other answer there: those name their type.
  if (type !== undefined || holder !== stream || typeof seq !== 'number' || !(seq > 0)) {
    throw new Error('publishing an audit record: the answer is no acknowledgement')
  }
  return { duplicate: duplicate === true }
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
