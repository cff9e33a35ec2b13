import { startProduct, nats } from './support/product.ts'
import { proof } from './support/proofs.ts'
import { setTimeout as sleep } from 'node:timers/promises'
const line = (process.argv[2] ?? '2.15') as never
const product = await startProduct({ line, policy: `version: 1
roles:
  short: { account: APP, publish: { allow: ["x.>"] }, ttl: 3s, session: 0 }
`})
const who = await product.enrolled('orders', { roles: ['short'] })
await Promise.all(Array.from({ length: 12 }, async (_, i) => {
  const raw = await product.raw()
  await sleep(1000 - (Date.now() % 1000) + 1000 - 60 - i*5)
  const fields = proof(who, { nonce: raw.info.nonce, url: product.url })
  await raw.connect(fields)
  const first = await product.record(({ body }) => nats(body)['client_id'] === raw.info.client_id)
  const exp = Number(nats(first.body)['expires_at'])
  const expMs = exp > 1e12 ? exp : exp * 1000
  await sleep(expMs - Date.now() + 780 - i*40)
  const answer = await raw.connect(fields).catch((e) => String(e))
  if (answer === 'closed' || answer === undefined) { console.log(i, 'closed before'); return }
  const second = await Promise.race([product.record(({ body }) => nats(body)['client_id'] === raw.info.client_id), sleep(1500)])
  console.log(i, answer, second ? second.subject : 'none', second ? nats(second.body)['expires_at'] : '', exp)
  raw.close()
}))
await product.stop()
