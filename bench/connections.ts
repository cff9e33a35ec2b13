/**
 * The verifier process over a real nats-server: CPU of its own per admitted connection, connections a second, latency.
 * Clients are raw sockets in this process, so the figures are of the verifier and not of a client library.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ProductFiles, startProductFiles, type TestIdentity } from '../test/support/product.ts'
import { boundResume, endorsing, proof } from '../test/support/proofs.ts'
import { rawClient } from '../test/support/raw-client.ts'
import type { Kind } from './floor.ts'
import { percentile, type Timed } from './measure.ts'

const POLICY = `version: 1
roles:
  bench:
    account: APP
    publish: { allow: ["bench.{{user}}.>"] }
    subscribe: { allow: ["work.bench"] }
    session: 1h
`

export interface ConnectionFigures {
  cpuMicros: number
  perSecond: number
  p50Ms: number
  p99Ms: number
}

export interface BenchedVerifier {
  timed(kind: Kind, load: Load): Timed<ConnectionFigures>
  stop(): Promise<void>
}

interface Load {
  connections: number
  concurrency: number
}

export interface BenchedVerifierOptions {
  xkey: boolean
  /** The build to run: a directory as `npm run build` makes it. */
  dist: string
  /** Where the process leaves a CPU profile when it ends, or null. */
  profileDir: string | null
}

/** Starts nats-server and a verifier, with one identity that proves and one endorsed session that resumes. */
export async function startBenchedVerifier({ xkey, dist, profileDir }: BenchedVerifierOptions): Promise<BenchedVerifier> {
  const product = await startProductFiles({ xkey, policy: POLICY, logLevel: 'info' })
  const profiling = profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]
  const child = spawn(process.execPath, [...profiling, join(dist, 'cli/main.js'), 'serve', '-c', product.configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  // Lines are read, as a log collector would, and what went wrong is shown.
  child.stderr.setEncoding('utf8').on('data', showTrouble)
  const stop = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    await product.stop()
  }
  try {
    await untilReady(product.operationsUrl, child)
    const who = await product.enrolled('bench', { roles: ['bench'] })
    await endorse(product, who)
    const fields = {
      proof: (nonce: string) => proof(who, { nonce, url: product.url }),
      resume: (nonce: string) => boundResume(who.session, { nonce, url: product.url }),
    }
    return { timed: (kind, load) => () => connectMany(product, child, { ...load, fields: fields[kind] }), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function showTrouble(lines: string): void {
  for (const line of lines.split('\n')) if (/"level":"(error|fatal)"/.test(line)) process.stderr.write(`${line}\n`)
}

async function endorse(product: ProductFiles, who: TestIdentity): Promise<void> {
  const client = await rawClient(product.deployment.server.port)
  const answer = await client.connect(endorsing(who, { nonce: client.info.nonce, url: product.url }))
  client.close()
  if (answer !== 'PONG') throw new Error(`endorsing the bench's session: ${answer}`)
}

async function connectMany(
  product: ProductFiles,
  child: ChildProcess,
  { fields, connections, concurrency }: Load & { fields: (nonce: string) => Record<string, unknown> },
): Promise<ConnectionFigures> {
  const latencies: number[] = []
  let left = connections
  const pid = child.pid as number
  const cpuBefore = processCpuMicros(pid)
  const begun = performance.now()
  async function one(): Promise<void> {
    while (left-- > 0) {
      const client = await rawClient(product.deployment.server.port)
      const connect = fields(client.info.nonce)
      const sent = performance.now()
      const answer = await client.connect(connect)
      latencies.push(performance.now() - sent)
      client.close()
      if (answer !== 'PONG') throw new Error(`benching connections: ${answer}`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, one))
  const seconds = (performance.now() - begun) / 1000
  return {
    cpuMicros: (processCpuMicros(pid) - cpuBefore) / connections,
    perSecond: connections / seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  }
}

// Clock ticks a second in /proc/PID/stat: 100 on every Linux that Node runs on.
const tickMicros = 10_000

/** User and system time of process `pid`, microseconds. */
function processCpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickMicros
}

async function untilReady(operationsUrl: string, child: ChildProcess): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (child.exitCode !== null) throw new Error('starting the verifier: it ended')
    const ready = await fetch(`${operationsUrl}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    )
    if (ready) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('starting the verifier: never ready')
}
