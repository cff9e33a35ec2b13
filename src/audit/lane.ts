/**
 * The way of queued records into one stream: in the background, until acknowledged. Each stream has its own, so that a
 * full or missing one holds up nothing else.
 */
import type { VerdictEvent } from '../core/audit-event.ts'
import type { AuditRecord } from './audit-record.ts'
import type { Clock } from './clock.ts'
import { type CoalescerLimits, createCoalescer } from './coalescer.ts'

export interface LaneOptions {
  limits: CoalescerLimits
  clock: Clock
  message(event: VerdictEvent): AuditRecord
  /** One attempt: resolves when the record is durable. */
  send(record: AuditRecord): Promise<void>
  /** `verdicts` of them left in a record that stands for more than one. */
  coalesced(verdicts: number): void
}

export interface Backlog {
  records: number
  /** Verdicts that these records stand for. */
  verdicts: number
}

export interface Lane {
  note(event: VerdictEvent): void
  backlog(): Backlog
  /** Sends everything now, merged records included. Resolves when nothing is left, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<Backlog>
}

interface Outgoing {
  record: AuditRecord
  verdicts: number
}

const inFlightMax = 64
const settleIntervalMs = 250
const backoffMs = { first: 50, last: 2000 } as const

export function createLane({ limits, clock, message, send, coalesced }: LaneOptions): Lane {
  const coalescer = createCoalescer(limits)
  // Taken from the coalescer and not acknowledged.
  const outgoing: Backlog = { records: 0, verdicts: 0 }
  // Made once and sent again unchanged: JetStream recognises a second copy by its id.
  const again: Outgoing[] = []
  const backoff = createBackoff(clock, pump)
  let inFlight = 0
  let settling = false
  let drained: (() => void)[] = []

  function note(event: VerdictEvent): void {
    coalescer.add(event, clock.now())
    settleLater()
    pump()
  }

  function settleLater(): void {
    if (settling || !coalescer.active) return
    settling = true
    clock.after(settleIntervalMs, () => {
      settling = false
      coalescer.settle(clock.now(), { force: false })
      settleLater()
      pump()
    })
  }

  function pump(): void {
    // While the stream fails, one record at a time finds out whether it is back.
    while (!backoff.waiting && inFlight < (backoff.failing ? 1 : inFlightMax)) {
      const next = again.shift() ?? fresh()
      if (next === null) break
      void attempt(next)
    }
    if (backlog().records > 0) return
    for (const done of drained) done()
    drained = []
  }

  function fresh(): Outgoing | null {
    const event = coalescer.take()
    if (event === null) return null
    const made = { record: message(event), verdicts: event.count }
    if (event.count > 1) coalesced(event.count)
    outgoing.records++
    outgoing.verdicts += event.count
    return made
  }

  async function attempt(made: Outgoing): Promise<void> {
    inFlight++
    try {
      await send(made.record)
      outgoing.records--
      outgoing.verdicts -= made.verdicts
      backoff.reset()
    } catch {
      // The sender counts and the readiness check tells; here it is only tried again.
      again.push(made)
      backoff.hold()
    }
    inFlight--
    pump()
  }

  const backlog = (): Backlog => ({ records: coalescer.size + outgoing.records, verdicts: coalescer.verdicts + outgoing.verdicts })

  async function flush(timeoutMs: number): Promise<Backlog> {
    coalescer.settle(clock.now(), { force: true })
    await new Promise<void>((resolve) => {
      const cancel = clock.after(timeoutMs, resolve)
      drained.push(cancel, resolve)
      backoff.release()
      pump()
    })
    return backlog()
  }

  return { note, backlog, flush }
}

/** Waits after a failure, longer each time until something succeeds. */
function createBackoff(clock: Clock, resume: () => void) {
  let failures = 0
  let cancel: (() => void) | null = null
  const release = () => {
    cancel?.()
    cancel = null
  }
  return {
    get failing() {
      return failures > 0
    },
    get waiting() {
      return cancel !== null
    },
    hold(): void {
      if (cancel !== null) return
      cancel = clock.after(Math.min(backoffMs.last, backoffMs.first * 2 ** failures), () => {
        cancel = null
        resume()
      })
      failures = Math.min(failures + 1, 10)
    },
    release,
    reset(): void {
      failures = 0
    },
  }
}
