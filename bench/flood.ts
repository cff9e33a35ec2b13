/** Good clients beside ten times as many bad ones: what they wait, and what the verifier's memory does. */
import { FLOOD_KINDS, type GoodFigures, startFloodField } from '../test/support/flood.ts'
import { endsLater } from './cleanup.ts'
import { percentile } from './measure.ts'

export interface FloodRound {
  quiet: GoodClients
  flooded: GoodClients
  /** Bad connections in the meantime, and how many of them were admitted. */
  bad: { connections: number; admitted: number }
  residentMiB: number
}

export interface GoodClients {
  granted: number
  refused: number
  p50Ms: number
  p99Ms: number
}

export interface FloodPlan {
  rounds: number
  seconds: number
  goodPerSecond: number
  badPerSecond: number
}

const MiB = 1_048_576

export async function benchFlood(plan: FloodPlan, progress: (text: string) => void): Promise<FloodRound[]> {
  const field = await startFloodField()
  const stop = endsLater(field.stop)
  const good = { perSecond: plan.goodPerSecond, count: plan.goodPerSecond * plan.seconds }
  const bad = { kind: 'rate', perSecond: plan.badPerSecond, count: plan.badPerSecond * plan.seconds } as const
  const rounds: FloodRound[] = []
  await field.good(good)
  for (let round = 1; round <= plan.rounds; round++) {
    progress(`flood: round ${round} of ${plan.rounds}`)
    const quiet = goodClients(await field.good(good))
    const [figures, counts] = await Promise.all([field.good(good), field.flood(bad, { kinds: FLOOD_KINDS })])
    rounds.push({
      quiet,
      flooded: goodClients(figures),
      bad: { connections: counts.refused + counts.admitted + counts.failed, admitted: counts.admitted },
      residentMiB: field.residentBytes() / MiB,
    })
  }
  await stop()
  return rounds
}

function goodClients({ granted, refused, latenciesMs }: GoodFigures): GoodClients {
  return { granted, refused, p50Ms: percentile(latenciesMs, 0.5), p99Ms: percentile(latenciesMs, 0.99) }
}
