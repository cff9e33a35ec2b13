/** What the bench is to show, and whether this run showed it. A row that was not timed has no answer. */

import { comparisonsOf, findRow, nameOf, rowsOf } from './figures.ts'
import type { Kind } from './floor.ts'
import { median } from './measure.ts'
import type { Acquaintance, PopulationFigures } from './populations.ts'
import type { Run } from './result.ts'

export interface Aim {
  what: string
  /** Such as `≤ 2.00`. */
  aim: string
  found: number
  met: boolean
}

export function aimsOf(run: Run): Aim[] {
  return [
    ...atMost('proof without audit, times the crypto floor', floorRatio(run, 'proof', false), 2),
    ...atMost('proof with audit, times the crypto floor', floorRatio(run, 'proof', true), 3),
    ...atMost('resume / proof', comparison(run, 'process: resume / proof, xkey on'), 0.7),
    ...atLeast('connections a second, times the stock responder', comparison(run, 'conn/s: process / stock responder, proof, xkey on'), 40),
    ...atMost('CPU at the most credentials, times the fewest: met again', populationRatio(run.populations, 'again'), 1.2),
    ...atMost('CPU at the most credentials, times the fewest: met first', populationRatio(run.populations, 'first'), 1.2),
    ...atMost('memory at the most credentials, MiB', run.populations.at(-1)?.residentMiBAfter ?? null, 1024),
    ...atMost('restart storm, times the signing responder', restartRatio(run), 1.25),
    ...atMost('clients refused or left out after storms', leftOut(run), 0),
    ...atMost('p99 of good clients in the flood, times quiet', floodRatio(run), 2),
  ]
}

function atMost(what: string, found: number | null, limit: number): Aim[] {
  return found === null ? [] : [{ what, aim: `≤ ${limit}`, found, met: found <= limit }]
}

function atLeast(what: string, found: number | null, limit: number): Aim[] {
  return found === null ? [] : [{ what, aim: `≥ ${limit}`, found, met: found >= limit }]
}

function floorRatio(run: Run, kind: Kind, audit: boolean): number | null {
  const row = findRow(run, { subject: 'verifier process', kind, xkey: true, audit })
  return row === undefined ? null : (rowsOf(run).find(({ what }) => what === nameOf(row))?.floorRatio ?? null)
}

function comparison(run: Run, what: string): number | null {
  return comparisonsOf(run).find((each) => each.what === what)?.ratio ?? null
}

/** CPU per connection at the last size as a ratio to the first, the median of the rounds. */
export function populationRatio(populations: readonly PopulationFigures[], kind: Acquaintance): number | null {
  const [fewest, most] = [populations[0], populations.at(-1)]
  if (fewest === undefined || most === undefined || fewest === most) return null
  return median(most.figures[kind].map(({ cpuMicros }, round) => cpuMicros / (fewest.figures[kind][round]?.cpuMicros ?? Number.NaN)))
}

function restartRatio({ storms }: Run): number | null {
  const times = (responder: string) =>
    storms.filter((storm) => storm.what === 'restart' && storm.responder === responder).map(({ allBackMs }) => allBackMs)
  const [own, other] = [times('verifier'), times('signing responder')]
  return own.length === 0 || other.length === 0 ? null : median(own.map((ms, round) => ms / (other[round] ?? Number.NaN)))
}

function leftOut({ storms }: Run): number | null {
  const own = storms.filter(({ responder }) => responder === 'verifier')
  return own.length === 0 ? null : own.reduce((sum, { clients, back, refusals }) => sum + clients - back + refusals, 0)
}

function floodRatio({ flood }: Run): number | null {
  return flood.length === 0 ? null : median(flood.map(({ quiet, flooded }) => flooded.p99Ms / quiet.p99Ms))
}
