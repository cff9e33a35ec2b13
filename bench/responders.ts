/** Starts the responders that the verifier is compared with, over the same nats-server and in its place. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ProductFiles, TestIdentity } from '../test/support/product.ts'
import type { ResponderPlan } from './responder-plan.ts'
import { type BenchedProcess, startProcess } from './verifier.ts'

const PROGRAMS = { stock: 'stock-responder.ts', signing: 'signing-responder.ts' } as const

/** `stock`: on the stock libraries, with every check that they offer. `signing`: checks nothing. */
export async function startResponder(
  kind: keyof typeof PROGRAMS,
  { dir, deployment, url }: Pick<ProductFiles, 'dir' | 'deployment' | 'url'>,
  who: readonly TestIdentity[],
): Promise<BenchedProcess> {
  const plan: ResponderPlan = {
    servers: `127.0.0.1:${deployment.server.port}`,
    authSeed: deployment.seeds.verifierAuth,
    issuerSeed: deployment.seeds.issuer,
    xkeySeed: deployment.seeds.xkey,
    url,
    rpId: who[0]?.credential.rpId ?? '',
    credentials: who.map(({ credential: { id, publicKey, handle } }) => ({ id, publicKey, handle })),
    readyFile: join(dir, `${kind}.ready`),
  }
  const planFile = join(dir, `${kind}.json`)
  writeFileSync(planFile, JSON.stringify(plan), { mode: 0o600 })
  return startProcess(['--import', 'tsx', fileURLToPath(new URL(PROGRAMS[kind], import.meta.url))], {
    env: { BENCH_PLAN: planFile },
    isReady: async () => existsSync(plan.readyFile),
  })
}
