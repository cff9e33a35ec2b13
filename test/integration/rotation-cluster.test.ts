/** Issuer and xkey are replaced in a cluster, one nats-server after the other: in between some ask by the old pair, some by the next. */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import { freePorts, type Running, startNatsServer } from '../../scripts/local-deployment.ts'
import { findNatsServer, type NatsServerLine } from '../../scripts/nats-server.ts'
import { tailTrail } from '../../src/audit/tail.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { run } from '../../src/cli/run.ts'
import { connectWithWebAuthn, loadKeyFile } from '../../src/client/index.ts'
import { readConfig, readSecretFile } from '../../src/config.ts'
import { startVerifier } from '../../src/main.ts'
import { until } from '../support/links.ts'
import { type Local, makeLocal } from '../support/local.ts'
import { memoryIo } from '../support/memory-io.ts'
import { NATS_LINES } from '../support/nats-server.ts'

const NODES = [0, 1, 2] as const
type NodeNumber = (typeof NODES)[number]
// Whichever of the two verifiers is asked.
const connectionsEach = 6
// Elections in between may take it ten seconds.
const patienceMs = 40_000

interface Cluster {
  local: Local
  /** Types a command; its exit code and what it said. */
  cli(args: readonly string[], stdin?: string): Promise<{ code: number; out: string[]; err: string[] }>
  /** Copies the deployment's two files to a node and starts it again; resolves when it says that it has caught up. */
  restartNode(node: NodeNumber): Promise<void>
  restartVerifiers(): Promise<void>
  auditor(): Promise<NatsConnection>
  urls: string[]
  /** What a nats-server logs that gets an answer by another issuer than its own. */
  wrongIssuers(): string[]
  end(): Promise<void>
}

/** What docs/cluster.md says of the files that `init` writes: three servers, and two verifiers in this process. */
async function startCluster(line: NatsServerLine): Promise<Cluster> {
  const local = await makeLocal(line)
  const { dir } = local
  // All at once, so that they are different ones.
  const free = await freePorts(4 * NODES.length + 2)
  const ports = { clients: free.splice(0, 3), websocket: free.splice(0, 3), monitor: free.splice(0, 3), routes: free.splice(0, 3) }
  const [enrolment, operations] = free
  const urls = ports.clients.map((port) => `nats://localhost:${port}`)
  const nodeDir = (node: NodeNumber) => join(dir, `nats-${node + 1}`)
  const copyFiles = (node: NodeNumber) => {
    mkdirSync(nodeDir(node), { recursive: true, mode: 0o700 })
    for (const name of ['nats-server.keys.conf', 'nats-server.break-glass.conf']) copyFileSync(join(dir, name), join(nodeDir(node), name))
    const conf = readFileSync(join(dir, 'nats-server.conf'), 'utf8')
      .replace('server_name: "nats-1"', `server_name: "nats-${node + 1}"`)
      .replace(`listen: "127.0.0.1:${local.ports.nats}"`, `listen: "127.0.0.1:${ports.clients[node]}"`)
      .replace(`listen: "127.0.0.1:${local.ports.websocket}"`, `listen: "127.0.0.1:${ports.websocket[node]}"`)
      .replace(`http: "127.0.0.1:${local.ports.monitor}"`, `http: "127.0.0.1:${ports.monitor[node]}"`)
      .replace('\n  timeout: 5\n', '\n  timeout: 2\n')
      .replace('max_file: 1GB', 'max_file: 3GB')
      .replace('max_file: 10GB', 'max_file: 30GB')
    const routes = ports.routes.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ')
    const cluster = `cluster { name: "nats", listen: "127.0.0.1:${ports.routes[node]}", routes: [${routes}] }\n`
    writeFileSync(join(nodeDir(node), 'nats-server.conf'), conf + cluster)
  }
  const configFile = join(dir, 'nats-webauthn.yaml')
  const servers = ports.clients.map((port) => `"nats://127.0.0.1:${port}"`).join(', ')
  const yaml = readFileSync(configFile, 'utf8')
    .replace(/^ {2}servers: .*$/m, `  servers: [${servers}]\n  replicas: 3`)
    .replace(/^urls:\n(?: {2}- .*\n)+/m, `urls: [${urls.map((url) => `"${url}"`).join(', ')}]\naudit: { replicas: 3 }\n`)
  const second = yaml.replaceAll(`:${local.ports.enrolment}`, `:${enrolment}`).replaceAll(`:${local.ports.operations}`, `:${operations}`)
  const files = [configFile, join(dir, 'second.yaml')] as const
  writeFileSync(files[0], yaml)
  writeFileSync(files[1], second)
  const nodes: Running[] = []
  const verifiers = new Map<string, Awaited<ReturnType<typeof startVerifier>>>()
  const restartVerifier = async (file: string) => {
    await verifiers.get(file)?.stop()
    verifiers.set(file, await startVerifier({ ...readConfig(file), logLevel: 'error' }))
  }
  const restartNode = async (node: NodeNumber) => {
    await nodes[node]?.stop()
    copyFiles(node)
    nodes[node] = await startNatsServer(findNatsServer(line), nodeDir(node))
  }
  const isHealthy = async (node: NodeNumber) => (await fetch(`http://127.0.0.1:${ports.monitor[node]}/healthz`)).ok
  const restartVerifiers = async () => {
    for (const file of files) await restartVerifier(file)
  }
  const end = async () => {
    for (const verifier of verifiers.values()) await verifier.stop()
    await Promise.all(nodes.map((node) => node.stop()))
    await local.end()
  }
  try {
    for (const node of NODES) await restartNode(node)
    await Promise.all(nodes.map((node) => node.said(/(?:new JetStream cluster|cluster new) metadata leader/)))
    await restartVerifiers()
  } catch (error) {
    await end()
    throw error
  }
  return {
    local,
    urls,
    async cli(args, stdin = '') {
      const io = memoryIo({ stdin })
      const takesConfig = COMMANDS.find(({ name }) => args.join(' ').startsWith(name))?.options['config'] !== undefined
      return { code: await run(takesConfig ? [...args, '-c', configFile] : args, COMMANDS, io), out: io.stdout, err: io.stderr }
    },
    async restartNode(node) {
      await restartNode(node)
      await until(`nats-${node + 1} is healthy`, () => isHealthy(node), patienceMs)
    },
    restartVerifiers,
    wrongIssuers: () => nodes.flatMap(({ lines }) => lines.filter((text) => /signing key is unknown|wrong issuer/i.test(text))),
    auditor() {
      const seed = new TextEncoder().encode(readSecretFile(join(dir, 'keys/auditor.seed')))
      return connect({
        servers: ports.clients.map((port) => `127.0.0.1:${port}`),
        authenticator: nkeyAuthenticator(seed),
        inboxPrefix: '_INBOX_auditor',
      })
    },
    end,
  }
}

async function done(cluster: Cluster, args: readonly string[], stdin?: string): Promise<string[]> {
  const { code, out, err } = await cluster.cli(args, stdin)
  assert.equal(code, 0, `${args.join(' ')}: ${err.join('\n')}`)
  return out
}

/** A service's key, enrolled over HTTP. */
async function enrol(cluster: Cluster): Promise<string> {
  const { dir, ports } = cluster.local
  const [ticket] = await done(cluster, ['invite', 'orders', '--machine', '--role', 'orders-writer'])
  const key = join(dir, 'orders.key')
  await done(cluster, ['enrol', '--url', `http://localhost:${ports.enrolment}`, '--key', key], ticket)
  return key
}

describe('a rotation of issuer and xkey in a cluster', () => {
  const [line] = NATS_LINES
  test(`is granted by each nats-server at each step, whichever pair it has, and then the old pair by none (${line})`, async () => {
    const cluster = await startCluster(line ?? '2.15')
    const auditor = await cluster.auditor()
    try {
      const keyFile = await enrol(cluster)
      const isGranted = async (url: string | undefined) => {
        try {
          const nats = { reconnect: false, maxReconnectAttempts: 0 }
          await (await connectWithWebAuthn(connect, { ...(url === undefined ? {} : { url }), key: loadKeyFile(keyFile), nats })).close()
          return true
        } catch {
          return false
        }
      }
      /** While leaders are elected a client tries again. Nobody is refused for a key. */
      const assertGrantedAtEach = async (step: string) => {
        for (const url of cluster.urls)
          for (let i = 0; i < connectionsEach; i++) await until(`${step}: ${url} grants`, () => isGranted(url), patienceMs)
        assert.deepEqual([cluster.wrongIssuers(), await denials(auditor)], [[], new Set()], step)
      }
      await assertGrantedAtEach('before')

      await done(cluster, ['rotate', 'begin', 'issuer'])
      await cluster.restartVerifiers()
      await assertGrantedAtEach('no server on the next pair')
      for (const node of NODES) {
        const { code, err } = await cluster.cli(['rotate', 'finish'])
        assert.equal(code, 1)
        const names = err.flatMap((text) => /(nats-\d) was not restarted/.exec(text)?.[1] ?? [])
        assert.deepEqual(
          names.sort(),
          NODES.slice(node).map((n) => `nats-${n + 1}`),
        )
        await cluster.restartNode(node)
        await assertGrantedAtEach(`${node + 1} on the next pair`)
      }

      await done(cluster, ['rotate', 'finish'])
      await cluster.restartVerifiers()
      await assertGrantedAtEach('finished')

      // A server that goes back to the old pair is heard by no verifier.
      const keys = join(cluster.local.dir, 'nats-server.keys.conf')
      const next = readFileSync(keys)
      copyFileSync(`${keys}.bak`, keys)
      await cluster.restartNode(2)
      const [one, two, old] = cluster.urls
      for (const url of [one, two]) await until(`${url} grants beside an old one`, () => isGranted(url), patienceMs)
      const denied: boolean[] = []
      for (let i = 0; i < connectionsEach; i++) denied.push(!(await isGranted(old)))
      assert.deepEqual(denied, Array(connectionsEach).fill(true))
      // A verifier that is not ready yet leaves a request without an answer.
      await until('a refusal is on record', async () => (await isGranted(old)) || (await denials(auditor)).size > 0, patienceMs)
      assert.deepEqual(await denials(auditor), new Set(['request_unopenable']))
      writeFileSync(keys, next)
      await cluster.restartNode(2)
      await until('the server is back on the next pair', () => isGranted(old), patienceMs)
    } finally {
      await auditor.close()
      await cluster.end()
    }
  })
})

/** Reasons of all denials in the trail. Asked again where its stream has no leader. */
async function denials(auditor: NatsConnection): Promise<Set<string>> {
  let reasons = new Set<string>()
  const isRead = async () => {
    const found = new Set<string>()
    for await (const { subject } of tailTrail(auditor, { filter: '>', since: null, follow: false })) {
      const reason = /\.denied\.(\w+)$/.exec(subject)?.[1]
      if (reason !== undefined) found.add(reason)
    }
    reasons = found
    return true
  }
  await until('the trail is read', () => isRead().catch(() => false), patienceMs)
  return reasons
}
