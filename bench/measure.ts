/** Timing in rounds, so that figures of one run can be compared on a noisy machine: the median of a few rounds. */

/** Microseconds of process CPU time for one call of `work`, median over `rounds`. */
export async function cpuMicros(work: () => unknown, { calls, rounds }: { calls: number; rounds: number }): Promise<number> {
  // The compiler needs a few thousand calls before a figure means anything.
  for (let i = 0; i < Math.max(calls, 3000); i++) await work()
  const figures: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < calls; i++) await work()
    const { user, system } = process.cpuUsage(before)
    figures.push((user + system) / calls)
  }
  return median(figures)
}

export function median(figures: number[]): number {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** The p-th percentile (0 to 1) of `figures`. */
export function percentile(figures: number[], p: number): number {
  const sorted = [...figures].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}
