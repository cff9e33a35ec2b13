/** Report-only mode (ADR-0018): the one step in which a refusal may become a record of what would have been refused. */
import { type Arrival, type Decision, enter, isLate, type Journey } from '../arrival.ts'
import { answerMarginMs } from '../deadline.ts'
import type { DenialReason } from '../denial.ts'
import { guardKeyOf } from '../guard-entry.ts'
import { parseNonce } from '../identifiers.ts'
import { eventOf, type Known } from '../known.ts'
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
  // One socket keeps one identity, also where this refusal came before anybody asked the guard.
  const nonce = parseNonce(request.nonce)
  if (nonce !== null && (await world.guard.find(guardKeyOf(request, nonce))) !== null) {
    known.stage = stage
    return refuse(arrival, world, known, { outcome: 'denied', reason: denial })
  }
  const { claims, grant, facts } = legacyAdmission(judged.value, request, { legacy, id, now, jitter })
  enter(arrival, known, 'record')
  const event = eventOf(known, { outcome: 'reported', reason: denial, legacy: facts }, { arrival, grant })
  await world.audit.record(event)
  known.recorded = event.id

  enter(arrival, known, 'answer')
  if (isLate(arrival, known, 0)) return refuse(arrival, world, known, { outcome: 'error', reason: 'deadline_exceeded' })
  const reply = world.answer.grant(request, claims)
  return { event: { ...event, durationMs: arrival.elapsedMs() }, reply }
}
