/** The figures of all rounds as one table, or as JSON. Ratios are taken within a round, and their median is shown. */
import type { Floor, Kind } from './floor.ts'
import { median, spread } from './measure.ts'

export interface Figures {
  cpuMicros: number
  perSecond?: number
  p50Ms?: number
  p99Ms?: number
}

export type Subject = 'decide in process' | 'verifier process' | 'other build'

/** One row of the table: what was timed, and its figures, one of each round. */
export interface Measured {
  subject: Subject
  kind: Kind
  xkey: boolean
  figures: Figures[]
}

export interface Run {
  machine: { cpus: number; model: string; node: string }
  load: { connections: number; concurrency: number; rounds: number }
  /** One of each round. */
  floors: Floor[]
  rows: Measured[]
}

interface Row extends Figures {
  what: string
  /** Times the crypto floor of the same kind. */
  floorRatio: number
  /** How far the rounds are apart, as a part of the median. */
  spread: number
}

interface Comparison {
  what: string
  ratio: number
  spread: number
}

const KINDS: readonly Kind[] = ['proof', 'resume']

/** The run as a table for people. */
export function tableOf(run: Run): string {
  const line = (what: string, ...cells: string[]) => `${what.padEnd(50)}${cells.map((cell) => cell.padStart(9)).join('')}`.trimEnd()
  const number = (value: number | undefined, digits: number) => (value === undefined ? '' : value.toFixed(digits))
  const percent = (part: number) => `${(part * 100).toFixed(0)} %`
  return [
    line('', 'CPU µs', '× floor', 'spread', 'conn/s', 'p50 ms', 'p99 ms'),
    ...rowsOf(run).map((row) =>
      line(
        row.what,
        number(row.cpuMicros, 0),
        number(row.floorRatio, 2),
        percent(row.spread),
        number(row.perSecond, 0),
        number(row.p50Ms, 1),
        number(row.p99Ms, 1),
      ),
    ),
    '',
    line('', 'ratio', 'spread'),
    ...comparisonsOf(run).map((each) => line(each.what, number(each.ratio, 2), percent(each.spread))),
    '',
  ].join('\n')
}

/** The run as JSON: machine, load, the table's rows and the crypto operations of each round. */
export function jsonOf(run: Run): string {
  const { machine, load, floors } = run
  return `${JSON.stringify({ machine, load, rows: rowsOf(run), comparisons: comparisonsOf(run), floors }, null, 1)}\n`
}

function rowsOf({ floors, rows }: Run): Row[] {
  const floorRows = KINDS.map((kind) => {
    const micros = floors.map((floor) => floor[kind])
    return { what: `crypto floor, ${kind}`, cpuMicros: median(micros), floorRatio: 1, spread: spread(micros) }
  })
  const measuredRows = rows.map((row) => {
    const ratios = row.figures.map(({ cpuMicros }, round) => cpuMicros / (floors[round]?.[row.kind] ?? Number.NaN))
    return { what: nameOf(row), ...medians(row.figures), floorRatio: median(ratios), spread: spread(ratios) }
  })
  return [...floorRows, ...measuredRows]
}

function nameOf({ subject, kind, xkey }: Measured): string {
  const audit = subject === 'decide in process' ? '' : ', audit on'
  return `${subject}, ${kind}, xkey ${xkey ? 'on' : 'off'}${audit}`
}

function medians(figures: readonly Figures[]): Figures {
  const of = (member: keyof Figures) => median(figures.flatMap((each) => each[member] ?? []))
  if (figures.every(({ perSecond }) => perSecond === undefined)) return { cpuMicros: of('cpuMicros') }
  return { cpuMicros: of('cpuMicros'), perSecond: of('perSecond'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms') }
}

/** What a resume saves, what xkey and everything around `decide` cost, and this build against another. */
function comparisonsOf({ rows }: Run): Comparison[] {
  const find = (subject: Subject, kind: Kind, xkey: boolean) =>
    rows.find((row) => row.subject === subject && row.kind === kind && row.xkey === xkey)
  const compare = (what: string, row: Measured | undefined, to: Measured | undefined): Comparison[] => {
    if (row === undefined || to === undefined) return []
    const ratios = row.figures.map(({ cpuMicros }, round) => cpuMicros / (to.figures[round]?.cpuMicros ?? Number.NaN))
    return [{ what, ratio: median(ratios), spread: spread(ratios) }]
  }
  return [
    ...[false, true].flatMap((xkey) =>
      compare(
        `process: resume / proof, xkey ${xkey ? 'on' : 'off'}`,
        find('verifier process', 'resume', xkey),
        find('verifier process', 'proof', xkey),
      ),
    ),
    ...KINDS.flatMap((kind) =>
      compare(`process: xkey on / off, ${kind}`, find('verifier process', kind, true), find('verifier process', kind, false)),
    ),
    ...KINDS.flatMap((kind) =>
      compare(`process / decide, ${kind}, xkey on`, find('verifier process', kind, true), find('decide in process', kind, true)),
    ),
    ...[false, true].flatMap((xkey) =>
      KINDS.flatMap((kind) =>
        compare(
          `this build / other build, ${kind}, xkey ${xkey ? 'on' : 'off'}`,
          find('verifier process', kind, xkey),
          find('other build', kind, xkey),
        ),
      ),
    ),
  ]
}
