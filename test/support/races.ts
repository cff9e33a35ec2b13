/** What races are counted by, and the running of many of one kind. */

/** One race: what became of it, by a name that is counted, and what it broke. */
export interface RaceResult {
  outcome: string
  violations: string[]
}

/** Runs race `n` of its lane: races of one lane follow each other, lanes run side by side. */
export type Lane = (n: number) => Promise<RaceResult>

export interface RaceKind<F> {
  name: string
  /** What must hold in every race. */
  promise: string
  lane(field: F, lane: number): Promise<Lane>
}

export interface RaceCounts {
  kind: string
  promise: string
  races: number
  outcomes: Record<string, number>
  violations: number
  /** The first few. */
  examples: string[]
  seconds: number
}

const lanesMax = 4
const examplesMax = 5

export async function runRaces<F>({ name, promise, lane }: RaceKind<F>, field: F, races: number): Promise<RaceCounts> {
  const counts: RaceCounts = { kind: name, promise, races: 0, outcomes: {}, violations: 0, examples: [], seconds: 0 }
  const lanes = await Promise.all(Array.from({ length: Math.min(lanesMax, races) }, (_, n) => lane(field, n)))
  const startedAt = performance.now()
  let next = 0
  const run = async (race: Lane) => {
    for (let n = next++; n < races; n = next++) {
      const { outcome, violations } = await race(n)
      counts.races++
      counts.outcomes[outcome] = (counts.outcomes[outcome] ?? 0) + 1
      counts.violations += violations.length
      counts.examples.push(...violations.slice(0, examplesMax - counts.examples.length))
    }
  }
  await Promise.all(lanes.map(run))
  counts.seconds = Math.round((performance.now() - startedAt) / 100) / 10
  return counts
}

/** Two different ones, each pair in its turn. */
export function pairOf<T>(all: readonly T[], n: number): [T, T] {
  const first = all[n % all.length]
  const other = all[(n + 1 + (Math.floor(n / all.length) % (all.length - 1))) % all.length]
  if (first === undefined || other === undefined) throw new Error('racing with fewer than two')
  return [first, other]
}

/** The sorted verdicts of rivals that raced. */
export function verdictsOf(asked: readonly { verdict: string }[]): string {
  return asked
    .map(({ verdict }) => verdict)
    .sort()
    .join(' ')
}

/** `violations` of those that hold. */
export function violationsOf(checks: Record<string, boolean>, about: unknown): string[] {
  return Object.entries(checks).flatMap(([what, holds]) => (holds ? [] : [`${what}: ${JSON.stringify(about)}`]))
}
