/**
 * One process of a fleet (fleet.ts starts it): many clients, each with a session key of its own, connected through the
 * SDK as programs are. Reads one JSON line on stdin for each order, prints one for each change of its counts.
 */
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connect3 } from '@nats-io/transport-node'
import { connect as connect2 } from 'nats'
import {
  type ConnectionOptions,
  connectWithWebAuthn,
  type NatsConnectionLike,
  parseKeyFile,
  type SigningKey,
} from '../../src/client/index.ts'
import type { FleetCounts, FleetOrder, FleetReport, FleetStart } from './fleet.ts'

type Connect = (options: ConnectionOptions) => Promise<NatsConnectionLike>

const CONNECT: Record<FleetStart['library'], Connect> = {
  nats: (options) => connect2(options),
  'transport-node': (options) => connect3(options),
}
const reportMs = 100
const firstRetryMs = 500
// nats-server's refusal for want of an answer comes after its authorization.timeout, which no test sets below two seconds.
const unansweredMsMin = 1_500

interface Client {
  connection: NatsConnectionLike | null
  up: boolean
  back: boolean
  lostAt: number | null
  signedAt: number | null
}

let start: FleetStart | null = null
let stopping = false
const clients: Client[] = []
let counts: FleetCounts = none()
let outsideMs: number[] = []
let refusedAfterMs: number[] = []

function none(): FleetCounts {
  return { up: 0, back: 0, attempts: 0, reconnects: 0, refusals: 0, unanswered: 0, proofs: 0, gaveUp: 0, lastBackAt: 0 }
}

function say(line: FleetReport | { kind: 'counts'; counts: FleetCounts }): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function run(client: Client, { keyFiles, url, library, nats }: FleetStart, index: number): Promise<void> {
  const file = parseKeyFile(keyFiles[index % keyFiles.length] as string)
  const key: SigningKey = {
    ...file.key,
    sign: (bytes) => {
      counts.proofs++
      return file.key.sign(bytes)
    },
  }
  // Two programs that connect at the same time are one CONNECT each: what is signed tells when it was sent.
  const connect: Connect = (options) => {
    const authenticator = Object.assign((nonce?: string) => {
      counts.attempts++
      client.signedAt = performance.now()
      return options.authenticator(nonce)
    }, options.authenticator)
    return CONNECT[library]({ ...options, authenticator })
  }
  while (!stopping) {
    try {
      client.connection = await connectWithWebAuthn(connect, { key: { ...file, key }, url, nats: nats ?? {} })
      break
    } catch {
      refused(client)
      await delay(firstRetryMs * (0.5 + Math.random()))
    }
  }
  if (client.connection === null) return
  client.up = true
  void follow(client, client.connection)
  const why = await client.connection.closed()
  client.up = false
  if (!stopping) {
    counts.gaveUp++
    process.stderr.write(`a client of the fleet gave up: ${why instanceof Error ? why.message : String(why)}\n`)
  }
}

async function follow(client: Client, connection: NatsConnectionLike): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === 'disconnect') {
      if (client.up) client.lostAt = performance.now()
      client.up = false
    } else if (status.type === 'reconnect') {
      client.up = true
      counts.reconnects++
      if (client.lostAt !== null) outsideMs.push(performance.now() - client.lostAt)
      client.lostAt = null
      if (!client.back) {
        client.back = true
        counts.lastBackAt = Date.now()
      }
    } else if (isRefusal(status)) refused(client)
  }
}

// Grants that expire and servers that reload say so in an error, too: only what answers a CONNECT is a refusal.
function refused(client: Client): void {
  if (client.up || client.signedAt === null) return
  const after = performance.now() - client.signedAt
  client.signedAt = null
  counts.refusals++
  if (after >= unansweredMsMin) counts.unanswered++
  refusedAfterMs.push(after)
}

function isRefusal(status: { type: string }): boolean {
  if (status.type !== 'error') return false
  const said = 'error' in status && status.error instanceof Error ? status.error.message : 'data' in status ? String(status.data) : ''
  return /authorization.violation|authentication.timeout/i.test(said)
}

async function begin(order: FleetStart): Promise<void> {
  start = order
  for (let i = 0; i < order.clients; i++) clients.push({ connection: null, up: false, back: false, lostAt: null, signedAt: null })
  const begunAt = performance.now()
  for (const [i, client] of clients.entries()) {
    const wait = begunAt + (i / order.perSecond) * 1000 - performance.now()
    if (wait > 1) await delay(wait)
    void run(client, order, i)
  }
}

function mark(): void {
  counts = none()
  outsideMs = []
  refusedAfterMs = []
  for (const client of clients) {
    client.back = false
    if (client.lostAt !== null) client.lostAt = performance.now()
  }
}

let said = ''
const reporting = setInterval(() => {
  counts.up = clients.filter(({ up }) => up).length
  counts.back = clients.filter(({ back, up }) => back && up).length
  const now = JSON.stringify(counts)
  if (now === said || start === null) return
  said = now
  say({ kind: 'counts', counts })
}, reportMs)

async function stop(): Promise<void> {
  stopping = true
  await Promise.all(clients.map(({ connection }) => connection?.close()))
  clearInterval(reporting)
  process.exit(0)
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line) as FleetOrder
    if (order.kind === 'start') void begin(order)
    else if (order.kind === 'mark') {
      mark()
      say({ kind: 'marked' })
    } else if (order.kind === 'report') say({ kind: 'report', outsideMs, refusedAfterMs })
    else void stop()
  })
  // Whoever started this process is gone.
  .on('close', () => process.exit(0))
