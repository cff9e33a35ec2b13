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
  const outgoing = new Set<Outgoing>()
  // Made once and sent again unchanged: JetStream recognises a second copy by its id.
  const again: Outgoing[] = []
  let inFlight = 0
  let failures = 0
  let resume: (() => void) | null = null
  let settling = false
  let flushing = 0
  let drained: (() => void)[] = []

  function note(event: VerdictEvent): void {
    coalescer.add(event, clock.now())
    if (flushing > 0) coalescer.settle(clock.now(), { force: true })
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
    while (resume === null && inFlight < (failures > 0 ? 1 : inFlightMax)) {
      const next = again.shift() ?? fresh()
      if (next === null) break
      void attempt(next)
    }
    if (outgoing.size > 0 || coalescer.size > 0) return
    for (const done of drained) done()
    drained = []
  }

  function fresh(): Outgoing | null {
    const event = coalescer.take()
    if (event === null) return null
    const made = { record: message(event), verdicts: event.count }
    if (event.count > 1) coalesced(event.count)
    outgoing.add(made)
    return made
  }

  async function attempt(made: Outgoing): Promise<void> {
    inFlight++
    try {
      await send(made.record)
      outgoing.delete(made)
      failures = 0
    } catch {
      // The sender counts and the readiness check tells; here it is only tried again.
      again.push(made)
      if (resume === null) hold()
    }
    inFlight--
    pump()
  }

  function hold(): void {
    const cancel = clock.after(Math.min(backoffMs.last, backoffMs.first * 2 ** failures), () => resume?.())
    failures = Math.min(failures + 1, 10)
    resume = () => {
      cancel()
      resume = null
      pump()
    }
  }

  function backlog(): Backlog {
    let verdicts = coalescer.verdicts
    for (const made of outgoing) verdicts += made.verdicts
    return { records: coalescer.size + outgoing.size, verdicts }
  }

  async function flush(timeoutMs: number): Promise<Backlog> {
    flushing++
    coalescer.settle(clock.now(), { force: true })
    await new Promise<void>((resolve) => {
      const cancel = clock.after(timeoutMs, resolve)
      drained.push(() => {
        cancel()
        resolve()
      })
      if (resume !== null) resume()
      else pump()
    })
    flushing--
    return backlog()
  }

  return { note, backlog, flush }
}
