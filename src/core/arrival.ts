/** One request on its way through the journey: what it brought, which stage it is at, and whether there is time left for it. */
import type { VerdictEvent } from './audit-event.ts'
import type { IncomingRequest } from './authorization-request.ts'
import { isTooLate } from './deadline.ts'
import type { Stage } from './denial.ts'
import type { Known } from './known.ts'
import type { TracePort, World, XkeyPort } from './ports.ts'
import type { Rules } from './rules.ts'

/** One request and everything about the moment that core may not find out by itself. */
export interface Arrival extends IncomingRequest {
  /** UUID for the audit record. */
  id: string
  now: Date
  /** Uniform in [0, 1): how much of the ten percent the expiry is moved down, so that expiries don't herd. */
  jitter: number
  /** Milliseconds since arrival, by the monotonic clock. */
  elapsedMs(): number
  trace: TracePort
}

export interface Journey {
  rules: Rules
  xkey: XkeyPort | null
  world: World
}

/** What became of a request. `reply` is null when it came too late to be answered; then there is no verdict either. */
export type Decision = { event: VerdictEvent; reply: Uint8Array } | { event: null; reply: null }

/** The next stage begins. */
export function enter(arrival: Arrival, known: Known, stage: Stage): void {
  known.stage = stage
  arrival.trace.enter(stage)
}

/** A request past its deadline is dropped: the server has given up on it, and work on it would be taken from others. */
export function isLate(arrival: Arrival, { request }: Known, marginMs?: number): boolean {
  return request !== null && isTooLate(arrival.elapsedMs(), request.exp - request.iat, marginMs)
}
