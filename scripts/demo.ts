/**
 * `npm run demo`: a whole deployment in a temporary directory, and what happens to a service, a thief and a revoked key.
 * Every process is real: nats-server, the verifier, and the CLI that an administrator would type.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection } from 'nats'
import { openProbe } from '../src/cli/probe.ts'
import { connectWithWebAuthn, loadKeyFile } from '../src/client/index.ts'
import { freePorts, movePorts, type Ports, type Running, runCli, startNatsServer, startVerifier } from './local-deployment.ts'
import { findNatsServer } from './nats-server.ts'
import { startWiretap, type Wiretap } from './wiretap.ts'

const startedAt = performance.now()
const waitMsMax = 10_000

function chapter(title: string): void {
  console.log(`\n${title}`)
}

function ok(what: string): void {
  console.log(`  ✓ ${what}`)
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`expected: ${what}`)
  ok(what)
}

/** The CLI, shown as typed; its output is the result. */
async function cli(dir: string, ...args: string[]): Promise<string> {
  console.log(`  $ nats-webauthn ${args.map((arg) => (/[\s>*]/.test(arg) ? `'${arg}'` : arg)).join(' ')}`)
  const { code, stdout, stderr } = await runCli(dir, args)
  if (code !== 0) throw new Error(`nats-webauthn ${args[0]} ended with ${code}:\n${stderr}`)
  return stdout
}

/** What `promise` gives, unless it takes too long. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waiting for ${what}`)), waitMsMax)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The error code with which nats-server refuses, or 'admitted'. */
async function attempt(options: Parameters<typeof connect>[0]): Promise<string> {
  try {
    const connection = await connect(options)
    await connection.close()
    return 'admitted'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

/** Verdicts that the verifier has counted, by outcome. */
async function verdicts(dir: string, ports: Ports): Promise<Record<string, number>> {
  const password = readFileSync(join(dir, 'keys/metrics.password'), 'utf8')
  const authorization = `Basic ${Buffer.from(`prometheus:${password}`).toString('base64')}`
  const response = await fetch(`http://127.0.0.1:${ports.operations}/metrics`, { headers: { authorization } })
  const counts: Record<string, number> = {}
  for (const [, outcome, count] of (await response.text()).matchAll(/^nats_webauthn_verdicts_total\{outcome="(\w+)",[^}]*\} (\d+)$/gm)) {
    if (outcome !== undefined) counts[outcome] = (counts[outcome] ?? 0) + Number(count)
  }
  return counts
}

async function enrolMachine(dir: string, ports: Ports, name: string, role: string): Promise<string> {
  await cli(dir, 'invite', name, '--machine', '--role', role, '--out', `${name}.ticket`)
  await cli(dir, 'enrol', '--url', `http://localhost:${ports.enrolment}`, '--ticket-file', `${name}.ticket`, '--key', `${name}.key`)
  const key = loadKeyFile(join(dir, `${name}.key`))
  ok(`${name} has a key of its own; nobody else ever saw it`)
  return key.credentialId
}

async function story(dir: string, resources: { processes: Running[]; taps: Wiretap[]; connections: NatsConnection[] }): Promise<void> {
  const [natsPort = 0, websocket = 0, monitor = 0, enrolment = 0, operations = 0, tapped = 0] = await freePorts(6)
  const ports: Ports = { nats: natsPort, websocket, monitor, enrolment, operations }
  const url = `nats://localhost:${tapped}`

  chapter('A deployment')
  await cli(dir, 'init', '.')
  movePorts(dir, ports)
  // Clients dial the address that is tapped: the worst network there is.
  const config = join(dir, 'nats-webauthn.yaml')
  writeFileSync(config, readFileSync(config, 'utf8').replace(`- nats://localhost:${ports.nats}`, `- ${url}`))
  const binary = findNatsServer()
  resources.processes.push(await startNatsServer(binary, dir))
  ok('nats-server is up')
  resources.processes.push(await startVerifier(dir))
  ok('the verifier answers its auth callouts')
  resources.taps.push(await startWiretap(tapped, ports.nats))
  const before = await verdicts(dir, ports)

  chapter('Without a credential')
  expect(
    (await attempt({ servers: `nats://localhost:${ports.nats}`, reconnect: false })) === 'AUTHORIZATION_VIOLATION',
    'a client that proves nothing is refused',
  )

  chapter('Two services enrol')
  const credentialId = await enrolMachine(dir, ports, 'orders', 'orders-writer')
  await enrolMachine(dir, ports, 'billing', 'orders-reader')

  chapter('They connect: the `nats` client, a WebAuthn assertion bound to the nonce of this very connection')
  const orders = await connectWithWebAuthn(connect, { key: loadKeyFile(join(dir, 'orders.key')), url, nats: { reconnect: false } })
  resources.connections.push(orders)
  const recorded = resources.taps[0]?.recorded() ?? null
  const billing = await connectWithWebAuthn(connect, { key: loadKeyFile(join(dir, 'billing.key')), url })
  resources.connections.push(billing)
  ok('orders and billing are connected')
  const received = billing.subscribe('orders.>', { max: 1 })[Symbol.asyncIterator]().next()
  await billing.flush()
  orders.publish('orders.new', 'one espresso')
  const message = await soon(received, 'the order')
  expect(!message.done && message.value.string() === 'one espresso', 'orders publishes to orders.new, and billing reads it')
  const refused = permissionError(orders)
  orders.publish('payments.refund', 'a fortune')
  expect((await soon(refused, 'the refusal')) === 'PERMISSIONS_VIOLATION', 'orders may not publish to payments.refund: nats-server refuses')

  chapter('A thief')
  if (recorded === null) throw new Error('the tap heard no CONNECT')
  expect(recorded.includes('"sig"'), `the tap recorded what orders sent: ${recorded.length} bytes of CONNECT, with the proof`)
  const thief = await openProbe(`nats://127.0.0.1:${ports.nats}`, null)
  const answer = await thief.ask(JSON.parse(recorded.slice('CONNECT '.length)))
  thief.close()
  expect(answer === "-ERR 'Authorization Violation'", 'sent again on another connection, it is refused: that nonce is gone')

  chapter('Revoked')
  const closed = orders.closed()
  await cli(dir, 'credential', 'revoke', credentialId)
  await soon(closed, 'the end of the connection')
  ok("orders' live connection was closed")
  const again = await attemptWithKey(join(dir, 'orders.key'), url)
  expect(again === 'AUTHORIZATION_VIOLATION', 'its key is refused from now on')

  chapter('What the security team sees')
  const trail = await cli(dir, 'audit', 'tail', '--since', '1h')
  for (const line of trail.trimEnd().split('\n')) console.log(`    ${line.slice(0, 150)}`)
  expect(trail.includes('request.denied.challenge_mismatch'), 'the thief is in the trail, and why it failed')
  const after = await verdicts(dir, ports)
  console.log(`    metrics, before: ${JSON.stringify(before)}  after: ${JSON.stringify(after)}`)
  expect((after['denied'] ?? 0) > (before['denied'] ?? 0) && (after['granted'] ?? 0) > (before['granted'] ?? 0), 'the counters moved')
}

async function permissionError(connection: NatsConnection): Promise<string> {
  for await (const status of connection.status()) {
    if (status.type === 'error') return String(status.data)
  }
  return 'closed'
}

async function attemptWithKey(path: string, url: string): Promise<string> {
  try {
    const connection = await connectWithWebAuthn(connect, { key: loadKeyFile(path), url, nats: { reconnect: false } })
    await connection.close()
    return 'admitted'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-demo-'))
const resources = { processes: [] as Running[], taps: [] as Wiretap[], connections: [] as NatsConnection[] }
try {
  await story(dir, resources)
  for (const connection of resources.connections) await connection.close()
  for (const tap of resources.taps) tap.close()
  const codes: (number | null)[] = []
  for (const running of resources.processes.toReversed()) codes.push(await running.stop())
  chapter('The end')
  expect(codes[0] === 0, 'the verifier drained and ended with 0')
  ok(`all of it in ${((performance.now() - startedAt) / 1000).toFixed(1)} s; nothing is left behind`)
} catch (error) {
  console.error(`\n✗ ${error instanceof Error ? error.message : String(error)}`)
  for (const { lines } of resources.processes) console.error(lines.slice(-15).join('\n'))
  process.exitCode = 1
} finally {
  for (const { child } of resources.processes) child.kill('SIGKILL')
  for (const tap of resources.taps) tap.close()
  rmSync(dir, { recursive: true, force: true })
}
process.exit()
