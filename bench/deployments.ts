/** nats-server for the bench: the shipped configuration, with room for the largest population and storm. */
import { type ProductFiles, startProductFiles } from '../test/support/product.ts'
import { endsLater } from './cleanup.ts'

export const POLICY = `version: 1
roles:
  bench:
    account: APP
    publish: { allow: ["bench.{{user}}.>"] }
    subscribe: { allow: ["work.bench"] }
    session: 1h
`

export async function startBenchDeployment({ xkey }: { xkey: boolean }): Promise<ProductFiles> {
  const product = await startProductFiles({
    xkey,
    policy: POLICY,
    logLevel: 'info',
    edit: (config) => config.replace('max_file: 1GB', 'max_file: 16GB'),
  })
  return { ...product, stop: endsLater(product.stop) }
}
