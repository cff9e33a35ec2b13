/**
 * A fleet of clients in processes of their own, connected through the SDK, for storms:
 *
 *   const fleet = await startFleet({ url, keyFiles: [keyFileOf(identity, url)], clients: 5_000, library: 'nats' })
 *   const figures = await fleet.storm(() => reload(), { withinMs: 60_000 })
 *   await fleet.stop()
 *
 * Clients may share a credential, where the policy puts no limit on connections: each has a session key of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { NatsOptions } from '../../src/client/index.ts'
import { base64url } from '../../src/core/encoding.ts'
import type { TestIdentity } from './product.ts'

export type FleetLibrary = 'nats' | 'transport-node'

export interface FleetOptions {
  /** The server's canonical address. */
  url: string
  /** Texts of key files (keyFileOf); the clients take turns. */
  keyFiles: string[]
  clients: number
  library: FleetLibrary
  /** First connections a second, of all processes together. Default 300. */
  perSecond?: number
  /** Default 5 000: sockets, memory and one thread are a process's own. */
  clientsPerProcessMax?: number
  /** Options for the client library, as programs may set them. */
  nats?: Pick<NatsOptions, 'timeout' | 'reconnectTimeWait' | 'reconnectJitter' | 'pingInterval'>
}

/** Counted since the start, or since the storm began. */
export interface FleetCounts {
  /** Connected now. */
  up: number
  /** Came back at least once, and are connected now. */
  back: number
  /** CONNECTs sent. */
  attempts: number
  reconnects: number
  /** CONNECTs that the server refused, `unanswered` included: those took as long as its authorization timeout. */
  refusals: number
  unanswered: number
  /** How often a key signed: touches, if it were a person's. */
  proofs: number
  /** Connections that ended for good. */
  gaveUp: number
  /** Epoch milliseconds of the last client's return, 0 before. */
  lastBackAt: number
}

export interface StormFigures extends Omit<FleetCounts, 'lastBackAt'> {
  clients: number
  /** From the cause to the last client's return. */
  allBackMs: number
  /** Milliseconds that clients were without a connection. */
  outsideMs: { median: number; p99: number; longest: number }
  /** Milliseconds from CONNECT to refusal, the longest. */
  refusedAfterMs: number
}

export interface Fleet {
  counts(): FleetCounts
  /**
   * Runs `cause` and resolves when every client came back, or `withinMs` later (default 120 000) with those that did. The
   * storm begins when `cause` is called, or at the epoch milliseconds that it resolves with.
   */
  storm(cause: () => unknown, options?: { withinMs?: number }): Promise<StormFigures>
  stop(): Promise<void>
}

export interface FleetStart extends Required<Pick<FleetOptions, 'url' | 'keyFiles' | 'clients' | 'library' | 'perSecond'>> {
  kind: 'start'
  nats: FleetOptions['nats'] | null
}
export type FleetOrder = FleetStart | { kind: 'mark' } | { kind: 'report' } | { kind: 'stop' }
export type FleetReport = { kind: 'marked' } | { kind: 'report'; outsideMs: number[]; refusedAfterMs: number[] }

const PROCESS = fileURLToPath(new URL('./fleet-process.ts', import.meta.url))
const perSecondDefault = 300
const clientsPerProcessDefault = 5_000
const stormMsDefault = 120_000

/** The text of the key file of an identity that a test wrote. */
export function keyFileOf({ key, credential, identity }: TestIdentity, url: string): string {
  return JSON.stringify({
    v: 1,
    alg: key.alg,
    privateKey: base64url(new Uint8Array(key.privateKey.export({ format: 'der', type: 'pkcs8' }))),
    credentialId: credential.id,
    rpId: credential.rpId,
    userHandle: credential.userHandle,
    handle: identity.handle,
    urls: [url],
    inboxPrefix: `_INBOX_${identity.handle}`,
    roles: identity.roles.map(({ name }) => name),
  })
}

/** Starts the processes and resolves when every client is connected. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { url, keyFiles, clients, library, perSecond = perSecondDefault, clientsPerProcessMax = clientsPerProcessDefault } = options
  const number = Math.ceil(clients / clientsPerProcessMax)
  const members = Array.from({ length: number }, () => startMember())
  for (const [i, member] of members.entries()) {
    const share = Math.floor(clients / number) + (i < clients % number ? 1 : 0)
    const order = { url, keyFiles, clients: share, library, perSecond: perSecond / number, nats: options.nats ?? null }
    member.order({ kind: 'start', ...order })
  }
  const counts = () => sum(members.map((member) => member.counts()))
  const until = async (done: (counts: FleetCounts) => boolean, endsAt: number) => {
    while (!done(counts()) && performance.now() < endsAt) {
      await Promise.race([...members.map((member) => member.changed()), timeUp(endsAt)])
    }
  }
  await until(({ up }) => up === clients, Number.POSITIVE_INFINITY)
  return {
    counts,
    async storm(cause, { withinMs = stormMsDefault } = {}) {
      await Promise.all(members.map((member) => member.ask('mark')))
      const calledAt = Date.now()
      const told = await cause()
      const begunAt = typeof told === 'number' ? told : calledAt
      await until(({ back, gaveUp }) => back + gaveUp >= clients, performance.now() + withinMs)
      const reports = await Promise.all(members.map((member) => member.ask('report')))
      return figures(clients, counts(), { begunAt, reports })
    },
    async stop() {
      await Promise.all(members.map((member) => member.stop()))
    },
  }
}

interface Member {
  counts(): FleetCounts
  changed(): Promise<void>
  order(order: FleetOrder): void
  ask(kind: 'mark' | 'report'): Promise<FleetReport>
  stop(): Promise<void>
}

function startMember(): Member {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', PROCESS], { stdio: ['pipe', 'pipe', 'inherit'] })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  let counts: FleetCounts = { up: 0, back: 0, attempts: 0, reconnects: 0, refusals: 0, unanswered: 0, proofs: 0, gaveUp: 0, lastBackAt: 0 }
  const watchers: (() => void)[] = []
  const asking: ((report: FleetReport) => void)[] = []
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const said = JSON.parse(line) as FleetReport | { kind: 'counts'; counts: FleetCounts }
    if (said.kind !== 'counts') {
      // What was counted before the mark no longer counts.
      if (said.kind === 'marked') counts = { ...counts, back: 0 }
      asking.shift()?.(said)
      return
    }
    counts = said.counts
    for (const changed of watchers.splice(0)) changed()
  })
  child.once('exit', (code) => {
    process.off('exit', end)
    if (code !== 0) process.stderr.write(`a process of the fleet ended with ${code}\n`)
  })
  const order = (what: FleetOrder) => void child.stdin?.write(`${JSON.stringify(what)}\n`)
  return {
    counts: () => counts,
    changed: () => new Promise((resolve) => watchers.push(resolve)),
    order,
    ask: (kind) =>
      new Promise((resolve) => {
        asking.push(resolve)
        order({ kind })
      }),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      order({ kind: 'stop' })
      await ended
    },
  }
}

function timeUp(endsAt: number): Promise<void> {
  if (endsAt === Number.POSITIVE_INFINITY) return new Promise(() => {})
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, endsAt - performance.now())).unref())
}

function sum(all: FleetCounts[]): FleetCounts {
  const total = (of: (counts: FleetCounts) => number) => all.reduce((so, counts) => so + of(counts), 0)
  return {
    up: total(({ up }) => up),
    back: total(({ back }) => back),
    attempts: total(({ attempts }) => attempts),
    reconnects: total(({ reconnects }) => reconnects),
    refusals: total(({ refusals }) => refusals),
    unanswered: total(({ unanswered }) => unanswered),
    proofs: total(({ proofs }) => proofs),
    gaveUp: total(({ gaveUp }) => gaveUp),
    lastBackAt: Math.max(0, ...all.map(({ lastBackAt }) => lastBackAt)),
  }
}

function figures(
  clients: number,
  { lastBackAt, ...counts }: FleetCounts,
  { begunAt, reports }: { begunAt: number; reports: FleetReport[] },
): StormFigures {
  const outside = reports.flatMap((report) => (report.kind === 'report' ? report.outsideMs : [])).sort((a, b) => a - b)
  const refused = reports.flatMap((report) => (report.kind === 'report' ? report.refusedAfterMs : []))
  const at = (share: number) => Math.round(outside[Math.min(outside.length - 1, Math.floor(outside.length * share))] ?? 0)
  return {
    clients,
    ...counts,
    allBackMs: Math.max(0, lastBackAt - begunAt),
    outsideMs: { median: at(0.5), p99: at(0.99), longest: at(1) },
    refusedAfterMs: Math.round(refused.reduce((longest, after) => Math.max(longest, after), 0)),
  }
}
