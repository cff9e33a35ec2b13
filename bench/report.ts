/** The figures of all rounds as one table, or as JSON. */
import { cpus } from 'node:os'
import type { Floor, Kind } from './floor.ts'
import { median, spread, type Timed } from './measure.ts'

export interface Figures {
  cpuMicros: number
  perSecond?: number
  p50Ms?: number
  p99Ms?: number
}

/** One row: how to time it, and its figures so far, one of each round. */
export interface Measured {
  what: string
  kind: Kind
  timed: Timed<Figures>
  figures: Figures[]
}

export interface Run {
  /** One of each round. */
  floors: Floor[]
  rows: Measured[]
  load: { connections: number; concurrency: number; rounds: number }
}

interface Row extends Figures {
  what: string
  /** Times the crypto floor of the same kind and round. */
  floorRatio: number
  /** How far the ratios of the rounds are apart, as a part of their median. */
  ratioSpread: number
}

function summary({ floors, rows }: Run): Row[] {
  return [
    ...(['proof', 'resume'] as const).map((kind) => {
      const micros = floors.map((floor) => floor[kind])
      return { what: `crypto floor, ${kind}`, cpuMicros: median(micros), floorRatio: 1, ratioSpread: spread(micros) }
    }),
    ...rows.map(({ what, kind, figures }) => {
      const ratios = figures.map(({ cpuMicros }, round) => cpuMicros / (floors[round]?.[kind] ?? Number.NaN))
      return { what, ...medians(figures), floorRatio: median(ratios), ratioSpread: spread(ratios) }
    }),
  ]
}

function medians(figures: readonly Figures[]): Figures {
  const of = (member: keyof Figures) => median(figures.flatMap((each) => each[member] ?? []))
  if (figures.every(({ perSecond }) => perSecond === undefined)) return { cpuMicros: of('cpuMicros') }
  return { cpuMicros: of('cpuMicros'), perSecond: of('perSecond'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms') }
}

export function printTable(run: Run): void {
  const cells = (what: string, ...rest: string[]) => `${what.padEnd(62)}${rest.map((cell) => cell.padStart(9)).join('')}\n`
  const number = (value: number | undefined, digits: number) => (value === undefined ? '' : value.toFixed(digits))
  process.stdout.write(cells('what', 'CPU µs', '× floor', 'spread', 'conn/s', 'p50 ms', 'p99 ms'))
  for (const row of summary(run)) {
    const { what, cpuMicros, floorRatio, ratioSpread, perSecond, p50Ms, p99Ms } = row
    const noise = `${number(ratioSpread * 100, 0)} %`
    process.stdout.write(
      cells(what, number(cpuMicros, 0), number(floorRatio, 2), noise, number(perSecond, 0), number(p50Ms, 1), number(p99Ms, 1)),
    )
  }
}

export function printJson(run: Run): void {
  const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? '', node: process.version }
  process.stdout.write(`${JSON.stringify({ machine, load: run.load, floors: run.floors, rows: summary(run) }, null, 1)}\n`)
}
