/** The verifier as operators run it: signals, logs, and what must never be in them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { connect, type NatsConnection } from 'nats'
import { tailTrail } from '../../src/audit/tail.ts'
import { nkeyUser, type ProductFiles, startProductFiles } from '../support/product.ts'
import { boundResume, endorsing, plainResume, proof } from '../support/proofs.ts'
import { rawClient } from '../support/raw-client.ts'
import { startVerifierProcess, type VerifierProcess } from '../support/verifier-process.ts'

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.>"] }
    session: 1h
    plain_sessions: true
`

interface Trail {
  subject: string
  text: string
  count: number
  clientId: number | undefined
}

/** Every record of both streams, in order. */
async function readTrail(auditor: NatsConnection): Promise<Trail[]> {
  const trail: Trail[] = []
  for await (const { subject, body } of tailTrail(auditor, { filter: '>', since: null, follow: false })) {
    const { count, unmapped } = JSON.parse(body) as { count?: number; unmapped?: { nats?: { client_id?: number } } }
    trail.push({ subject, text: body, count: count ?? 1, clientId: unmapped?.nats?.client_id })
  }
  return trail
}

/** A way to nats-server that can be cut, and then accepts without a word. */
async function startBetween(natsPort: number) {
  const sockets = new Set<Socket>()
  let silent = false
  const server: Server = createServer((client) => {
    sockets.add(client.on('error', () => {}))
    if (silent) return
    const upstream = new Socket().on('error', () => {}).connect(natsPort, '127.0.0.1')
    client.pipe(upstream).pipe(client)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** Resolves when so many are connected again. */
    fallSilent(connections: number) {
      silent = true
      for (const socket of sockets) socket.destroy()
      return new Promise<void>((resolve) => {
        server.on('connection', () => --connections === 0 && resolve())
      })
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

describe('the verifier process', () => {
  let files: ProductFiles | undefined
  let verifier: VerifierProcess | undefined
  afterEach(async () => {
    await verifier?.stop('SIGKILL')
    await files?.stop()
    verifier = files = undefined
  })

  test('SIGTERM during load: every client that got in has its record, every refusal is counted, exit 0', async () => {
    files = await startProductFiles({ policy: POLICY, logLevel: 'info' })
    verifier = await startVerifierProcess(files.configFile, files.operationsUrl)
    const { url, deployment } = files
    const who = await files.enrolled('orders', { roles: ['orders-writer'] })
    const outcomes: { clientId: number; answer: string; proven: boolean }[] = []
    let stopped = false
    const client = async () => {
      for (let i = 0; !stopped; i++) {
        const raw = await rawClient(deployment.server.port)
        const proven = i % 3 !== 0
        const answer = await raw.connect(proven ? proof(who, { nonce: raw.info.nonce, url }) : {})
        outcomes.push({ clientId: raw.info.client_id, answer, proven })
        raw.close()
        if (outcomes.length === 150)
          void verifier?.stop('SIGTERM').then((code) => {
            exitCode = code
            stopped = true
          })
      }
    }
    let exitCode: number | null = null
    await Promise.all(Array.from({ length: 16 }, client))
    assert.equal(exitCode, 0)

    const auditor = await connect(nkeyUser(deployment, 'auditor', '_INBOX_auditor'))
    const trail = await readTrail(auditor)
    await auditor.close()
    const granted = trail.filter(({ subject }) => subject.startsWith('audit.webauthn.connection.granted.'))
    const recorded = new Set(granted.map(({ clientId }) => clientId))
    assert.equal(recorded.size, granted.length)
    const admitted = outcomes.filter(({ answer }) => answer === 'PONG')
    assert.ok(admitted.length > 50)
    assert.deepEqual(
      admitted.filter(({ clientId }) => !recorded.has(clientId)),
      [],
    )
    // A refusal after the verifier has left is the server's own: it is in no record. All others are, coalesced or not.
    const denials = trail.filter(({ subject }) => subject.endsWith('.denied.sig_missing')).reduce((sum, { count }) => sum + count, 0)
    // Of a flood some share a line, which counts them.
    const logged = verifier
      .output()
      .split('\n')
      .map((line) => Number(line.match(/"verdicts":(\d+)/)?.[1] ?? line.includes('"sig_missing"')))
      .reduce((sum, verdicts) => sum + verdicts, 0)
    assert.equal(denials, logged)
    assert.ok(denials > 10)
  })

  test('no seed, JWT, ticket, proof or nonce in any log, record, metric or error', async () => {
    files = await startProductFiles({ policy: POLICY, logLevel: 'info' })
    verifier = await startVerifierProcess(files.configFile, files.operationsUrl)
    const { url, deployment, operationsUrl } = files
    const who = await files.enrolled('orders', { roles: ['orders-writer'] })
    const secrets = new Set<string>(Object.values(deployment.seeds))
    const attempt = async (fields: (nonce: string) => Record<string, unknown>) => {
      const raw = await rawClient(deployment.server.port)
      const connect = fields(raw.info.nonce)
      secrets.add(raw.info.nonce)
      if (typeof connect['sig'] === 'string' && connect['sig'] !== '') secrets.add(connect['sig'])
      for (const member of ['auth_token', 'pass', 'jwt']) if (typeof connect[member] === 'string') secrets.add(connect[member])
      await raw.connect(connect)
      raw.close()
    }
    await attempt((nonce) => proof(who, { nonce, url }))
    await attempt((nonce) => endorsing(who, { nonce, url, plain: true }))
    await attempt((nonce) => boundResume(who.session, { nonce, url }))
    await attempt((nonce) => plainResume(who.session, nonce))
    await attempt((nonce) => proof(who, { nonce: `${nonce}x`, url }))
    await attempt((nonce) => proof(who, { nonce, url: 'tls://evil.example.net:4222' }))
    await attempt(() => ({ auth_token: 'token-that-nobody-may-see' }))
    await attempt(() => ({ user: 'orders', pass: 'password-that-nobody-may-see' }))
    await attempt(() => ({ sig: 'c2lnLXRoYXQtbm9ib2R5LW1heS1zZWU' }))
    await attempt((nonce) => ({ ...proof(who, { nonce, url }), jwt: 'eyJ0eXAiOiJqd3QifQ.e30.jwt-that-nobody-may-see' }))

    const metrics = await (await fetch(`${operationsUrl}/metrics`)).text()
    assert.equal(await verifier.stop(), 0)
    const auditor = await connect(nkeyUser(deployment, 'auditor', '_INBOX_auditor'))
    const trail = await readTrail(auditor)
    await auditor.close()
    assert.ok(trail.length >= 10)
    const places = {
      log: verifier.output(),
      metrics,
      audit: trail.map(({ subject, text }) => subject + text).join('\n'),
      // nats-server logs the reason of each refusal, which is our text.
      'server log': deployment.server.log(),
    }
    for (const [place, text] of Object.entries(places)) {
      const found = [...secrets].filter((secret) => text.includes(secret))
      assert.deepEqual(found, [], place)
      // A user JWT or a response would begin so, whatever it says.
      assert.doesNotMatch(text, /eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5/, place)
    }
    const seedText = readFileSync(join(files.dir, 'keys', 'issuer.seed'), 'utf8').trim()
    assert.ok(secrets.has(seedText))
  })

  test('SIGTERM while nats-server accepts connections and says nothing: ends by itself', { timeout: 30_000 }, async (t) => {
    files = await startProductFiles({ policy: POLICY, logLevel: 'info' })
    const { deployment, configFile, operationsUrl } = files
    const between = await startBetween(deployment.server.port)
    t.after(between.stop)
    const config = readFileSync(configFile, 'utf8').replace(/servers: .*/, `servers: ["127.0.0.1:${between.port}"]`)
    writeFileSync(configFile, config)
    verifier = await startVerifierProcess(configFile, operationsUrl)
    await between.fallSilent(3)
    assert.equal(await verifier.stop(), 0)
    assert.match(verifier.output(), /"msg":"stopped"/)
  })

  test('a second signal ends it at once', async () => {
    files = await startProductFiles({ policy: POLICY, logLevel: 'info' })
    verifier = await startVerifierProcess(files.configFile, files.operationsUrl)
    const { child } = verifier
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    child.kill('SIGTERM')
    await ended
    assert.notEqual(child.exitCode ?? child.signalCode, null)
  })
})
