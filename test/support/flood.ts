/** A verifier as a process, good clients here, and bad ones in a process of their own (flood-process.ts). */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { connect, type NatsConnection } from 'nats'
import { tailTrail } from '../../src/audit/tail.ts'
import type { CredentialRecord } from '../../src/core/records.ts'
import { until } from './links.ts'
import { seriesValue } from './metrics.ts'
import { nkeyUser, type ProductFiles, startProductFiles, type TestIdentity } from './product.ts'
import { endorsing, proof } from './proofs.ts'
import { rawClient } from './raw-client.ts'
import { type Concurrency, type Rate, steadily } from './steadily.ts'
import { startVerifierProcess, type VerifierProcess } from './verifier-process.ts'

export const FLOOD_KINDS = ['silent', 'garbage', 'oversized', 'unknown', 'replayed', 'misdirected', 'forged', 'stolenSession'] as const
export type FloodKind = (typeof FLOOD_KINDS)[number]

/** What the flooding process is told. */
export interface FloodPlan {
  port: number
  url: string
  /** Loopback addresses that it connects from, in turn. */
  sources: string[]
  kinds: readonly FloodKind[]
  /** An enrolled credential and an endorsed session nkey, whose keys the flood does not have. */
  credential: CredentialRecord
  sessionNkey: string
  /** CONNECT fields that were granted to another connection. */
  recorded: Record<string, unknown>
  load: ({ kind: 'rate' } & Rate) | ({ kind: 'concurrency' } & Concurrency)
}

export interface FloodCounts {
  refused: number
  admitted: number
  /** Neither: the connection broke. */
  failed: number
}

export interface GoodFigures {
  granted: number
  refused: number
  /** From CONNECT to PONG, milliseconds, sorted. */
  latenciesMs: number[]
}

export interface FloodField {
  files: ProductFiles
  verifier: VerifierProcess
  who: TestIdentity
  /** Where the flood comes from. */
  sources: string[]
  /** Good clients from 127.0.0.1, each with a proof of its own. */
  good(rate: Rate): Promise<GoodFigures>
  flood(load: FloodPlan['load'], choice?: { kinds?: readonly FloodKind[]; sources?: string[] }): Promise<FloodCounts>
  /** Counters of denials by reason, those that are not 0. */
  denials(): Promise<Record<string, number>>
  /** The value of one series. */
  metric(series: string): Promise<number>
  /** Sum of the counts of all records of denials, by reason. */
  recordedDenials(): Promise<Record<string, number>>
  /** Holds the verifier until about so many requests of `load` wait for it, and lets it find them all at once. */
  heldUp<T>(requests: number, load: () => Promise<T>): Promise<T>
  /** Resident memory of the verifier, bytes. */
  residentBytes(): number
  stop(): Promise<void>
}

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.>"] }
    session: 1h
`

/** `callout`: further lines of that section of nats-webauthn.yaml. */
export async function startFloodField({ callout = [], xkey = true }: { callout?: string[]; xkey?: boolean } = {}): Promise<FloodField> {
  // Longer than a slow machine holds anybody up: what is counted must not depend on its speed.
  const edit = (config: string) => config.replace(/^ {2}timeout: 5$/m, '  timeout: 60')
  const files = await startProductFiles({ policy: POLICY, xkey, edit, logLevel: 'info' })
  const { configFile, operationsUrl, deployment, url } = files
  const text = readFileSync(configFile, 'utf8')
  writeFileSync(configFile, text.replace('callout:\n', ['callout:\n', ...callout.map((line) => `  ${line}\n`)].join('')))
  const verifier = await startVerifierProcess(configFile, operationsUrl)
  const flooding = fork(fileURLToPath(new URL('flood-process.ts', import.meta.url)), { execArgv: ['--import', 'tsx'] })
  await once(flooding, 'message')
  const auditor = await connect(nkeyUser(deployment, 'auditor', '_INBOX_auditor'))
  const monitor = await connect(nkeyUser(deployment, 'verifierSys', '_INBOX_verifier_sys'))
  const { port } = deployment.server
  const who = await files.enrolled('orders', { roles: ['orders-writer'] })
  const victim = await files.enrolled('victim', { roles: ['orders-writer'] })
  const recorded = await admitted(port, (nonce) => proof(victim, { nonce, url }))
  await admitted(port, (nonce) => endorsing(victim, { nonce, url }))
  const plan = { port, url, credential: victim.credential, sessionNkey: victim.session.publicKey, recorded }
  const here = await loopbackSources(8)
  return {
    files,
    verifier,
    who,
    sources: here,
    good: (rate) => goodClients(port, (nonce) => proof(who, { nonce, url }), rate),
    flood: (load, { kinds = FLOOD_KINDS, sources = here } = {}) => ordered(flooding, { ...plan, load, kinds, sources }),
    denials: async () => denialsIn(await exposition(operationsUrl)),
    metric: async (series) => seriesValue(await exposition(operationsUrl), series) ?? Number.NaN,
    recordedDenials: () => recordedDenials(auditor),
    heldUp: async (requests, load) => {
      const before = await messagesTo(monitor, 'nats-webauthn verifier (auth)')
      verifier.child.kill('SIGSTOP')
      const loaded = load()
      await until('the requests are sent', async () => (await messagesTo(monitor, 'nats-webauthn verifier (auth)')) >= before + requests)
      verifier.child.kill('SIGCONT')
      return loaded
    },
    residentBytes: () => residentBytesOf(verifier.child.pid as number),
    async stop() {
      flooding.disconnect()
      await Promise.all([auditor.close(), monitor.close()])
      await verifier.stop('SIGKILL')
      await files.stop()
    },
  }
}

async function admitted(port: number, fields: (nonce: string) => Record<string, unknown>): Promise<Record<string, unknown>> {
  const client = await rawClient(port)
  const given = fields(client.info.nonce)
  const answer = await client.connect(given)
  client.close()
  if (answer !== 'PONG') throw new Error(`connecting before the flood: ${answer}`)
  return given
}

async function goodClients(port: number, fields: (nonce: string) => Record<string, unknown>, rate: Rate): Promise<GoodFigures> {
  const figures: GoodFigures = { granted: 0, refused: 0, latenciesMs: [] }
  await steadily(rate, async () => {
    const client = await rawClient(port)
    const given = fields(client.info.nonce)
    const sentAt = performance.now()
    if ((await client.connect(given)) === 'PONG') figures.granted++
    else figures.refused++
    figures.latenciesMs.push(performance.now() - sentAt)
    client.close()
  })
  figures.latenciesMs.sort((a, b) => a - b)
  return figures
}

async function ordered(flooding: ChildProcess, plan: FloodPlan): Promise<FloodCounts> {
  flooding.send(plan)
  const [counts] = (await once(flooding, 'message')) as [FloodCounts]
  return counts
}

/** Addresses to flood from. Linux answers to all of 127.0.0.0/8; where only 127.0.0.1 is there, everybody comes from that. */
async function loopbackSources(count: number): Promise<string[]> {
  const wanted = Array.from({ length: count }, (_, i) => `127.0.0.${i + 2}`)
  const probe = createServer()
  const isThere = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen({ port: 0, host: wanted[0] }, () => resolve(true))
  })
  probe.close()
  return isThere ? wanted : ['127.0.0.1']
}

async function exposition(operationsUrl: string): Promise<string> {
  const answer = await fetch(`${operationsUrl}/metrics`)
  return answer.text()
}

function denialsIn(body: string): Record<string, number> {
  const series = [...body.matchAll(/^nats_webauthn_verdicts_total\{outcome="denied",reason="(\w+)"\} (\d+)$/gm)]
  return Object.fromEntries(series.flatMap(([, reason, count]) => (count === '0' ? [] : [[reason, Number(count)]])))
}

async function recordedDenials(auditor: NatsConnection): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for await (const { subject, body } of tailTrail(auditor, { filter: '>', since: null, follow: false })) {
    if (!subject.includes('.denied.')) continue
    const reason = subject.slice(subject.lastIndexOf('.') + 1)
    const { count } = JSON.parse(body) as { count?: number }
    counts[reason] = (counts[reason] ?? 0) + (count ?? 1)
  }
  return counts
}

/** How many messages nats-server has sent to the connection of this name. */
async function messagesTo(monitor: NatsConnection, name: string): Promise<number> {
  const answer = await monitor.request('$SYS.REQ.SERVER.PING.CONNZ')
  const { data } = answer.json<{ data: { connections: { name?: string; out_msgs: number }[] } }>()
  return data.connections.find((connection) => connection.name === name)?.out_msgs ?? 0
}

/** Needs /proc; NaN where there is none. */
function residentBytesOf(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes) * 1024
  } catch {
    return Number.NaN
  }
}
