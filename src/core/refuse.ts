/** How everything that is not a grant is answered and recorded. What is refused, and why, is decided in decide.ts. */
import type { Refusal, VerdictEvent } from './audit-event.ts'
import type { AuthorizationRequest } from './authorization-request.ts'
import { eventOf, type Known } from './known.ts'
import { AuditUnavailable, StoreUnavailable, type TracePort, type World } from './ports.ts'

/** What of an arrival its refusal needs. */
interface Refused {
  id: string
  now: Date
  elapsedMs(): number
  trace: TracePort
}

/** Answers and records something that is not a grant. */
export function refuse(arrival: Refused, world: World, known: Known, verdict: Refusal): { event: VerdictEvent; reply: Uint8Array } {
  // Somebody we could not authenticate gets the empty answer, which denies; only a genuine request gets our signature.
  const reply = known.request === null ? new Uint8Array(0) : refusal(known.request, verdict, arrival, world)
  const event = { ...eventOf(known, verdict, { arrival, grant: null }), correlates: known.recorded }
  world.audit.note(event)
  return { event, reply }
}

function refusal(request: AuthorizationRequest, verdict: Refusal, arrival: Refused, world: World): Uint8Array {
  try {
    return world.answer.refuse(request, verdict)
  } catch (cause) {
    arrival.trace.failed(cause)
    return new Uint8Array(0)
  }
}

/** What counts as `error`, by what was thrown. */
export function errorReason(cause: unknown): 'internal' | 'store_unavailable' | 'audit_unavailable' {
  if (cause instanceof AuditUnavailable) return 'audit_unavailable'
  return cause instanceof StoreUnavailable ? 'store_unavailable' : 'internal'
}
