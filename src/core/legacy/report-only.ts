/** Report-only mode (ADR-0018): the one step in which a refusal may become a record of what would have been refused. */
import { type Arrival, type Decision, enter, isLate, type Journey } from '../arrival.ts'
import type { AuthorizationRequest } from '../authorization-request.ts'
import { answerMarginMs } from '../deadline.ts'
import type { DenialReason } from '../denial.ts'
import { guardKeyOf, isOfLegacyUser, legacyEntry } from '../guard-entry.ts'
import { eventOf, type Known } from '../known.ts'
import type { GuardPort } from '../ports.ts'
import type { GuardEntry, LegacyEntry } from '../records.ts'
import { refuse } from '../refuse.ts'
import { isReportable, judgeLegacy, legacyAdmission } from './legacy-admission.ts'

/** A refusal; in report-only mode the record of one, where the connection brings a legacy user's own credentials (ADR-0018). */
export async function turnAway(arrival: Arrival, { xkey, world }: Journey, known: Known, denial: DenialReason): Promise<Decision> {
  const { request, stage } = known
  const { legacy, signatures } = world
  const { id, now, jitter } = arrival
  if (legacy === null || request === null || !isReportable(denial))
    return refuse(arrival, world, known, { outcome: 'denied', reason: denial })
  enter(arrival, known, 'legacy')
  const msLeft = (request.exp - request.iat) * 1000 - answerMarginMs - arrival.elapsedMs()
  const judged = await judgeLegacy({ denial, request, incoming: arrival }, { legacy, xkey, signatures, now, msLeft })
  if (isLate(arrival, known)) return { event: null, reply: null }
  if (!judged.ok) {
    if (judged.denial === denial) known.stage = stage
    return refuse(arrival, world, known, { outcome: 'denied', reason: judged.denial })
  }
  enter(arrival, known, 'store')
  const user = judged.value
  const first = legacyAdmission(user, request, { legacy, id, now, jitter, earlier: null })
  const earlier = await claim(legacyEntry(request, { legacy: user.name, ...first.claims }), request, { known, guard: world.guard })
  if (isLate(arrival, known)) return { event: null, reply: null }
  // One socket keeps one identity, whoever was asked about it first.
  if (earlier !== null && !isOfLegacyUser(earlier, user.name, now)) {
    known.stage = stage
    return refuse(arrival, world, known, { outcome: 'denied', reason: denial })
  }
  const { claims, grant, facts } = earlier === null ? first : legacyAdmission(user, request, { legacy, id, now, jitter, earlier })
  enter(arrival, known, 'record')
  const event = eventOf(known, { outcome: 'reported', reason: denial, legacy: facts }, { arrival, grant })
  await world.audit.record(event)
  known.recorded = event.id

  enter(arrival, known, 'answer')
  if (isLate(arrival, known, 0)) return refuse(arrival, world, known, { outcome: 'error', reason: 'deadline_exceeded' })
  const reply = world.answer.grant(request, claims)
  known.withdraw = () => {}
  return { event: { ...event, durationMs: arrival.elapsedMs() }, reply }
}

/** Claims the connection as a proof does (ADR-0015); what was claimed on it before, or null. */
async function claim(
  entry: LegacyEntry,
  request: AuthorizationRequest,
  { known, guard }: { known: Known; guard: GuardPort },
): Promise<GuardEntry | null> {
  const key = guardKeyOf(request)
  const there = await guard.find(key)
  if (there !== null) return there
  const claimed = await guard.claim(key, entry)
  known.withdraw = claimed.withdraw
  return claimed.earlier
}
