/**
 * npm run bench [-- OPTIONS]: what one admitted connection costs, as ratios to the crypto floor of the same run
 * (docs/bench.md). Everything is timed once a round, so that all rows see the same noise; the figures are medians.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startBenchedVerifier } from './connections.ts'
import { type Kind, timedFloor } from './floor.ts'
import { timedDecide } from './in-process.ts'
import { type Measured, printJson, printTable } from './report.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    /** For each row of the verifier process, over all rounds. */
    connections: { type: 'string', default: '2000' },
    concurrency: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
    /** Another build (a `dist` directory) to time beside this one. */
    against: { type: 'string' },
    /** A directory for CPU profiles of the verifier process. */
    profile: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const load = { connections: Math.ceil(Number(values.connections) / rounds), concurrency: Number(values.concurrency) }
const callsPerRound = 500
const KINDS: readonly Kind[] = ['proof', 'resume']
const progress = (text: string) => void process.stderr.write(`${text}\n`)

const builds = [{ name: '', dist: fileURLToPath(new URL('../dist', import.meta.url)) }]
if (values.against !== undefined) builds.push({ name: 'other build: ', dist: values.against })

progress('warming up')
const floor = await timedFloor(callsPerRound)
const rows: Measured[] = []
const stops: (() => Promise<void>)[] = []
try {
  for (const xkey of [false, true]) {
    for (const kind of KINDS) {
      const timed = await timedDecide(kind, { xkey, calls: callsPerRound })
      const what = `decide in process, ${kind}, xkey ${xkey ? 'on' : 'off'}`
      rows.push({ what, kind, timed: async () => ({ cpuMicros: await timed() }), figures: [] })
    }
  }
  for (const xkey of [false, true]) {
    for (const { name, dist } of builds) {
      const verifier = await startBenchedVerifier({ xkey, dist, profileDir: values.profile ?? null })
      stops.push(verifier.stop)
      for (const kind of KINDS) {
        const timed = verifier.timed(kind, load)
        for (let i = 0; i < 3; i++) await timed()
        rows.push({ what: `${name}verifier process, ${kind}, xkey ${xkey ? 'on' : 'off'}, audit on`, kind, timed, figures: [] })
      }
    }
  }
  const floors: Awaited<ReturnType<typeof floor>>[] = []
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`)
    floors.push(await floor())
    for (const row of rows) row.figures.push(await row.timed())
  }
  const print = values.json ? printJson : printTable
  print({ floors, rows, load: { connections: load.connections * rounds, concurrency: load.concurrency, rounds } })
} finally {
  for (const stop of stops) await stop()
}
