/** A clock that a test moves by hand: what waits for a time runs when the test gets there. */
import type { Clock } from '../../src/audit/clock.ts'

export interface ManualClock extends Clock {
  /** Moves on, running what comes due in order; lets promises settle in between. */
  advance(ms: number): Promise<void>
}

export function manualClock(): ManualClock {
  let now = 0
  let nextId = 0
  const timers = new Map<number, { at: number; then: () => void }>()
  return {
    now: () => now,
    after(ms, then) {
      const id = nextId++
      timers.set(id, { at: now + ms, then })
      return () => void timers.delete(id)
    },
    async advance(ms) {
      const until = now + ms
      for (;;) {
        await settled()
        const due = [...timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0]
        if (due === undefined) break
        const [id, timer] = due
        timers.delete(id)
        now = Math.max(now, timer.at)
        timer.then()
      }
      now = until
      await settled()
    },
  }
}

/** Everything that only waits for promises has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
