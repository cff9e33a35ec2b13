/**
 * Where races are run: three verifiers, each with a connection, caches and a guard of its own, on one nats-server or on the
 * nodes of a cluster. They are asked without sockets between, so a race says who is asked and when.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { Decision, Journey } from '../../src/core/arrival.ts'
import { decide } from '../../src/core/decide.ts'
import { opensslEd25519 } from '../../src/core/ed25519.ts'
import { lengthPrefixed } from '../../src/core/encoding.ts'
import { activateCredential, beginEnrolment, type EnrolmentWorld, registerCredential } from '../../src/core/enrolment/enrolment-steps.ts'
import { encodeSeed } from '../../src/core/nkey.ts'
import { parseServerUrl } from '../../src/core/server-address.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { createAnswer, issuerFromSeed } from '../../src/nats/answer.ts'
import type { Stores } from '../../src/nats/stores.ts'
import { requestToken, type TestNkey, testNkey } from './authorization-request.ts'
import { policyOf } from './decision.ts'
import type { Deployment } from './deployment.ts'
import { startDeployment } from './deployment.ts'
import { MACHINE_RP_ID } from './enrolment-service.ts'
import { openVerifier, type TestVerifier } from './links.ts'
import { memoryLifecycle } from './memory-stores.ts'
import { memoryWorld } from './memory-world.ts'
import { CLUSTER_REPLICAS, type NatsCluster, startNatsCluster } from './nats-cluster.ts'
import { testRules } from './rules.ts'
import { b64u } from './test-authenticator.ts'

export const RACE_URL = 'nats://localhost:4222'
const ORIGIN = 'http://localhost:8780'
const verifiersMany = 3
export const RACE_POLICY = `version: 1
roles:
  racer:
    account: APP
    publish: { allow: ["races.>"] }
    session: 24h
  few:
    account: APP
    publish: { allow: ["races.>"] }
    limits: { connections: 2 }
`
/** How many connections an identity with the role `few` may have. */
export const FEW = 2
/** One nats-server, or a cluster of three. */
export type Ground = 'server' | 'cluster'
export const GROUNDS: readonly Ground[] = ['server', 'cluster']

/** A live connection as a server asks about it. */
export interface AskedConnection {
  server: TestNkey
  clientId: number
  nonce: string
  /** Key of its guard entry. */
  key: string
}

export interface Asked {
  /** `outcome.reason`, or `dropped`. */
  verdict: string
  /** Epoch seconds; null where nothing was granted. */
  exp: number | null
}

/** One verifier. */
export interface Rival {
  stores: Stores
  link: TestVerifier['link']
  /** `afterMs`: how much later than now the server asks. Every ask has a jitter of its own. */
  ask(connection: AskedConnection, fields: { sig: string; nkey?: string }, afterMs?: number): Promise<Asked>
  /** Enrolment, as over HTTP. */
  post(path: string, body: unknown): Promise<{ status: number; body: unknown }>
}

export interface RaceField {
  ground: Ground
  /** The nodes that clients and verifiers may connect to. */
  nodes: readonly Deployment[]
  cluster: NatsCluster | null
  replicas: number
  rivals: readonly Rival[]
  /** Of enrolment over `post`. */
  origin: string
  /** Ends the verifiers; the servers stay. */
  leave(): Promise<void>
  stop(): Promise<void>
}

/** `roam`: a verifier may connect to any node, and finds another when it loses its own. */
export async function startRaceField(ground: Ground, { roam = false } = {}): Promise<RaceField> {
  const cluster = ground === 'cluster' ? await startNatsCluster() : null
  const nodes = cluster?.nodes ?? [await startDeployment()]
  const stopServers = () => (cluster === null ? nodes[0]?.stop() : cluster.stop())
  const replicas = cluster === null ? 1 : CLUSTER_REPLICAS
  const verifiers: TestVerifier[] = []
  for (let n = 0; n < verifiersMany; n++)
    verifiers.push(await openVerifier(nodes[n % nodes.length] as Deployment, roam ? { replicas, nodes: [...nodes] } : { replicas }))
  const leave = async () => {
    for (const verifier of verifiers.splice(0)) await verifier.close()
  }
  return {
    ground,
    nodes,
    cluster,
    replicas,
    rivals: verifiers.map(rivalOver),
    origin: ORIGIN,
    leave,
    stop: async () => {
      await leave()
      await stopServers()
    },
  }
}

function rivalOver({ stores, link }: TestVerifier): Rival {
  const url = parseServerUrl(RACE_URL)
  if (url === null) throw new Error('reading the address of the races')
  const rules = testRules({
    urls: [{ url, cluster: null, serverName: null }],
    machine: { rpId: MACHINE_RP_ID },
    dangerouslyAllowPlaintextUrls: true,
  })
  const issuer = issuerFromSeed(encodeSeed('A', randomBytes(32)), opensslEd25519)
  const answer = createAnswer({ issuer, xkey: null, now: () => new Date() })
  const state = { policy: policyOf(RACE_POLICY), credentials: [], sessions: [], identities: [], guard: {} }
  const { credentials, sessions, identities, guard } = stores
  const journey: Journey = { rules, xkey: null, world: { ...memoryWorld(state, answer), credentials, sessions, identities, guard } }
  return { stores, link, ask: (...asked) => ask(journey, ...asked), post: (path, body) => post(stores, rules, { path, body }) }
}

let clients = 0

/** A client that has just connected to some server. */
export function newConnection(): AskedConnection {
  const server = SERVER
  const clientId = ++clients
  const nonce = b64u(randomBytes(11))
  return { server, clientId, nonce, key: b64u(sha256(lengthPrefixed(server.publicKey, String(clientId), nonce))) }
}

const SERVER = testNkey('N')
const USER_NKEY = testNkey('U').publicKey

async function ask(journey: Journey, connection: AskedConnection, fields: { sig: string; nkey?: string }, afterMs = 0): Promise<Asked> {
  const { server, clientId, nonce } = connection
  const now = new Date(Date.now() + afterMs)
  const startedAt = performance.now()
  const token = requestToken({
    ...fields,
    server,
    userNkey: USER_NKEY,
    now: Math.floor(now.getTime() / 1000),
    nonce,
    client: { id: clientId },
  })
  const decision = await decide(
    {
      id: randomUUID(),
      payload: Buffer.from(token),
      serverXkey: '',
      now,
      jitter: Math.random(),
      elapsedMs: () => performance.now() - startedAt,
      trace: { enter: () => {}, failed: () => {} },
    },
    journey,
  )
  return askedOf(decision)
}

function askedOf({ event }: Decision): Asked {
  if (event === null) return { verdict: 'dropped', exp: null }
  return { verdict: `${event.verdict.outcome}.${event.verdict.reason}`, exp: event.grant?.expiresAt ?? null }
}

const STEPS = { '/v1/enrol/begin': beginEnrolment, '/v1/enrol/register': registerCredential, '/v1/enrol/activate': activateCredential }

async function post(
  { tickets, ceremonies, credentials, identities }: Stores,
  rules: EnrolmentWorld['rules'],
  { path, body }: { path: string; body: unknown },
): Promise<{ status: number; body: unknown }> {
  const step = STEPS[path as keyof typeof STEPS] as (request: never, ...rest: unknown[]) => ReturnType<typeof beginEnrolment>
  const known = { ticket: null, credential: null, handle: null, session: null }
  const occasion = {
    now: new Date(),
    source: '127.0.0.1',
    policyHash: '',
    known,
    random: (bytes: number) => randomBytes(bytes),
    uuid: () => randomUUID(),
  }
  const world = {
    rules,
    origin: ORIGIN,
    urls: [RACE_URL],
    tickets,
    ceremonies,
    credentials: credentials.records,
    identities,
    lifecycle: memoryLifecycle(),
  }
  const judged = await step(body as never, occasion, world)
  return judged.ok
    ? { status: 200, body: judged.value }
    : { status: 403, body: { error: { code: judged.refusal.reason, check: judged.refusal.check } } }
}
