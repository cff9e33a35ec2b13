/**
 * The verifier process over a real nats-server: CPU of its own per admitted connection, connections a second, latency.
 * Clients are raw sockets in this process, so the figures are of the verifier and not of a client library.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Product, startProductFiles, type TestIdentity } from '../test/support/product.ts'
import { boundResume, endorsing, proof } from '../test/support/proofs.ts'
import { rawClient } from '../test/support/raw-client.ts'
import { percentile } from './measure.ts'

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

export interface ConnectionBench {
  proof: ConnectionFigures
  resume: ConnectionFigures
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

export async function benchConnections({
  xkey,
  connections,
  concurrency,
}: {
  xkey: boolean
  connections: number
  concurrency: number
}): Promise<ConnectionBench> {
  const product = await startProductFiles({ xkey, policy: POLICY })
  const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
  const child = spawn(process.execPath, [cli, 'serve', '-c', product.configFile], { stdio: ['ignore', 'inherit', 'inherit'] })
  try {
    await untilReady(product.operationsUrl, child)
    const who = await product.enrolled('bench', { roles: ['bench'] })
    const prove = (nonce: string) => proof(who, { nonce, url: product.url })
    const resume = (nonce: string) => boundResume(who.session, { nonce, url: product.url })
    await load(product, child, { fields: prove, connections: Math.ceil(connections / 4), concurrency })
    await endorse(product, who)
    await load(product, child, { fields: resume, connections: Math.ceil(connections / 4), concurrency })
    return {
      proof: await load(product, child, { fields: prove, connections, concurrency }),
      resume: await load(product, child, { fields: resume, connections, concurrency }),
    }
  } finally {
    child.kill('SIGTERM')
    await once(child, 'exit')
    await product.stop()
  }
}

async function endorse(product: Pick<Product, 'deployment' | 'url'>, who: TestIdentity): Promise<void> {
  const client = await rawClient(product.deployment.server.port)
  const answer = await client.connect(endorsing(who, { nonce: client.info.nonce, url: product.url }))
  client.close()
  if (answer !== 'PONG') throw new Error(`endorsing the bench's session: ${answer}`)
}

async function load(
  product: Pick<Product, 'deployment'>,
  child: ChildProcess,
  { fields, connections, concurrency }: { fields: (nonce: string) => Record<string, unknown>; connections: number; concurrency: number },
): Promise<ConnectionFigures> {
  const latencies: number[] = []
  let left = connections
  const cpuBefore = processCpuMicros(child.pid as number)
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
    cpuMicros: (processCpuMicros(child.pid as number) - cpuBefore) / connections,
    perSecond: connections / seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  }
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
