/** Connections to a deployment as its own users, and stores over them. */
import { type Link, type LinkEvent, openLink } from '../../src/nats/connection.ts'
import type { StoreReport } from '../../src/nats/record-store.ts'
import { openStores, type Stores } from '../../src/nats/stores.ts'
import type { Deployment } from './deployment.ts'

const INBOXES = { verifierAuth: '_INBOX_verifier', verifierSys: '_INBOX_verifier_sys', admin: '_INBOX_admin' } as const

/** `nodes`: those of its cluster, where it may connect to any. */
export function linkTo(
  deployment: Deployment,
  user: keyof typeof INBOXES,
  onEvent: (event: LinkEvent) => void = () => {},
  nodes: readonly Deployment[] = [deployment],
): Promise<Link> {
  return openLink({
    name: `test ${user}`,
    servers: nodes.map(({ server }) => `127.0.0.1:${server.port}`),
    seed: deployment.seeds[user],
    inboxPrefix: INBOXES[user],
    tls: null,
    waitForServer: user !== 'admin',
    onEvent,
  })
}

export interface TestVerifier {
  link: Link
  stores: Stores
  reports: StoreReport[]
  events: LinkEvent[]
  close(): Promise<void>
}

/** What a verifier opens in the AUTH account, filled. `nodes`: those of its cluster, where it may connect to any. */
export async function openVerifier(deployment: Deployment, { replicas = 1, nodes = [deployment] } = {}): Promise<TestVerifier> {
  const reports: StoreReport[] = []
  const events: LinkEvent[] = []
  const link = await linkTo(deployment, 'verifierAuth', (event) => events.push(event), nodes)
  const stores = await openStores(link, { replicas, onReport: (report) => reports.push(report) })
  await stores.ready()
  return {
    link,
    stores,
    reports,
    events,
    close: async () => {
      stores.stop()
      await link.drain()
    },
  }
}

/** Resolves when `check` holds; asks again at every turn of a short timer, and gives up after ten seconds, or after `msMax`. */
export async function until(what: string, check: () => boolean | Promise<boolean>, msMax = 10_000): Promise<void> {
  const giveUpAt = performance.now() + msMax
  while (!(await check())) {
    if (performance.now() > giveUpAt) throw new Error(`waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
