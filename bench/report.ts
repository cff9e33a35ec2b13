/** A run as tables for people, or as JSON. */
import { type Aim, aimsOf } from './aims.ts'
import { comparisonsOf, rowsOf } from './figures.ts'
import { median } from './measure.ts'
import type { Acquaintance, PopulationFigures } from './populations.ts'
import type { Run } from './result.ts'

const labelWidth = 58
const cellWidth = 10

/** The run as tables for people. */
export function tableOf(run: Run): string {
  const tables = [connectionTable(run), comparisonTable(run), populationTable(run), stormTable(run), floodTable(run), aimTable(aimsOf(run))]
  const refused = refusedOf(run)
  if (refused > 0)
    tables.push([`${refused} connections of the first tables were refused:`, 'the machine was too busy for a figure to mean much.'])
  return `${tables
    .filter((lines) => lines.length > 1)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`
}

/** The run as JSON: all figures of each round, and what the tables make of them. */
export function jsonOf(run: Run): string {
  return `${JSON.stringify({ ...run, table: rowsOf(run), comparisons: comparisonsOf(run), aims: aimsOf(run) }, null, 1)}\n`
}

function refusedOf({ rows, populations }: Run): number {
  const all = [...rows.flatMap(({ figures }) => figures), ...populations.flatMap(({ figures }) => Object.values(figures).flat())]
  return all.reduce((sum, { refused = 0 }) => sum + refused, 0)
}

function line(what: string, ...cells: string[]): string {
  return `${what.padEnd(labelWidth)}${cells.map((cell) => cell.padStart(cellWidth)).join('')}`.trimEnd()
}

function number(value: number | undefined, digits: number): string {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits)
}

function percent(part: number): string {
  return `${(part * 100).toFixed(0)} %`
}

function connectionTable(run: Run): string[] {
  if (run.floors.length === 0) return []
  return [
    line('one connection', 'CPU µs', '× floor', 'spread', 'conn/s', 'p50 ms', 'p99 ms'),
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
  ]
}

function comparisonTable(run: Run): string[] {
  return [
    line('compared, round by round', 'ratio', 'spread'),
    ...comparisonsOf(run).map((each) => line(each.what, number(each.ratio, 2), percent(each.spread))),
  ]
}

const MET: Record<Acquaintance, string> = { first: 'proof, met first', again: 'proof, met again', resume: 'resume' }

function populationTable({ populations }: Run): string[] {
  const [fewest] = populations
  const cpu = (of: PopulationFigures | undefined, kind: Acquaintance) => of?.figures[kind].map(({ cpuMicros }) => cpuMicros) ?? []
  return [
    line('population', 'CPU µs', '× fewest', 'p50 ms', 'p99 ms', 'ready s', 'full s', 'RSS MiB'),
    ...populations.flatMap((each) =>
      (Object.keys(MET) as Acquaintance[]).flatMap((kind) => {
        const figures = each.figures[kind]
        if (figures.length === 0) return []
        const ratios = cpu(each, kind).map((micros, round) => micros / (cpu(fewest, kind)[round] ?? Number.NaN))
        return [
          line(
            `${each.credentials.toLocaleString('en')} credentials, ${each.sessions.toLocaleString('en')} sessions: ${MET[kind]}`,
            number(median(cpu(each, kind)), 0),
            number(median(ratios), 2),
            number(median(figures.map(({ p50Ms }) => p50Ms)), 1),
            number(median(figures.map(({ p99Ms }) => p99Ms)), 1),
            number(each.readySeconds, 1),
            number(each.settledSeconds, 1),
            number(each.residentMiBAfter, 0),
          ),
        ]
      }),
    ),
  ]
}

const STORMS = { reload: 'reload of nats-server', expiry: 'simultaneous expiries', restart: 'restart of nats-server' } as const

function stormTable({ storms }: Run): string[] {
  return [
    line('storm', 'back', 'refused', 'gave up', 'proofs', 'p50 s', 'p99 s', 'all s'),
    ...storms.map((storm) =>
      line(
        `${storm.clients.toLocaleString('en')} clients, ${STORMS[storm.what]}, ${storm.responder}`,
        String(storm.back),
        String(storm.refusals),
        String(storm.gaveUp),
        String(storm.proofs),
        number(storm.outsideMs.median / 1000, 1),
        number(storm.outsideMs.p99 / 1000, 1),
        number(storm.allBackMs / 1000, 1),
      ),
    ),
  ]
}

function floodTable({ flood }: Run): string[] {
  return [
    line('flood', 'granted', 'refused', 'p50 ms', 'p99 ms', 'bad', 'admitted', 'RSS MiB'),
    ...flood.flatMap(({ quiet, flooded, bad, residentMiB }, round) => [
      line(`round ${round + 1}: quiet`, String(quiet.granted), String(quiet.refused), number(quiet.p50Ms, 1), number(quiet.p99Ms, 1)),
      line(
        `round ${round + 1}: with ten times as many bad ones`,
        String(flooded.granted),
        String(flooded.refused),
        number(flooded.p50Ms, 1),
        number(flooded.p99Ms, 1),
        String(bad.connections),
        String(bad.admitted),
        number(residentMiB, 0),
      ),
    ]),
  ]
}

function aimTable(aims: readonly Aim[]): string[] {
  return [
    line('aim', 'aim', 'found', ''),
    ...aims.map(({ what, aim, found, met }) => line(what, aim, number(found, 2), met ? 'met' : 'missed')),
  ]
}
