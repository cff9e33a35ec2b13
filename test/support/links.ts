/** Connections to a deployment as its own users, and stores over them. */
import { type Link, type LinkEvent, openLink } from '../../src/nats/connection.ts'
import type { StoreReport } from '../../src/nats/record-store.ts'
import { openStores, type Stores } from '../../src/nats/stores.ts'
import type { Deployment } from './deployment.ts'

const INBOXES = { verifierAuth: '_INBOX_verifier', verifierSys: '_INBOX_verifier_sys', admin: '_INBOX_admin' } as const

export function linkTo(deployment: Deployment, user: keyof typeof INBOXES, onEvent: (event: LinkEvent) => void = () => {}): Promise<Link> {
  return openLink({
    name: `test ${user}`,
    servers: [`127.0.0.1:${deployment.server.port}`],
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

/** What a verifier opens in the AUTH account, filled. */
export async function openVerifier(deployment: Deployment): Promise<TestVerifier> {
  const reports: StoreReport[] = []
  const events: LinkEvent[] = []
  const link = await linkTo(deployment, 'verifierAuth', (event) => events.push(event))
  const stores = await openStores(link, { replicas: 1, onReport: (report) => reports.push(report) })
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

/** Resolves when `check` holds; asks again at every turn of a short timer, and gives up after ten seconds. */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + 10_000
  while (!(await check())) {
    if (performance.now() > giveUpAt) throw new Error(`waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
