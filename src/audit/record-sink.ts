/** Where records go: JetStream, one publish and one acknowledgement each. */
import { Events, headers, type NatsConnection } from 'nats'
import type { AuditRecord } from './audit-record.ts'

export interface RecordSink {
  /**
   * Resolves when the record's own stream holds it durably: `duplicate` when it already did. Throws otherwise, after
   * `timeoutMs` at the latest; then the record may be there or not.
   */
  publish(record: AuditRecord, timeoutMs: number): Promise<{ duplicate: boolean }>
}

/** Publishes over a connection to the AUDIT account. */
export function jetStreamSink(connection: NatsConnection): RecordSink {
  const jetstream = connection.jetstream()
  const link = watchLink(connection)
  return {
    async publish(record, timeoutMs) {
      // The client would keep what is published meanwhile and send it at the reconnect, long after its verdict.
      const leftMs = await link.connected(timeoutMs)
      const head = headers()
      for (const [name, value] of record.headers) head.append(name, value)
      const ack = await jetstream.publish(record.subject, record.body, {
        msgID: record.id,
        headers: head,
        timeout: leftMs,
        expect: { streamName: record.stream },
      })
      // An auditor sees the reply subject, and can have JetStream send some other answer there.
      if (ack.stream !== record.stream || !(ack.seq > 0)) throw new Error('publishing an audit record: the answer is no acknowledgement')
      return { duplicate: ack.duplicate }
    },
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
