/**
 * How much a refusal says of a session. NATS says "Authorization Violation" when a verifier refused, when it had no time,
 * and when none was there, so a client that asks its key (or its person) at the first one asks too often.
 */
import type { ReconnectPace } from './reconnect-pace.ts'

/**
 * `verdict`: at once, while all else seemed well; `crowded`: at once, amid many others; `troubled`: at once, after the
 * connection broke; `unanswered`: after as long as a server waits.
 */
export type Refusal = 'verdict' | 'crowded' | 'troubled' | 'unanswered'

/** What each refusal in a row adds; at `evidenceMin` the session is over. */
export const REFUSAL_EVIDENCE: Readonly<Record<Refusal, number>> = { verdict: 6, crowded: 3, troubled: 2, unanswered: 1 }
export const evidenceMin = 6

// Fifty clients: where so many came by, one that is refused at once may have met somebody else's trouble.
const crowdMillisecondsMin = 100

/**
 * What became of a resume that was refused `afterMs` after it was sent. A verdict comes within `verdictMs`, silence takes
 * nats-server's whole `authorization.timeout`; and while one grant runs out as it should, verifiers and stores are seldom
 * in trouble. `acceptedMs`: what this very path took to accept is the measure of what it takes to refuse.
 */
export function refusalAfter(
  afterMs: number,
  { acceptedMs, verdictMs, pace }: { acceptedMs: number; verdictMs: number; pace: Pick<ReconnectPace, 'loss' | 'spreadMs'> },
): Refusal {
  if (afterMs >= Math.max(verdictMs, 2 * acceptedMs)) return 'unanswered'
  if (pace.loss() === 'broken') return 'troubled'
  return pace.spreadMs() > crowdMillisecondsMin ? 'crowded' : 'verdict'
}
