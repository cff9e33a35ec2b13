/**
 * Three nats-servers with routes between them: the shipped configuration in each, as docs/cluster.md adapts it for a
 * cluster. JetStream keeps three copies of everything.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import { type Deployment, startDeployment } from './deployment.ts'
import { freePort } from './free-port.ts'
import { type RunningNatsServer, startNatsServer } from './nats-server.ts'

export interface NatsCluster {
  /** The deployment as a client of each node meets it. Where a node was restarted, its server is the running one. */
  nodes: readonly Deployment[]
  /** Kills a node and starts it again on its ports and store. Resolves when it takes clients. */
  restart(node: number, signal?: NodeJS.Signals): Promise<void>
  /** Kills a node, which keeps its store. */
  kill(node: number, signal?: NodeJS.Signals): Promise<void>
  /** Starts a killed node again. */
  start(node: number): Promise<void>
  stop(): Promise<void>
}

export const CLUSTER_REPLICAS = 3

/** Resolves when every node takes clients and JetStream has a leader. */
export async function startNatsCluster(options: { line?: NatsServerLine; edit?: (config: string) => string } = {}): Promise<NatsCluster> {
  const ports: number[] = []
  while (ports.length < CLUSTER_REPLICAS) ports.push(await freePort())
  const line = options.line === undefined ? {} : { line: options.line }
  const clustered = (config: string) => withCluster(options.edit?.(config) ?? config, ports)
  const first = await startDeployment({ ...line, edit: clustered })
  const servers = [first.server]
  for (let n = 1; n < CLUSTER_REPLICAS; n++) servers.push(await startSibling(first.server, n, { ports, ...line }))
  const nodes = servers.map((server, n): Deployment => {
    if (n === 0) return first
    return {
      ...first,
      server,
      url: `nats://localhost:${server.port}`,
      websocketUrl: `ws://localhost:${server.websocketPort}`,
      stop: () => server.stop(),
    }
  })
  await Promise.all(nodes.map(({ server }) => server.logged(/(?:new JetStream cluster|cluster new) metadata leader/)))
  const start = async (n: number) => {
    const node = nodes[n]
    if (node !== undefined) node.server = await node.server.restart()
  }
  return {
    nodes,
    start,
    kill: async (n, signal) => nodes[n]?.server.kill(signal),
    restart: async (n, signal) => {
      await nodes[n]?.server.kill(signal)
      await start(n)
    },
    stop: async () => {
      await Promise.all(nodes.map(({ server }) => server.stop()))
    },
  }
}

/** What a cluster adds to the shipped configuration, for its first node. Three copies need three times the room. */
function withCluster(config: string, ports: readonly number[]): string {
  const [own] = ports
  const routes = ports.map((port) => `"nats-route://127.0.0.1:${port}"`).join(', ')
  return `${config.replace('max_file: 1GB', 'max_file: 3GB').replace('max_file: 10GB', 'max_file: 30GB')}
cluster {
  name: "nats"
  listen: "127.0.0.1:${own}"
  routes: [${routes}]
}
`
}

/** The same files under another name and at other ports. */
function startSibling(
  first: RunningNatsServer,
  n: number,
  { ports, ...line }: { ports: readonly number[]; line?: NatsServerLine },
): Promise<RunningNatsServer> {
  const config = readFileSync(first.configFile, 'utf8')
    .replaceAll(first.dir, '$DIR')
    .replace('server_name: "nats-1"', `server_name: "nats-${n + 1}"`)
    .replace(`listen: "127.0.0.1:${ports[0]}"`, `listen: "127.0.0.1:${ports[n]}"`)
  const included = readdirSync(first.dir).filter((name) => name.endsWith('.conf') && !first.configFile.endsWith(name))
  const files = Object.fromEntries(included.map((name) => [name, readFileSync(join(first.dir, name), 'utf8')]))
  return startNatsServer(config, { ...line, files })
}
