/**
 * Verdicts in the log. Somebody who has proven nothing must not be able to fill a disk, so of their refusals only so many a
 * second and reason get a line each; one line counts the others. Audit trail and metrics miss none.
 */
import type { VerdictEvent } from '../core/audit-event.ts'
import { type Logger, verdictLine } from './logger.ts'

const linesPerSecondMax = 20

/** Logs the verdicts that it is given. `nowMs` is monotonic. */
export function createVerdictLog(log: Logger, nowMs: () => number = () => performance.now()): (event: VerdictEvent) => void {
  const lines = new Map<string, number>()
  let second = 0
  let leftOut = 0

  function begin(now: number): void {
    if (leftOut > 0) log.warn({ verdicts: leftOut }, 'refusals without a line of their own')
    leftOut = 0
    lines.clear()
    second = now
  }

  return (event) => {
    const { outcome, reason } = event.verdict
    const now = Math.floor(nowMs() / 1000)
    if (now !== second) begin(now)
    if (outcome === 'granted' || event.verified) return verdictLine(log, event)
    const written = lines.get(reason) ?? 0
    if (written >= linesPerSecondMax) {
      leftOut++
      return
    }
    lines.set(reason, written + 1)
    verdictLine(log, event)
  }
}
