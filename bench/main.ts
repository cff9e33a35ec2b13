/**
 * npm run bench [-- --json] [--connections N]
 * One table: what one admitted connection costs, as ratios to the crypto floor measured in the same run.
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { benchConnections, type ConnectionFigures } from './connections.ts'
import { measureFloor } from './floor.ts'
import { measureDecide } from './in-process.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    connections: { type: 'string', default: '2000' },
    concurrency: { type: 'string', default: '64' },
  },
})
const connections = Number(values.connections)
const concurrency = Number(values.concurrency)
const progress = (text: string) => void process.stderr.write(`${text}\n`)

interface Row {
  what: string
  cpuMicros: number
  /** Times the crypto floor of the same kind. */
  floorRatio: number
  perSecond?: number
  p50Ms?: number
  p99Ms?: number
}

progress('timing the crypto floor')
const floor = await measureFloor(2000, 5)
const rows: Row[] = [
  { what: 'crypto floor, proof', cpuMicros: floor.proofMicros, floorRatio: 1 },
  { what: 'crypto floor, resume', cpuMicros: floor.resumeMicros, floorRatio: 1 },
]
for (const xkey of [false, true]) {
  for (const kind of ['proof', 'resume'] as const) {
    progress(`timing decide: ${kind}, xkey ${xkey ? 'on' : 'off'}`)
    const cpuMicros = await measureDecide(kind, { xkey, calls: 1000, rounds: 5 })
    rows.push({ what: `decide in process, ${kind}, xkey ${xkey ? 'on' : 'off'}`, cpuMicros, floorRatio: cpuMicros / floorOf(kind) })
  }
}
for (const xkey of [false, true]) {
  progress(`connecting ${connections} clients for each kind, xkey ${xkey ? 'on' : 'off'}`)
  const figures = await benchConnections({ xkey, connections, concurrency })
  for (const kind of ['proof', 'resume'] as const) rows.push(connectionRow(kind, xkey, figures[kind]))
}

function floorOf(kind: 'proof' | 'resume'): number {
  return kind === 'proof' ? floor.proofMicros : floor.resumeMicros
}

function connectionRow(kind: 'proof' | 'resume', xkey: boolean, figures: ConnectionFigures): Row {
  const { cpuMicros, perSecond, p50Ms, p99Ms } = figures
  const what = `verifier process, ${kind}, xkey ${xkey ? 'on' : 'off'}, audit on`
  return { what, cpuMicros, floorRatio: cpuMicros / floorOf(kind), perSecond, p50Ms, p99Ms }
}

if (values.json) {
  const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? '', node: process.version }
  process.stdout.write(`${JSON.stringify({ machine, connections, concurrency, floor, rows }, null, 1)}\n`)
} else {
  process.stdout.write(
    `${'what'.padEnd(54)}${'CPU µs'.padStart(9)}${'× floor'.padStart(9)}${'conn/s'.padStart(9)}${'p50 ms'.padStart(9)}${'p99 ms'.padStart(9)}\n`,
  )
  for (const { what, cpuMicros, floorRatio, perSecond, p50Ms, p99Ms } of rows) {
    const number = (value: number | undefined, digits: number) => (value === undefined ? '' : value.toFixed(digits)).padStart(9)
    process.stdout.write(
      `${what.padEnd(54)}${number(cpuMicros, 0)}${number(floorRatio, 2)}${number(perSecond, 0)}${number(p50Ms, 1)}${number(p99Ms, 1)}\n`,
    )
  }
}
