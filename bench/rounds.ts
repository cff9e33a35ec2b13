/** Everything that handles one connection, timed in the same rounds: each round times everything once. */
import { type Benched, benchResponder, benchVerifier } from './connections.ts'
import { type Floors, type Kind, timedFloors } from './floor.ts'
import { timedDecide } from './in-process.ts'
import type { Load } from './load.ts'
import type { Timed } from './measure.ts'
import type { BenchOptions } from './options.ts'
import type { Figures, Measured, Run, Subject } from './result.ts'
import { OWN_DIST } from './verifier.ts'

const callsPerRound = 500
// The compiler goes on improving the verifier for some thousands of connections.
const warmUpConnections = 3_000
const stockWarmUpConnections = 40
const KINDS = ['proof', 'resume'] as const satisfies Kind[]

type TimedRow = Measured & { timed: Timed<Figures> }

export async function benchConnections(options: BenchOptions, progress: (text: string) => void): Promise<Pick<Run, 'floors' | 'rows'>> {
  progress('connections: warming up')
  const floor = await timedFloors(callsPerRound)
  const rows = [...(await decideRows()), ...(await verifierRows(options)), ...(await responderRows(options))]
  const floors: Floors[] = []
  for (let round = 1; round <= options.rounds; round++) {
    progress(`connections: round ${round} of ${options.rounds}`)
    floors.push(await floor())
    // Forth and back, so that nobody always comes after the same neighbour.
    for (const row of round % 2 === 1 ? rows : rows.toReversed()) row.figures.push(await row.timed())
  }
  return { floors, rows: rows.map(({ timed: _, ...row }) => row) }
}

async function decideRows(): Promise<TimedRow[]> {
  const rows: TimedRow[] = []
  for (const xkey of [false, true]) {
    for (const kind of KINDS) {
      const timed = await timedDecide(kind, { xkey, calls: callsPerRound })
      const measured = async () => ({ cpuMicros: await timed() })
      rows.push({ subject: 'decide in process', kind, xkey, audit: false, figures: [], timed: measured })
    }
  }
  return rows
}

async function verifierRows({ against, profileDir, connections, concurrency }: BenchOptions): Promise<TimedRow[]> {
  const builds: { subject: Subject; dist: string }[] = [{ subject: 'verifier process', dist: OWN_DIST }]
  if (against !== null) builds.push({ subject: 'other build', dist: against })
  const rows: TimedRow[] = []
  for (const [xkey, audit] of [
    [false, true],
    [true, true],
    [true, false],
  ] as const) {
    for (const { subject, dist } of builds) {
      const benched = await benchVerifier({ xkey, audit, dist, profileDir })
      rows.push(
        ...(await warmedUp(benched, xkey && audit ? [...KINDS, 'endorsing'] : KINDS, {
          subject,
          xkey,
          audit,
          load: { connections, concurrency },
          warmUp: warmUpConnections,
        })),
      )
    }
  }
  return rows
}

// A connection takes it a tenth of a second: with more of them, or more at once, nats-server would give up waiting.
const stockLoad = { connections: 24, concurrency: 8 }

async function responderRows({ connections, concurrency }: BenchOptions): Promise<TimedRow[]> {
  const shared = { xkey: true, audit: false } as const
  const stock = { subject: 'stock responder', ...shared, load: stockLoad, warmUp: stockWarmUpConnections } as const
  const signing = { subject: 'signing responder', ...shared, load: { connections, concurrency }, warmUp: warmUpConnections } as const
  return [
    ...(await warmedUp(await benchResponder('stock'), ['proof'], stock)),
    ...(await warmedUp(await benchResponder('signing'), ['proof'], signing)),
  ]
}

async function warmedUp(
  benched: Benched,
  kinds: readonly Kind[],
  { load, warmUp, ...row }: Pick<Measured, 'subject' | 'xkey' | 'audit'> & { load: Load; warmUp: number },
): Promise<TimedRow[]> {
  const rows: TimedRow[] = []
  for (const kind of kinds) {
    const timed = benched.timed(kind, load)
    for (let warm = 0; warm < warmUp; warm += load.connections) await timed()
    rows.push({ ...row, kind, figures: [], timed })
  }
  return rows
}
