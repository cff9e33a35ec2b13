/**
 * A service: takes orders, confirms each one, and lives for months. Enrol its key once:
 *
 *   npx nats-webauthn enrol --url http://localhost:8780 --ticket-file orders.ticket --key orders.key
 *   npx tsx examples/orders-service.ts orders.key
 */
import { connect, type Msg, type NatsConnection } from 'nats'
import { connections, loadKeyFile, WebAuthnClientError } from 'nats-webauthn/client'

const [keyFile = 'orders.key', ...servers] = process.argv.slice(2)

function confirm(order: Msg): void {
  console.log(`order ${order.subject}: ${order.string()}`)
  if (order.reply !== undefined) order.respond(JSON.stringify({ confirmed: true }))
}

async function serve(nc: NatsConnection): Promise<void> {
  console.log(`connected to ${nc.getServer()}`)
  for await (const order of nc.subscribe('orders.new', { queue: 'orders' })) confirm(order)
}

async function main(): Promise<void> {
  const key = loadKeyFile(keyFile)
  const stopping = new AbortController()
  let current: NatsConnection | null = null
  process.once('SIGTERM', () => {
    stopping.abort()
    void current?.drain()
  })

  // Expired grants, restarts and lost networks are survived inside one connection; its key signs once.
  // The loop turns only when a server stays away and there is another one.
  const request = { key, ...(servers.length > 0 ? { servers } : {}), signal: stopping.signal }
  for await (const nc of connections(connect, request)) {
    current = nc
    await serve(nc)
  }
}

main().catch((error: unknown) => {
  // Codes are a closed list (docs/client.md); messages hold no secrets.
  console.error(error instanceof WebAuthnClientError ? `${error.code}: ${error.message}` : error)
  process.exitCode = 1
})
