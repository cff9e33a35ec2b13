/** What a connection costs, and how long a verifier takes to start, with few and with very many credentials. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ProductFiles, TestIdentity } from '../test/support/product.ts'
import { boundResume, proof } from '../test/support/proofs.ts'
import { startBenchDeployment } from './deployments.ts'
import { type ConnectionFigures, connectMany } from './load.ts'
import { fillPopulation, type PopulationSize } from './population.ts'
import { cpuMicrosOf, residentMiBOf } from './process-figures.ts'
import { type BenchedProcess, OWN_DIST, startVerifier } from './verifier.ts'

/** `first`: a credential that this verifier has not met since it started; `again`: one that it has; `resume`: its session. */
export type Acquaintance = 'first' | 'again' | 'resume'

export interface PopulationFigures {
  credentials: number
  sessions: number
  /** From the start of the process until it took requests. */
  readySeconds: number
  /** Until its caches were as full as they get. */
  settledSeconds: number
  /** Once settled. */
  residentMiB: number
  /** The same after all connections. */
  residentMiBAfter: number
  /** One of each round. */
  figures: Record<Acquaintance, ConnectionFigures[]>
}

export interface PopulationPlan {
  sizes: Pick<PopulationSize, 'credentials' | 'sessions'>[]
  rounds: number
  /** Of each kind, in each round. */
  connections: number
  concurrency: number
  /** Connections that are not timed, before the first round. */
  warmUp: number
}

interface Populated {
  /** The first of them only warm up. */
  who: TestIdentity[]
  warmUpMembers: number
  product: ProductFiles
  verifier: BenchedProcess
  result: PopulationFigures
}

/** Times all sizes in the same rounds, each with nats-server and a verifier of its own. */
export async function benchPopulations(plan: PopulationPlan, progress: (text: string) => void): Promise<PopulationFigures[]> {
  const populated: Populated[] = []
  for (const size of plan.sizes) populated.push(await populate(size, plan, progress))
  for (const each of populated) await warmUp(each, plan)
  for (let round = 0; round < plan.rounds; round++) {
    progress(`populations: round ${round + 1} of ${plan.rounds}`)
    for (const each of round % 2 === 0 ? populated : populated.toReversed()) await timeRound(each, plan, round)
  }
  for (const { result, verifier, product } of populated) {
    result.residentMiBAfter = residentMiBOf(verifier.pid)
    await verifier.stop()
    await product.stop()
  }
  return populated.map(({ result }) => result)
}

async function populate(size: PopulationPlan['sizes'][number], plan: PopulationPlan, progress: (text: string) => void): Promise<Populated> {
  progress(`populations: writing ${size.credentials.toLocaleString('en')} credentials`)
  const product = await startBenchDeployment({ xkey: true })
  const timed = plan.rounds * plan.connections
  const warmUpMembers = Math.min(size.credentials - timed, plan.warmUp)
  const who = await fillPopulation(product, { ...size, sample: warmUpMembers + timed })
  const begun = performance.now()
  const verifier = await startVerifier(product, { dist: OWN_DIST, audit: true, profileDir: null })
  const { pid, readyMs } = verifier
  await untilSettled(pid)
  const settledSeconds = (performance.now() - begun) / 1000
  progress(`populations: ready after ${(readyMs / 1000).toFixed(1)} s, settled after ${settledSeconds.toFixed(1)} s`)
  const figures = { first: [], again: [], resume: [] }
  const residentMiB = residentMiBOf(pid)
  const result = { ...size, readySeconds: readyMs / 1000, settledSeconds, residentMiB, residentMiBAfter: residentMiB, figures }
  return { who, warmUpMembers, product, verifier, result }
}

const settledMsMax = 180_000
const idleMicrosPerSecond = 40_000

/** Resolves when the process has next to nothing to do: what it reads in the background is read. */
async function untilSettled(pid: number): Promise<void> {
  const endsAt = performance.now() + settledMsMax
  while (performance.now() < endsAt) {
    const before = cpuMicrosOf(pid)
    await delay(1_000)
    if (cpuMicrosOf(pid) - before < idleMicrosPerSecond) return
  }
}

/** The compiler first, so that it does not look as if first connections were dear: as many as there are of them, then again. */
async function warmUp(
  { who, warmUpMembers, product, verifier: { pid } }: Populated,
  { concurrency, warmUp }: PopulationPlan,
): Promise<void> {
  const { url, deployment } = product
  const fields = (nonce: string, index: number) => proof(who[index % warmUpMembers] as TestIdentity, { nonce, url })
  await connectMany({ port: deployment.server.port, pid, fields }, { connections: warmUp, concurrency })
}

async function timeRound(
  { who, warmUpMembers, product, verifier: { pid }, result }: Populated,
  plan: PopulationPlan,
  round: number,
): Promise<void> {
  const { url, deployment } = product
  const members = who.slice(warmUpMembers + round * plan.connections, warmUpMembers + (round + 1) * plan.connections)
  const by = {
    proof: (nonce: string, index: number) => proof(members[index] as TestIdentity, { nonce, url }),
    resume: (nonce: string, index: number) => boundResume((members[index] as TestIdentity).session, { nonce, url }),
  }
  const timed = (fields: (typeof by)['proof']) =>
    connectMany({ port: deployment.server.port, pid, fields }, { connections: members.length, concurrency: plan.concurrency })
  result.figures.first.push(await timed(by.proof))
  result.figures.again.push(await timed(by.proof))
  if (result.sessions < result.credentials) return
  // Once unmeasured: a session that was not used since the start is asked for, as its credential was.
  await timed(by.resume)
  result.figures.resume.push(await timed(by.resume))
}
