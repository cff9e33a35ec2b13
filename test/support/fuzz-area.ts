/** One part of the product under fuzz: makes a case of its own from random numbers, and throws where a promise is broken. */
import { type Random, seededRandom } from './random.ts'

export interface FuzzArea {
  name: string
  /** Cases of this area for each case of connections. */
  share: number
  /** Runs one case; what became of it, from a small set. Throws FuzzFailure. */
  one(random: Random): Promise<string>
  close(): Promise<void>
}

/** Another one at each run; `FUZZ_SEED` repeats one. Failures name it. */
export function fuzzSeed(): number {
  return Number(process.env['FUZZ_SEED'] ?? Date.now() >>> 0)
}

/** A broken promise, with what one needs to see it again. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure'
}

/** A piece of an input for a message: whole where it is short, and never control characters. */
export function shown(input: Uint8Array | string): string {
  const text = typeof input === 'string' ? JSON.stringify(input) : Buffer.from(input).toString('base64')
  return text.length > 24_000 ? `${text.slice(0, 24_000)}… (${text.length} characters)` : text
}

export interface AreaReport {
  area: string
  runs: number
  /** How often each outcome was met. */
  outcomes: Record<string, number>
  seconds: number
  slowest: { case: number; ms: number }
}

/** Runs cases `from` to `from + runs` of `seed`. A failure names the area, the seed and the case. */
export async function runArea(
  area: FuzzArea,
  { seed, runs, from = 0 }: { seed: number; runs: number; from?: number },
): Promise<AreaReport> {
  const outcomes = new Map<string, number>()
  const slowest = { case: from, ms: 0 }
  const begun = performance.now()
  for (let i = from; i < from + runs; i++) {
    const before = performance.now()
    const outcome = await oneCase(area, seed, i)
    const ms = performance.now() - before
    if (ms > slowest.ms) Object.assign(slowest, { case: i, ms })
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  const seconds = (performance.now() - begun) / 1000
  return { area: area.name, runs, outcomes: Object.fromEntries([...outcomes].sort(([, a], [, b]) => b - a)), seconds, slowest }
}

async function oneCase(area: FuzzArea, seed: number, index: number): Promise<string> {
  try {
    return await area.one(seededRandom(seed, index))
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new FuzzFailure(`${area.name}, seed ${seed}, case ${index}: ${what}`, { cause })
  }
}
