/** Time, as the publisher needs it: monotonic, and replaceable where a test must not wait. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number
  /** Calls `then` once after `ms`; the result cancels it. */
  after(ms: number, then: () => void): () => void
}

/** The process's own clock. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve))
}
