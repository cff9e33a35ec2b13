/**
 * Verdicts in the log. Somebody who has proven nothing must not be able to fill a disk, so of their refusals only so many a
 * second and reason get a line each; one line counts the others. Audit trail and metrics miss none.
 */
import type { VerdictEvent } from '../core/audit-event.ts'
import { type Logger, verdictLine } from './logger.ts'

const linesPerSecondMax = 20

export interface VerdictLog {
  verdict(event: VerdictEvent): void
  /** Counts what has had no line so far, as when the verifier stops. */
  settle(): void
}

/** Logs the verdicts that it is given. `nowMs` is monotonic. */
export function createVerdictLog(log: Logger, nowMs: () => number = () => performance.now()): VerdictLog {
  const lines = new Map<string, number>()
  let second = 0
  let leftOut = 0

  function settle(): void {
    if (leftOut > 0) log.warn({ verdicts: leftOut }, 'refusals without a line of their own')
    leftOut = 0
  }

  function verdict(event: VerdictEvent): void {
    const { outcome, reason } = event.verdict
    const now = Math.floor(nowMs() / 1000)
    if (now !== second) {
      settle()
      lines.clear()
      second = now
    }
    const written = lines.get(reason) ?? 0
    const hasProven = outcome === 'granted' || event.verified
    if (!hasProven && written >= linesPerSecondMax) {
      leftOut++
      return
    }
    if (!hasProven) lines.set(reason, written + 1)
    verdictLine(log, event)
  }

  return { verdict, settle }
}
