/** Three whole verifiers on the ground of a race. Which of them nats-server asks is its own choice; their logs tell. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../../src/config.ts'
import { startVerifier, type Verifier } from '../../src/main.ts'
import type { Stores } from '../../src/nats/stores.ts'
import { createLogger } from '../../src/observability/logger.ts'
import { freePort } from './free-port.ts'
import { type ProductFiles, startProductFiles, type TestIdentity, writeIdentity } from './product.ts'
import { RACE_POLICY, type RaceField } from './race-field.ts'
import { type RawClient, rawClient } from './raw-client.ts'

/** A verdict, as the verifier that made it logged it. */
export interface Logged {
  verifier: number
  verdict: string
  server: string
  client: number
  exp: number | null
}

export interface SocketField {
  field: RaceField
  product: ProductFiles
  /** HTTP ports of the verifiers. */
  ports: readonly number[]
  /** One of the field's, to look at what is stored. */
  stores: Stores
  dial(n: number): Promise<RawClient>
  /** The first `many` verdicts on a connection. */
  verdictsOn(raw: RawClient, many: number): Promise<Logged[]>
  enrolled(handle: string, counts?: boolean): Promise<TestIdentity>
  stop(): Promise<void>
}

const verifiersMany = 3

/** Three whole verifiers beside those of the field. */
export async function startSocketField(field: RaceField): Promise<SocketField> {
  const [first] = field.nodes
  const [rival] = field.rivals
  if (first === undefined || rival === undefined) throw new Error('racing on an empty field')
  const product = await startProductFiles({ deployment: first, policy: RACE_POLICY, urls: () => field.nodes.map(({ url }) => url) })
  const log = verdictLog()
  const verifiers: Verifier[] = []
  const ports: number[] = []
  const stop = async () => {
    for (const verifier of verifiers) await verifier.stop()
    await product.stop()
  }
  try {
    for (let n = 0; n < verifiersMany; n++) {
      const { file, port } = await configOf(product, field, n)
      ports.push(port)
      verifiers.push(await startVerifier(readConfig(file), log.of(n)))
    }
  } catch (cause) {
    await stop()
    throw cause
  }
  const { nats } = rival.link
  return {
    field,
    product,
    ports,
    stores: rival.stores,
    dial: (n) => rawClient((field.nodes[n % field.nodes.length] ?? first).server.port),
    verdictsOn: log.on,
    enrolled: (handle, counts = false) =>
      writeIdentity(nats, handle, { roles: ['racer'], change: counts ? { backupEligible: false, backupState: false } : {} }),
    stop,
  }
}

/** The configuration of verifier `n`: listeners of its own, the same origin; on a cluster all nodes, and three copies. */
async function configOf(product: ProductFiles, { nodes, replicas }: RaceField, n: number): Promise<{ file: string; port: number }> {
  const [port, operations] = [n === 0 ? Number(new URL(product.enrolmentOrigin).port) : await freePort(), await freePort()]
  const servers = JSON.stringify(nodes.map(({ server }) => `127.0.0.1:${server.port}`))
  const text = readFileSync(product.configFile, 'utf8')
    .replace(/^nats:\n {2}servers: .*$/m, `nats:\n  servers: ${servers}\n  replicas: ${replicas}`)
    .replace(/^( {2}|)enrolment: \{ listen: "[^"]*"/m, `enrolment: { listen: "127.0.0.1:${port}"`)
    .replace(/^operations: \{ listen: "[^"]*"/m, `operations: { listen: "127.0.0.1:${operations}"`)
    .replace('log: { level: error }', 'log: { level: info }')
  const file = join(product.dir, `racing-${n}.yaml`)
  writeFileSync(file, `${text}\naudit: { replicas: ${replicas} }\n`)
  return { file, port }
}

/** The verdicts in the verifiers' logs, and who waits for one. */
function verdictLog() {
  const logged = new Map<string, Logged[]>()
  const waiting = new Map<string, () => void>()
  const hear = (verifier: number, line: string) => {
    const { msg, outcome, reason, server_id: server, client_id: client, expires_at: exp = null } = JSON.parse(line)
    if (msg !== 'verdict' || client === undefined) return
    const key = `${server}.${client}`
    const there = logged.get(key) ?? []
    logged.set(key, there)
    there.push({ verifier, verdict: `${outcome}.${reason}`, server, client, exp })
    waiting.get(key)?.()
  }
  return {
    of: (verifier: number) =>
      createLogger({ level: 'info', name: `verifier-${verifier}`, stream: { write: (line) => hear(verifier, line) } }),
    on: async ({ info }: RawClient, many: number): Promise<Logged[]> => {
      const key = `${info.server_id}.${info.client_id}`
      while ((logged.get(key)?.length ?? 0) < many) await new Promise<void>((told) => waiting.set(key, told))
      waiting.delete(key)
      return logged.get(key) ?? []
    },
  }
}
