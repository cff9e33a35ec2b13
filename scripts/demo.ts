/**
 * `npm run demo`: a whole deployment in a temporary directory, and what happens to services, a person, a thief and a revoked
 * key. Every process is real: nats-server, the verifier, and the CLI that people would type.
 */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import { openProbe } from '../src/cli/probe.ts'
import { connectWithWebAuthn, loadKeyFile } from '../src/client/index.ts'
import type { TestOidcProvider } from '../test/support/oidc-provider.ts'
import { demoPerson } from './demo-person.ts'
import { beginCli, freePorts, movePorts, type Ports, type Running, runCli, startNatsServer, startVerifier } from './local-deployment.ts'
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

function typed(args: readonly string[]): void {
  console.log(`  $ nats-webauthn ${args.map((arg) => (/[\s>*]/.test(arg) ? `'${arg}'` : arg)).join(' ')}`)
}

/** The CLI, shown as typed; its output is the result. */
async function cli(dir: string, ...args: string[]): Promise<string> {
  typed(args)
  const { code, stdout, stderr } = await runCli(dir, args, { settings: settingsOf(dir) })
  if (code !== 0) throw new Error(`nats-webauthn ${args[0]} ended with ${code}:\n${stderr}`)
  return stdout
}

/** What people's own settings would be, in the demo's directory. */
function settingsOf(dir: string): Record<string, string> {
  return { XDG_CONFIG_HOME: join(dir, 'config'), BROWSER: '' }
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

interface Resources {
  processes: Running[]
  taps: Wiretap[]
  connections: NatsConnection[]
  provider: TestOidcProvider | null
}

async function story(dir: string, resources: Resources): Promise<void> {
  const [natsPort = 0, websocket = 0, monitor = 0, enrolment = 0, operations = 0, tapped = 0] = await freePorts(6)
  const ports: Ports = { nats: natsPort, websocket, monitor, enrolment, operations }
  const url = `nats://localhost:${tapped}`

  chapter('A deployment')
  await cli(dir, 'init', '.')
  movePorts(dir, ports)
  // Clients dial the address that is tapped: the worst network there is.
  const config = join(dir, 'nats-webauthn.yaml')
  writeFileSync(config, readFileSync(config, 'utf8').replace(`- nats://localhost:${ports.nats}`, `- ${url}`))
  resources.provider = await identityProvider(dir, ports)
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

  await personStory(dir, ports, resources.provider)

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

/** A real OpenID provider in this process, which stands for the company's, and the lines of configuration that it takes. */
async function identityProvider(dir: string, ports: Ports): Promise<TestOidcProvider> {
  const { warn } = console
  // It warns that it keeps its people in memory, which is all that a demo wants.
  console.warn = () => undefined
  const { ALICE, startOidcProvider } = await import('../test/support/oidc-provider.ts')
  const redirectUris = [`http://localhost:${ports.enrolment}/v1/login/callback`]
  const provider = await startOidcProvider({ redirectUris, accounts: [ALICE] })
  console.warn = warn
  writeFileSync(join(dir, 'keys/verifier/corp.secret'), provider.clientSecret, { mode: 0o600 })
  appendFileSync(
    join(dir, 'nats-webauthn.yaml'),
    `identity_providers:
  - name: corp
    label: Example Corp
    issuer: ${provider.issuer}
    client_id: ${provider.clientId}
    client_secret_file: keys/verifier/corp.secret
    scopes: [openid, profile, groups]
    roles: { claim: /groups, map: { staff: orders-terminal } }
`,
  )
  return provider
}

async function personStory(dir: string, ports: Ports, provider: TestOidcProvider): Promise<void> {
  const origin = `http://localhost:${ports.enrolment}`
  const [alice] = provider.accounts.values()
  if (alice === undefined) throw new Error('looking for a person')

  chapter('A person: an identity provider, a passkey (in software here), one tap, and any client')
  const person = demoPerson(origin)
  await person.signIn('corp', (url) => provider.login(url, alice.sub))
  ok(`alice signed in at ${provider.issuer}, an OpenID provider, which says: groups staff`)
  ok(`she enrolled her laptop at ${origin}; it gives ${(await person.enrolDevice('laptop')).join(', ')}`)

  const args = ['login', '--url', origin, '--no-browser', '--context', 'demo']
  typed(args)
  const login = beginCli(dir, args, settingsOf(dir))
  const address = await soon(login.said(/\/#session=/), 'the address to open')
  const asked = await person.approve(address.trim())
  ok(`the page said: a terminal on ${asked.host}, code ${asked.code}, roles ${asked.roles.join(', ')}; she tapped`)
  expect(
    (await soon(login.ended, 'the end of the login')) === 0,
    'the terminal has a session key of its own, and a context for the `nats` CLI',
  )

  const context = JSON.parse(readFileSync(join(dir, 'config/nats/context/demo.json'), 'utf8')) as Record<'nkey' | 'inbox_prefix', string>
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(readFileSync(context.nkey, 'utf8').trim()))
  const options = { servers: `nats://localhost:${ports.nats}`, authenticator, inboxPrefix: context.inbox_prefix, reconnect: false }
  const stock = await connect(options)
  stock.publish('orders.notes.alice', 'from a stock client with an nkey')
  await stock.flush()
  const refused = permissionError(stock)
  stock.publish('orders.new', 'an espresso for me')
  expect((await soon(refused, 'the refusal')) === 'PERMISSIONS_VIOLATION', 'a stock `nats` client uses it: her notes yes, orders no')
  const closed = stock.closed()
  await cli(dir, 'logout', '--context', 'demo')
  await soon(closed, 'the end of the connection')
  expect(
    (await attempt(options)) === 'AUTHORIZATION_VIOLATION',
    'logged out: the connection was closed, and the key opens nothing any more',
  )
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
const resources: Resources = { processes: [], taps: [], connections: [], provider: null }
try {
  await story(dir, resources)
  for (const connection of resources.connections) await connection.close()
  for (const tap of resources.taps) tap.close()
  await resources.provider?.stop()
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
