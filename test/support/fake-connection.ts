/** A connection as the SDK sees one: status reports that a test makes up, and an end that it decides. */
import { EventEmitter, on, once } from 'node:events'
import type { NatsConnectionLike } from '../../src/client/authenticator.ts'

interface Status {
  type: string
  data?: string
  error?: Error
}

export interface FakeConnection extends NatsConnectionLike {
  /** Resolves after the report was read. */
  emit(report: Status): Promise<void>
  /** Ends the connection, as the client library does: with the reason, or without one when the program closed it. */
  end(reason?: Error): void
}

export function fakeConnection(): FakeConnection {
  const events = new EventEmitter()
  const over = new AbortController()
  const closed = once(events, 'end').then(([reason]: unknown[]) => reason)
  const end = (reason?: Error) => {
    over.abort()
    events.emit('end', reason)
  }
  return {
    status: async function* () {
      try {
        for await (const [report] of on(events, 'status', { signal: over.signal })) yield report
      } catch {
        // Ended: the client library's iterator ends without an error.
      }
    },
    emit: async (report) => {
      events.emit('status', report)
      await new Promise((resolve) => setImmediate(resolve))
    },
    end,
    closed: () => closed,
    isClosed: () => over.signal.aborted,
    close: async () => end(),
  }
}
