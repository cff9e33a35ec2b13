/** Timing in rounds, so that figures of one run can be compared on a noisy machine: each round times everything once. */

/** Something whose cost can be timed again and again: one call times one round. */
export type Timed<Figures> = () => Promise<Figures>

// The compiler needs a few thousand calls before a figure means anything.
const warmUpCalls = 3000

/** Microseconds of this process's CPU for one call of `work`, over `calls` of them a round. Warms up first. */
export async function timedCpu(work: () => unknown, { calls }: { calls: number }): Promise<Timed<number>> {
  for (let i = 0; i < warmUpCalls; i++) await work()
  return async () => {
    const before = process.cpuUsage()
    for (let i = 0; i < calls; i++) await work()
    const { user, system } = process.cpuUsage(before)
    return (user + system) / calls
  }
}

/** The middle of `figures`; NaN when there are none. */
export function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b)
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]]
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2
}

/** How far the rounds are apart: (greatest − least) / median. */
export function spread(figures: readonly number[]): number {
  return (Math.max(...figures) - Math.min(...figures)) / median(figures)
}

/** The p-th percentile (0 to 1) of `figures`. */
export function percentile(figures: readonly number[], p: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}
