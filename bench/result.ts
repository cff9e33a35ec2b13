/** What one run of the bench found: the shape of bench/results.json. */
import type { FloodRound } from './flood.ts'
import type { Floors, Kind } from './floor.ts'
import type { PopulationFigures } from './populations.ts'
import type { StormResult } from './storms.ts'

export interface Figures {
  cpuMicros: number
  perSecond?: number
  p50Ms?: number
  p99Ms?: number
  refused?: number
}

export type Subject = 'decide in process' | 'verifier process' | 'other build' | 'stock responder' | 'signing responder'

/** One row of the table: what was timed, and its figures, one of each round. */
export interface Measured {
  subject: Subject
  kind: Kind
  xkey: boolean
  audit: boolean
  figures: Figures[]
}

export interface Machine {
  cpus: number
  model: string
  memoryGiB: number
  os: string
  node: string
  natsServer: string
  /** What the verifier signs and seals with. */
  crypto: string
}

export interface Run {
  machine: Machine
  /** Seconds that all of it took. */
  seconds: number
  load: { connections: number; concurrency: number; rounds: number }
  /** One of each round. */
  floors: Floors[]
  rows: Measured[]
  storms: StormResult[]
  populations: PopulationFigures[]
  flood: FloodRound[]
}
