/** The command line of the bench. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { FloodPlan } from './flood.ts'
import type { PopulationPlan } from './populations.ts'
import type { StormPlan } from './storms.ts'

export const PARTS = ['connections', 'populations', 'storms', 'flood'] as const
export type Part = (typeof PARTS)[number]

/** How large each part is. `tiny` shows that everything works, and measures nothing. */
const SIZES = {
  usual: {
    rounds: 7,
    connections: 14_000,
    populations: { credentials: [1_000, 100_000, 1_000_000], rounds: 5, connections: 180, warmUp: 3_000 },
    storms: { clients: 5_000, restartClients: 10_000, rounds: 2, expirySecondsMin: 20 },
    flood: { rounds: 3, seconds: 8 },
  },
  quick: {
    rounds: 3,
    connections: 600,
    populations: { credentials: [1_000, 20_000], rounds: 2, connections: 100, warmUp: 1_500 },
    storms: { clients: 300, restartClients: 600, rounds: 1, expirySecondsMin: 20 },
    flood: { rounds: 1, seconds: 3 },
  },
  tiny: {
    rounds: 1,
    connections: 24,
    populations: { credentials: [150, 300], rounds: 1, connections: 20, warmUp: 100 },
    storms: { clients: 20, restartClients: 30, rounds: 1, expirySecondsMin: 8 },
    flood: { rounds: 1, seconds: 1 },
  },
} as const
const sessionsMax = 100_000

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
      tiny: { type: 'boolean', default: false },
      only: { type: 'string', default: PARTS.join(',') },
      rounds: { type: 'string' },
      connections: { type: 'string' },
      concurrency: { type: 'string', default: '64' },
      against: { type: 'string' },
      profile: { type: 'string' },
      chart: { type: 'string' },
    },
  })
  const size = SIZES[values.tiny ? 'tiny' : values.quick ? 'quick' : 'usual']
  const rounds = values.rounds === undefined ? size.rounds : whole('rounds', values.rounds)
  const connections = values.connections === undefined ? size.connections : whole('connections', values.connections)
  return {
    json: values.json,
    only: values.only.split(',').map(part),
    rounds,
    connections: Math.ceil(connections / rounds),
    concurrency: whole('concurrency', values.concurrency),
    against: values.against === undefined ? null : resolve(values.against),
    profileDir: values.profile === undefined ? null : resolve(values.profile),
    populations: {
      ...size.populations,
      sizes: size.populations.credentials.map((credentials) => ({ credentials, sessions: credentials > sessionsMax ? 0 : credentials })),
      concurrency: 32,
    },
    storms: size.storms,
    flood: { ...size.flood, goodPerSecond: 30, badPerSecond: 300 },
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
