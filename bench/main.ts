/**
 * npm run bench [-- OPTIONS]: what one admitted connection costs, as ratios to the crypto floor of the same run
 * (docs/bench.md). Every round times everything once, so that all rows see the same noise; the figures are medians.
 */
import { cpus } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startBenchedVerifier } from './connections.ts'
import { type Floor, type Kind, timedFloor } from './floor.ts'
import { timedDecide } from './in-process.ts'
import type { Timed } from './measure.ts'
import { type Figures, jsonOf, type Measured, type Subject, tableOf } from './report.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    // For each row of a verifier process, over all rounds.
    connections: { type: 'string', default: '3000' },
    concurrency: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '7' },
    // Another build (its `dist` directory), timed beside this one.
    against: { type: 'string' },
    // A directory for CPU profiles of the verifier processes.
    profile: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const load = { connections: Math.ceil(Number(values.connections) / rounds), concurrency: Number(values.concurrency) }
const callsPerRound = 500
const warmUpLoads = 3
const KINDS: readonly Kind[] = ['proof', 'resume']
const builds: { subject: Subject; dist: string }[] = [
  { subject: 'verifier process', dist: fileURLToPath(new URL('../dist', import.meta.url)) },
]
if (values.against !== undefined) builds.push({ subject: 'other build', dist: resolve(values.against) })
const progress = (text: string) => void process.stderr.write(`${text}\n`)

const rows: (Measured & { timed: Timed<Figures> })[] = []
const floors: Floor[] = []
const stops: (() => Promise<void>)[] = []

async function prepareDecide(kind: Kind, xkey: boolean): Promise<void> {
  const timed = await timedDecide(kind, { xkey, calls: callsPerRound })
  rows.push({ subject: 'decide in process', kind, xkey, figures: [], timed: async () => ({ cpuMicros: await timed() }) })
}

async function prepareVerifier({ subject, dist }: (typeof builds)[number], xkey: boolean): Promise<void> {
  const verifier = await startBenchedVerifier({ xkey, dist, profileDir: values.profile ?? null })
  stops.push(verifier.stop)
  for (const kind of KINDS) {
    const timed = verifier.timed(kind, load)
    for (let i = 0; i < warmUpLoads; i++) await timed()
    rows.push({ subject, kind, xkey, figures: [], timed })
  }
}

try {
  progress('warming up')
  const floor = await timedFloor(callsPerRound)
  for (const xkey of [false, true]) for (const kind of KINDS) await prepareDecide(kind, xkey)
  for (const xkey of [false, true]) for (const build of builds) await prepareVerifier(build, xkey)
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`)
    floors.push(await floor())
    // Forth and back, so that nobody always comes after the same neighbour.
    for (const row of round % 2 === 1 ? rows : rows.toReversed()) row.figures.push(await row.timed())
  }
} finally {
  for (const stop of stops) await stop()
}

const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? '', node: process.version }
const run = { machine, load: { ...load, connections: load.connections * rounds, rounds }, floors, rows }
process.stdout.write(values.json ? jsonOf(run) : tableOf(run))
