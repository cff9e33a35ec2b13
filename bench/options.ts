/** The command line of the bench. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { FloodPlan } from './flood.ts'
import type { PopulationPlan } from './populations.ts'
import type { StormPlan } from './storms.ts'

export const PARTS = ['connections', 'populations', 'storms', 'flood'] as const
export type Part = (typeof PARTS)[number]

export interface BenchOptions {
  json: boolean
  only: readonly Part[]
  rounds: number
  /** In each round, for each row. */
  connections: number
  concurrency: number
  /** Another build's `dist`, or null. */
  against: string | null
  profileDir: string | null
  populations: PopulationPlan
  storms: StormPlan
  flood: FloodPlan
  /** Instead of running: a result to draw, or null. */
  chart: string | null
}

/** Throws when the arguments make no sense. */
export function readOptions(args: string[]): BenchOptions {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: PARTS.join(',') },
      rounds: { type: 'string' },
      connections: { type: 'string' },
      concurrency: { type: 'string', default: '64' },
      against: { type: 'string' },
      profile: { type: 'string' },
      chart: { type: 'string' },
    },
  })
  const { quick } = values
  const rounds = whole('rounds', values.rounds ?? (quick ? '3' : '7'))
  const connections = whole('connections', values.connections ?? (quick ? '600' : '3000'))
  return {
    json: values.json,
    only: values.only.split(',').map(part),
    rounds,
    connections: Math.ceil(connections / rounds),
    concurrency: whole('concurrency', values.concurrency),
    against: values.against === undefined ? null : resolve(values.against),
    profileDir: values.profile === undefined ? null : resolve(values.profile),
    populations: {
      sizes: (quick ? [1_000, 20_000] : [1_000, 100_000, 1_000_000]).map((credentials) => ({
        credentials,
        sessions: credentials > 100_000 ? 0 : credentials,
      })),
      rounds: quick ? 2 : 5,
      connections: quick ? 100 : 180,
      concurrency: 32,
    },
    storms: quick ? { clients: 300, restartClients: 600, rounds: 1 } : { clients: 5_000, restartClients: 10_000, rounds: 2 },
    flood: { rounds: quick ? 1 : 3, seconds: quick ? 3 : 8, goodPerSecond: 30, badPerSecond: 300 },
    chart: values.chart === undefined ? null : resolve(values.chart),
  }
}

function whole(name: string, text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`reading --${name}: a whole number of at least 1`)
  return number
}

function part(text: string): Part {
  const found = PARTS.find((name) => name === text)
  if (found === undefined) throw new Error(`reading --only: one or more of ${PARTS.join(',')}`)
  return found
}
