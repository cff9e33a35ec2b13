/** The day on which no verifier runs, as docs/break-glass.md tells it, on a real nats-server. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import { BREAK_GLASS_FILE, BREAK_GLASS_NEEDS, type BreakGlassNeed } from '../../src/cli/break-glass-files.ts'
import { breakGlassCheck, staticUsersCheck } from '../../src/cli/rollout-checks.ts'
import { readConfig } from '../../src/config.ts'
import { startVerifier } from '../../src/main.ts'
import { openLink } from '../../src/nats/connection.ts'
import { seriesValue } from '../support/metrics.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { type AuditRecord, nkeyUser, type Product, startProduct, type TestIdentity } from '../support/product.ts'
import { boundResume, endorsing } from '../support/proofs.ts'
import type { RawClient } from '../support/raw-client.ts'

const POLICY = `version: 1
roles:
  short: { account: APP, publish: { allow: ["orders.>"] }, ttl: 4s, session: 8h }
  long: { account: APP, publish: { allow: ["orders.>"] }, ttl: 15m, session: 8h }
`
const NEEDS = Object.keys(BREAK_GLASS_NEEDS) as BreakGlassNeed[]
const SUBJECT = 'audit.webauthn.connection.succeeded.break_glass'
const VIOLATION = 'Authorization Violation'

interface Facts {
  user: string
  account: string
  clientId: number
  client: string
}
const factsOf = ({ body }: AuditRecord) => (body['unmapped'] as unknown as { facts: Facts }).facts

/** The next line that is no news of the server's own. */
async function lineOf(client: RawClient): Promise<string> {
  for (;;) {
    const line = await client.line()
    if (!line.startsWith('INFO ') && line !== 'PING') return line
  }
}

for (const line of NATS_LINES) {
  describe(`without a verifier on nats-server ${line}`, () => {
    let product: Product
    let alice: TestIdentity
    let open: RawClient
    const used: { need: BreakGlassNeed; clientId: number }[] = []

    before(async () => {
      product = await startProduct({
        line,
        policy: POLICY,
        yaml: 'static_users: { keys_file: nats-server.keys.conf }\n',
        // As long as a refusal takes while nobody answers.
        edit: (config) => config.replace('timeout: 5\n', 'timeout: 2\n'),
      })
      alice = await product.enrolled('alice', { roles: ['long'] })
      const bob = await product.enrolled('bob', { roles: ['short'] })
      const session = await product.raw()
      assert.equal(await session.connect(endorsing(alice, { nonce: session.info.nonce, url: product.url })), 'PONG')
      session.close()
      open = await product.raw()
      assert.equal(await open.connect(endorsing(bob, { nonce: open.info.nonce, url: product.url })), 'PONG')
      await product.verifier.stop()
    })
    after(async () => {
      await product.verifier.stop()
      await product.stop()
    })

    const enter = (need: BreakGlassNeed, name = 'break-glass'): Promise<NatsConnection> =>
      connect({
        servers: `127.0.0.1:${product.deployment.server.port}`,
        authenticator: nkeyAuthenticator(new TextEncoder().encode(product.deployment.breakGlass[need].seed)),
        inboxPrefix: '_INBOX_break_glass',
        reconnect: false,
        name,
      })
    const noted = (need: BreakGlassNeed, connection: NatsConnection) => {
      used.push({ need, clientId: connection.info?.client_id ?? 0 })
      return connection
    }
    const resume = async (): Promise<{ client: RawClient; answer: string }> => {
      const client = await product.raw()
      return { client, answer: await client.connect(boundResume(alice.session, { nonce: client.info.nonce, url: product.url })) }
    }
    /** Switches one key, or all that are on, and has nats-server read its configuration again. */
    const turn = async (state: 'on' | 'off', needs: readonly BreakGlassNeed[] = NEEDS) => {
      const path = join(product.dir, BREAK_GLASS_FILE)
      let text = readFileSync(path, 'utf8')
      for (const need of needs)
        text = text.replace(
          new RegExp(`^(BREAK_GLASS_${need.toUpperCase()}_BY:).*$`, 'm'),
          `$1 ["${state === 'on' ? 'STANDARD' : 'MQTT'}"]`,
        )
      writeFileSync(path, text)
      const { server } = product.deployment
      const reloads = () => server.log().split('Reloaded server configuration').length
      const earlier = reloads()
      server.child.kill('SIGHUP')
      while (reloads() === earlier) await setImmediate()
    }
    const refusedSubject = async (connection: NatsConnection, act: () => void): Promise<string> => {
      const statuses = connection.status()
      act()
      for await (const { type, data } of statuses) if (type === 'error') return `${data}`
      return 'closed'
    }
    const refuses = async (connection: NatsConnection, subjects: readonly string[]) => {
      for (const subject of subjects)
        assert.equal(await refusedSubject(connection, () => connection.publish(subject, '{}')), 'PERMISSIONS_VIOLATION', subject)
    }
    const ask = async <T>(connection: NatsConnection, subject: string, body: unknown = {}): Promise<T> =>
      (await connection.request(subject, JSON.stringify(body), { timeout: 5_000 })).json<T>()

    test('who is connected stays until the grant ends', async () => {
      open.send('PING')
      assert.equal(await lineOf(open), 'PONG')
      assert.equal(await lineOf(open), "-ERR 'User Authentication Expired'")
    })

    test('nobody gets in, with a session in force or with a key that is switched off', async () => {
      assert.equal((await resume()).answer, VIOLATION)
      for (const need of NEEDS) await assert.rejects(enter(need), { code: 'AUTHORIZATION_VIOLATION' }, need)
    })

    test('one key is switched on: it gets in, and the others still do not', async () => {
      await turn('on', ['system'])
      const system = noted('system', await enter('system'))
      const { data } = await ask<{ data: { connections: unknown[] } }>(system, '$SYS.REQ.SERVER.PING.CONNZ')
      assert.ok(data.connections.length > 0)
      for (const need of NEEDS.filter((other) => other !== 'system'))
        await assert.rejects(enter(need), { code: 'AUTHORIZATION_VIOLATION' }, need)
      await refuses(system, [
        '$JS.API.ACCOUNT.PURGE.AUDIT',
        '$JS.API.STREAM.DELETE.WEBAUTHN_AUDIT',
        'audit.webauthn.verifier.succeeded.started',
      ])
      await system.close()
    })

    test('each of the others can do what it is for, and no more', async () => {
      await turn('on')
      const state = noted('state', await enter('state'))
      const { streams } = await ask<{ streams: string[] }>(state, '$JS.API.STREAM.NAMES')
      assert.ok(streams.includes('KV_webauthn_credentials'))
      await ask(state, '$JS.API.STREAM.MSG.GET.KV_webauthn_identities', { last_by_subj: '$KV.webauthn_identities.alice' })
      await refuses(state, [
        '$KV.webauthn_sessions.x',
        '$JS.API.STREAM.PURGE.KV_webauthn_revoked_nkeys',
        '$JS.API.STREAM.DELETE.KV_webauthn_credentials',
        '$JS.API.STREAM.MSG.DELETE.KV_webauthn_credentials',
        '$JS.API.STREAM.UPDATE.KV_webauthn_revoked_nkeys',
        'nats-webauthn.admin.admin.credential.list',
      ])
      const listening = await refusedSubject(state, () => state.subscribe('$SYS.REQ.USER.AUTH', { callback: () => undefined }))
      assert.equal(listening, 'PERMISSIONS_VIOLATION')
      await state.close()

      const application = noted('application', await enter('application'))
      const orders = application.subscribe('orders.new', { max: 1 })
      application.publish('orders.new', '17')
      for await (const message of orders) assert.equal(message.string(), '17')
      await refuses(application, ['$JS.API.STREAM.NAMES', 'payroll.new'])
      await application.close()
    })

    test('of the audit trail not a record can be taken away, read or added, but room can be made', async () => {
      const audit = noted('audit', await enter('audit'))
      await refuses(audit, [
        '$JS.API.STREAM.PURGE.WEBAUTHN_AUDIT',
        '$JS.API.STREAM.DELETE.WEBAUTHN_AUDIT',
        '$JS.API.STREAM.MSG.DELETE.WEBAUTHN_AUDIT',
        '$JS.API.STREAM.MSG.GET.WEBAUTHN_AUDIT',
        'audit.webauthn.connection.granted.proof',
      ])
      const { config } = await ask<{ config: { max_bytes: number } }>(audit, '$JS.API.STREAM.INFO.WEBAUTHN_AUDIT')
      const wanted = { ...config, max_bytes: config.max_bytes + 2 ** 20 }
      const { config: now } = await ask<{ config: { max_bytes: number } }>(audit, '$JS.API.STREAM.UPDATE.WEBAUTHN_AUDIT', wanted)
      assert.equal(now.max_bytes, config.max_bytes + 2 ** 20)
      await audit.close()
    })

    test('the server itself can tell who was there, while nobody else watches', async () => {
      const system = noted('system', await enter('system'))
      const { publicKey } = product.deployment.breakGlass.application
      const { data } = await ask<{ data: { connections: { authorized_user: string; start: string; stop?: string }[] } }>(
        system,
        '$SYS.REQ.SERVER.PING.CONNZ',
        { auth: true, state: 2, user: publicKey },
      )
      const stays = data.connections.filter(({ authorized_user, stop }) => authorized_user === publicKey && stop !== undefined)
      assert.ok(stays.length > 0)
      await system.close()
    })

    test('a verifier that starts puts every one of them on record, each once', async () => {
      product.verifier = await startVerifier(readConfig(product.configFile))
      for (const { need, clientId } of used) {
        const record = await product.record((one) => one.subject === SUBJECT && factsOf(one).clientId === clientId)
        assert.equal(factsOf(record).user, product.deployment.breakGlass[need].publicKey)
        assert.equal(record.body['severity_id'], 4)
      }
      const body = await (await fetch(`${product.operationsUrl}/metrics`)).text()
      const lastUsed = seriesValue(body, 'nats_webauthn_break_glass_last_used_timestamp_seconds') ?? 0
      assert.ok(lastUsed > 0 && lastUsed <= Date.now() / 1000)
      assert.equal(
        seriesValue(body, 'nats_webauthn_lifecycle_total{area="connection",outcome="succeeded",reason="break_glass"}'),
        used.length,
      )
      // Another start sees the same connections and adds nothing to the trail.
      await product.verifier.stop()
      product.verifier = await startVerifier(readConfig(product.configFile))
      await product.record((one) => one.subject === SUBJECT && factsOf(one).clientId === used.at(-1)?.clientId)
      assert.equal(await recordsInStream(), used.length)
    })

    test('while a verifier runs it is told at once, whatever the client calls itself', async () => {
      const application = noted('application', await enter('application', '","user":"alice","kind":"System'))
      const record = await product.record((one) => one.subject === SUBJECT && factsOf(one).clientId === application.info?.client_id)
      assert.deepEqual([factsOf(record).account, factsOf(record).client], ['APP', '","user":"alice","kind":"System'])
      // Users of every day raise nothing: administrators, auditors, the verifier, and everybody who came through it.
      const admin = await connect(nkeyUser(product.deployment, 'admin', '_INBOX_admin'))
      const { client, answer } = await resume()
      assert.equal(answer, 'PONG')
      const second = noted('application', await enter('application'))
      await product.record((one) => one.subject === SUBJECT && factsOf(one).clientId === second.info?.client_id)
      assert.equal(await recordsInStream(), used.length)
      client.close()
      await admin.close()
      const found = await lookFromHere()
      assert.equal(found.passed, false)
      assert.match(found.detail, new RegExp(`${product.deployment.breakGlass.application.publicKey} in APP`))
      assert.deepEqual(breakGlassCheck(product.configFile)?.passed, false)
      await Promise.all([application.close(), second.close()])
    })

    test('switched off, the key is refused, what it opened is closed, and everybody is back by their session', async () => {
      const still = noted('application', await enter('application'))
      const { client } = await resume()
      await turn('off')
      await still.closed()
      assert.match(await lineOf(client), /^-ERR|^closed/)
      for (const need of NEEDS) await assert.rejects(enter(need), { code: 'AUTHORIZATION_VIOLATION' }, need)
      const back = await resume()
      assert.equal(back.answer, 'PONG')
      back.client.close()
      client.close()
      assert.deepEqual(breakGlassCheck(product.configFile)?.passed, true)
      assert.deepEqual(await lookFromHere(), {
        name: 'static users',
        passed: true,
        detail: 'only those that are expected are connected',
      })
    })

    /** How many records of such connections the stream holds. */
    async function recordsInStream(): Promise<number> {
      const { state } = await ask<{ state: { subjects?: Record<string, number> } }>(product.auditor, '$JS.API.STREAM.INFO.WEBAUTHN_AUDIT', {
        subjects_filter: SUBJECT,
      })
      return state.subjects?.[SUBJECT] ?? 0
    }

    /** What `nats-webauthn check` sees. */
    async function lookFromHere() {
      const link = await openLink({
        name: 'check',
        servers: [`127.0.0.1:${product.deployment.server.port}`],
        seed: product.deployment.seeds.verifierSys,
        inboxPrefix: '_INBOX_verifier_sys',
        tls: null,
        waitForServer: false,
        onEvent: () => undefined,
      })
      try {
        return await staticUsersCheck(link, readConfig(product.configFile))
      } finally {
        await link.drain()
      }
    }
  })
}
