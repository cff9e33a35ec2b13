/** Ratios, each taken within a round; what is shown is their median, and how far the rounds are apart. */
import type { Kind } from './floor.ts'
import { median, spread } from './measure.ts'
import type { Figures, Measured, Run, Subject } from './result.ts'

export interface Row extends Figures {
  what: string
  /** Times the crypto floor of the same kind. */
  floorRatio: number
  /** How far the rounds are apart, as a part of the median. */
  spread: number
}

export interface Comparison {
  what: string
  ratio: number
  spread: number
}

const FLOORS: readonly Kind[] = ['proof', 'endorsing', 'resume']
const KINDS: readonly Kind[] = ['proof', 'resume']

export function rowsOf({ floors, rows }: Run): Row[] {
  return [
    ...FLOORS.map((kind) =>
      floorRow(
        `crypto floor, ${kind}`,
        floors.map(({ openssl }) => openssl[kind]),
        floors.map(({ openssl }) => openssl[kind]),
      ),
    ),
    ...FLOORS.flatMap((kind) => {
      const micros = floors.flatMap(({ libsodium }) => (libsodium === null ? [] : [libsodium[kind]]))
      const openssl = floors.map((floor) => floor.openssl[kind])
      return micros.length < floors.length || micros.length === 0 ? [] : [floorRow(`crypto with libsodium, ${kind}`, micros, openssl)]
    }),
    ...rows.map((row) => {
      const ratios = row.figures.map(({ cpuMicros }, round) => cpuMicros / (floors[round]?.openssl[row.kind] ?? Number.NaN))
      return { what: nameOf(row), ...medians(row.figures), floorRatio: median(ratios), spread: spread(ratios) }
    }),
  ]
}

function floorRow(what: string, micros: number[], openssl: number[]): Row {
  const ratios = micros.map((each, round) => each / (openssl[round] ?? Number.NaN))
  return { what, cpuMicros: median(micros), floorRatio: median(ratios), spread: spread(micros) }
}

export function nameOf({ subject, kind, xkey, audit }: Measured): string {
  const recorded = subject === 'verifier process' || subject === 'other build' ? `, audit ${audit ? 'on' : 'off'}` : ''
  return `${subject}, ${kind}, xkey ${xkey ? 'on' : 'off'}${recorded}`
}

function medians(figures: readonly Figures[]): Figures {
  const of = (member: Exclude<keyof Figures, 'refused'>) => median(figures.flatMap((each) => each[member] ?? []))
  if (figures.every(({ perSecond }) => perSecond === undefined)) return { cpuMicros: of('cpuMicros') }
  return { cpuMicros: of('cpuMicros'), perSecond: of('perSecond'), p50Ms: of('p50Ms'), p99Ms: of('p99Ms') }
}

/** Ratio of one member of two rows, round by round; null where either is not there. */
function ratioOf(row: Measured | undefined, to: Measured | undefined, member: 'cpuMicros' | 'perSecond' = 'cpuMicros') {
  if (row === undefined || to === undefined || row.figures.length === 0) return null
  const ratios = row.figures.map((each, round) => (each[member] ?? Number.NaN) / (to.figures[round]?.[member] ?? Number.NaN))
  return { ratio: median(ratios), spread: spread(ratios) }
}

export function findRow({ rows }: Pick<Run, 'rows'>, wanted: Omit<Measured, 'figures' | 'audit'> & { audit?: boolean }) {
  const { subject, kind, xkey, audit = subject === 'verifier process' || subject === 'other build' } = wanted
  return rows.find((row) => row.subject === subject && row.kind === kind && row.xkey === xkey && row.audit === audit)
}

/** What a resume saves, what xkey, audit and everything around `decide` cost, and this verifier against others. */
export function comparisonsOf(run: Run): Comparison[] {
  const of = (subject: Subject, kind: Kind, xkey: boolean, audit?: boolean) =>
    findRow(run, { subject, kind, xkey, ...(audit === undefined ? {} : { audit }) })
  const compare = (what: string, row: Measured | undefined, to: Measured | undefined, member?: 'perSecond'): Comparison[] => {
    const found = ratioOf(row, to, member)
    return found === null ? [] : [{ what, ...found }]
  }
  const own = (kind: Kind, xkey: boolean, audit?: boolean) => of('verifier process', kind, xkey, audit)
  return [
    ...[false, true].flatMap((xkey) =>
      compare(`process: resume / proof, xkey ${xkey ? 'on' : 'off'}`, own('resume', xkey), own('proof', xkey)),
    ),
    ...compare('process: resume / proof that endorses, xkey on', own('resume', true), own('endorsing', true)),
    ...KINDS.flatMap((kind) => compare(`process: xkey on / off, ${kind}`, own(kind, true), own(kind, false))),
    ...KINDS.flatMap((kind) => compare(`process: audit on / off, ${kind}, xkey on`, own(kind, true), own(kind, true, false))),
    ...KINDS.flatMap((kind) => compare(`process / decide, ${kind}, xkey on`, own(kind, true), of('decide in process', kind, true))),
    ...compare('CPU: stock responder / process, proof, xkey on', of('stock responder', 'proof', true), own('proof', true)),
    ...compare('conn/s: process / stock responder, proof, xkey on', own('proof', true), of('stock responder', 'proof', true), 'perSecond'),
    ...compare('CPU: process / signing responder, proof, xkey on', own('proof', true), of('signing responder', 'proof', true)),
    ...[false, true].flatMap((xkey) =>
      KINDS.flatMap((kind) =>
        compare(`this build / other build, ${kind}, xkey ${xkey ? 'on' : 'off'}`, own(kind, xkey), of('other build', kind, xkey)),
      ),
    ),
  ]
}
