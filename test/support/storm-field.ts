/** Where fleets meet storms: a real nats-server, verifiers in processes of their own, and what drops everybody at once. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type NatsConnection } from 'nats'
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import type { SessionRecord } from '../../src/core/records.ts'
import { type Fleet, type FleetOptions, keyFileOf, startFleet } from './fleet.ts'
import { freePort } from './free-port.ts'
import { CLUSTER_REPLICAS, type NatsCluster, startNatsCluster } from './nats-cluster.ts'
import type { RunningNatsServer } from './nats-server.ts'
import { nkeyUser, type ProductFiles, type ProductOptions, startProductFiles } from './product.ts'
import { startVerifierProcess, type VerifierProcess } from './verifier-process.ts'

const POLICY = `version: 1
roles:
  fleet:
    account: APP
    publish: { allow: ["fleet.{{user}}.>"] }
    subscribe: { allow: ["fleet.>"] }
    session: 6h
    ttl: 1h
`

export interface StormField {
  product: ProductFiles
  server(): RunningNatsServer
  /** Where clients connect: that server, or each of the cluster, with its address as clients dial it. */
  nodes(): readonly { server: RunningNatsServer; url: string }[]
  verifiers: FieldVerifier[]
  /** Enrols one identity that all clients share, and connects them. */
  fleet(options: Pick<FleetOptions, 'clients' | 'library' | 'perSecond' | 'nats'>): Promise<Fleet>
  /** SIGHUP: nats-server drops everyone whom the callout admitted. */
  reload(): void
  restart(): Promise<void>
  /** Rewrites the end of every session. Their number. */
  endSessionsAt(at: Date): Promise<number>
  /** How often the verifiers came to each verdict while `work` ran: `denied.overloaded` and the like. */
  verdictsDuring<T>(work: () => Promise<T>): Promise<{ result: T; verdicts: Record<string, number> }>
  stop(): Promise<void>
}

export interface FieldVerifier extends VerifierProcess {
  configFile: string
  operationsUrl: string
}

export interface StormFieldOptions {
  verifiers?: number
  /** Three nats-servers and three copies of everything, none of which `restart` can restart. */
  cluster?: boolean
  line?: NatsServerLine
  policy?: string
  edit?: (config: string) => string
}

export async function startStormField(options: StormFieldOptions = {}): Promise<StormField> {
  const { verifiers: number = 1, policy = POLICY, line, edit } = options
  const started = { ...(line === undefined ? {} : { line }), ...(edit === undefined ? {} : { edit }) }
  const cluster = options.cluster === true ? await startNatsCluster(started) : null
  const product = await startProductFiles(cluster === null ? { policy, ...started } : onCluster(policy, cluster))
  let server = product.deployment.server
  const verifiers: FieldVerifier[] = []
  const fleets: Fleet[] = []
  const stop = async () => {
    await Promise.all(fleets.map((fleet) => fleet.stop()))
    await Promise.all(verifiers.map((verifier) => verifier.stop('SIGKILL')))
    if (cluster === null) await server.kill('SIGKILL')
    await product.stop()
    await cluster?.stop()
  }
  try {
    for (let i = 0; i < number; i++) verifiers.push(await startFieldVerifier(product, i))
  } catch (error) {
    await stop()
    throw error
  }
  let enrolled = 0
  return {
    product,
    server: () => server,
    nodes: () => cluster?.nodes ?? [{ server, url: product.url }],
    verifiers,
    async fleet(wanted) {
      const identity = await product.enrolled(`fleet-${++enrolled}`, { roles: ['fleet'], alg: -8 })
      const fleet = await startFleet({ ...wanted, url: product.url, keyFiles: [keyFileOf(identity, product.url)] })
      fleets.push(fleet)
      return fleet
    },
    reload: () => void server.child.kill('SIGHUP'),
    async restart() {
      server = await server.restart()
    },
    endSessionsAt: (at) => endSessionsAt(product, at),
    async verdictsDuring(work) {
      const before = await verdictsOf(verifiers)
      const result = await work()
      const after = Object.entries(await verdictsOf(verifiers)).map(
        ([verdict, count]) => [verdict, count - (before[verdict] ?? 0)] as const,
      )
      return { result, verdicts: Object.fromEntries(after.filter(([, count]) => count > 0)) }
    },
    stop,
  }
}

function onCluster(policy: string, { nodes }: NatsCluster): ProductOptions {
  const [deployment] = nodes
  if (deployment === undefined) throw new Error('starting a cluster without nodes')
  const servers = nodes.map(({ server }) => `127.0.0.1:${server.port}`)
  return { policy, deployment, servers, replicas: CLUSTER_REPLICAS, urls: () => nodes.map(({ url }) => url) }
}

/** One more verifier of the deployment, on ports of its own. */
export async function startFieldVerifier(product: ProductFiles, index: number): Promise<FieldVerifier> {
  if (index === 0) {
    const { configFile, operationsUrl } = product
    return { configFile, operationsUrl, ...(await startVerifierProcess(configFile, operationsUrl)) }
  }
  let text = readFileSync(product.configFile, 'utf8')
  for (const url of [product.enrolmentOrigin, product.operationsUrl]) text = text.replaceAll(new URL(url).port, String(await freePort()))
  const configFile = join(product.dir, `verifier-${index}.yaml`)
  writeFileSync(configFile, text)
  const operationsUrl = `http://${/operations: \{ listen: "([^"]+)"/.exec(text)?.[1]}`
  return { configFile, operationsUrl, ...(await startVerifierProcess(configFile, operationsUrl)) }
}

async function endSessionsAt(product: ProductFiles, at: Date): Promise<number> {
  const auth = await connect(nkeyUser(product.deployment, 'verifierAuth', '_INBOX_verifier'))
  const sessions = await sessionsOf(auth)
  const write = ({ nkey, ...session }: SessionRecord) => {
    const record = JSON.stringify({ ...session, nkey, expiresAt: at.getTime() })
    return auth.jetstream().publish(`$KV.webauthn_sessions.${nkey}`, record)
  }
  await Promise.all(sessions.map(write))
  await auth.close()
  return sessions.length
}

async function sessionsOf(auth: NatsConnection): Promise<SessionRecord[]> {
  const info = await auth.request('$JS.API.STREAM.INFO.KV_webauthn_sessions', JSON.stringify({ subjects_filter: '>' }))
  const { state } = info.json<{ state: { subjects?: Record<string, number> } }>()
  const read = async (subject: string) => {
    const answer = await auth.request('$JS.API.STREAM.MSG.GET.KV_webauthn_sessions', JSON.stringify({ last_by_subj: subject }), {
      timeout: 20_000,
    })
    return JSON.parse(Buffer.from(answer.json<{ message: { data: string } }>().message.data, 'base64').toString()) as SessionRecord
  }
  return Promise.all(Object.keys(state.subjects ?? {}).map(read))
}

async function verdictsOf(verifiers: readonly FieldVerifier[]): Promise<Record<string, number>> {
  const verdicts: Record<string, number> = {}
  for (const { operationsUrl } of verifiers) {
    const text = await (await fetch(`${operationsUrl}/metrics`)).text()
    for (const [, labels = '', value] of text.matchAll(/^nats_webauthn_verdicts_total\{([^}]*)\} (\d+)/gm)) {
      const label = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1]
      const verdict = `${label('outcome')}.${label('reason')}`
      if (Number(value) > 0) verdicts[verdict] = (verdicts[verdict] ?? 0) + Number(value)
    }
  }
  return verdicts
}
