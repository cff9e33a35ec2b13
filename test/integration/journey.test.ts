/** A service's life over the whole product: permissions per role, expiry, sessions, for both client libraries. */
import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { connect as connectV3 } from '@nats-io/transport-node'
import { connect as connectV2 } from 'nats'
import { connectWithWebAuthn, type MachineKey, type SigningKey } from '../../src/client/index.ts'
import { encodeSeed } from '../../src/core/nkey.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { nats, type Product, startProduct, type TestIdentity } from '../support/product.ts'
import { endorsing, proof } from '../support/proofs.ts'
import type { RawClient } from '../support/raw-client.ts'

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.{{user}}.>"], deny: ["orders.{{user}}.secret"] }
    subscribe: { allow: ["work.orders"] }
  reader:
    account: APP
    subscribe: { allow: ["orders.*.new"] }
  short-lived:
    account: APP
    publish: { allow: ["short"] }
    ttl: 2s
    session: 1h
    plain_sessions: true
  stock:
    account: APP
    publish: { allow: ["short"] }
    session: 1h
    plain_sessions: true
  proof-each-time:
    account: APP
    publish: { allow: ["once"] }
    ttl: 2s
    session: 0
`

/** What each role may do, and may not: judged by nats-server itself. */
const MATRIX = [
  {
    roles: ['orders-writer'],
    publish: {
      allowed: ['orders.HANDLE.new', 'orders.HANDLE.a.b'],
      denied: [
        'orders.HANDLE',
        'orders.HANDLE.secret',
        'orders.other.new',
        'work.orders',
        '_INBOX_HANDLE.x',
        '$JS.API.INFO',
        '$SYS.REQ.USER.AUTH',
      ],
    },
    subscribe: {
      allowed: ['work.orders', '_INBOX_HANDLE.>'],
      denied: ['>', 'orders.>', 'orders.HANDLE.new', '_INBOX.>', '_INBOX_other.>', '$SYS.>'],
    },
  },
  {
    roles: ['reader'],
    publish: { allowed: [], denied: ['orders.HANDLE.new', 'anything', '_INBOX_other.x'] },
    subscribe: { allowed: ['orders.*.new', 'orders.billing.new'], denied: ['orders.>', 'orders.*.*', '_INBOX_other.>'] },
  },
  {
    roles: ['orders-writer', 'reader'],
    publish: { allowed: ['orders.HANDLE.new'], denied: ['orders.HANDLE.secret', 'orders.other.new'] },
    subscribe: { allowed: ['work.orders', 'orders.*.new'], denied: ['>'] },
  },
] as const

for (const line of NATS_LINES) {
  for (const xkey of [true, false]) {
    describe(`the journey on nats-server ${line}, xkey ${xkey ? 'on' : 'off'}`, () => suite({ line, xkey }))
  }
}

function suite({ line, xkey }: { line: (typeof NATS_LINES)[number]; xkey: boolean }): void {
  let product: Product
  before(async () => {
    product = await startProduct({ line, xkey, policy: POLICY })
  })
  after(() => product.stop())

  const nonceOf = (client: RawClient) => ({ nonce: client.info.nonce, url: product.url })

  for (const { roles, publish, subscribe } of MATRIX) {
    test(`nats-server lets ${roles.join(' and ')} do what the role allows and nothing else`, async () => {
      const handle = roles.join('_')
      const who = await product.enrolled(handle, { roles: [...roles] })
      const raw = await product.raw()
      assert.equal(await raw.connect(proof(who, nonceOf(raw))), 'PONG')
      const subject = (text: string) => text.replace('HANDLE', handle)
      const tried = { allowed: [] as string[], denied: [] as string[] }
      for (const one of [...publish.allowed, ...publish.denied].map(subject)) {
        tried[(await permitted(raw, `PUB ${one} 0\r\n`)) ? 'allowed' : 'denied'].push(one)
      }
      assert.deepEqual(tried, { allowed: publish.allowed.map(subject), denied: publish.denied.map(subject) })
      const heard = { allowed: [] as string[], denied: [] as string[] }
      for (const [i, one] of [...subscribe.allowed, ...subscribe.denied].map(subject).entries()) {
        heard[(await permitted(raw, `SUB ${one} ${i + 1}`)) ? 'allowed' : 'denied'].push(one)
      }
      assert.deepEqual(heard, { allowed: subscribe.allowed.map(subject), denied: subscribe.denied.map(subject) })
      raw.close()
    })
  }

  for (const [name, connect] of Object.entries({ 'nats 2.x': connectV2, '@nats-io/transport-node 3.x': connectV3 })) {
    test(`${name}: the connection ends at exp and comes back by its session, without the key being asked`, async () => {
      const who = await product.enrolled(name.startsWith('nats') ? 'two' : 'three', { roles: ['short-lived'] })
      const counted = countingKey(who)
      const nc = await connectWithWebAuthn(connect as typeof connectV2, {
        key: counted.key,
        url: product.url,
        nats: { reconnectTimeWait: 50, reconnectJitter: 0 },
      })
      const first = await verdictOf(who)
      assert.match(first.subject, /granted\.proof_endorsing$/)
      for (let i = 0; i < 3; i++) {
        const again = await verdictOf(who)
        assert.match(again.subject, /granted\.session_bound$/)
      }
      assert.equal(counted.signatures(), 1)
      assert.equal(nc.isClosed(), false)
      await nc.close()
    })
  }

  test('a role that demands a proof each time stores no session, and the SDK proves again', async () => {
    const who = await product.enrolled('careful', { roles: ['proof-each-time'] })
    const counted = countingKey(who)
    const nc = await connectWithWebAuthn(connectV2, {
      key: counted.key,
      url: product.url,
      nats: { reconnectTimeWait: 50, reconnectJitter: 0 },
    })
    assert.match((await verdictOf(who)).subject, /granted\.proof_endorsing$/)
    let grants = 1
    while (grants < 3) if (/granted\.proof/.test((await verdictOf(who)).subject)) grants++
    assert.ok(counted.signatures() >= 3)
    await nc.close()
  })

  test('a stock client with nothing of ours but the nkey seed uses an endorsed plain session', async () => {
    const { nkeyAuthenticator } = await import('nats')
    const who = await product.enrolled('stock', { roles: ['stock'] })
    const raw = await product.raw()
    assert.equal(await raw.connect(endorsing(who, { ...nonceOf(raw), plain: true })), 'PONG')
    const seed = encodeSeed('U', who.session.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32))
    const nc = await connectV2({
      servers: product.url,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
      inboxPrefix: '_INBOX_stock',
    })
    nc.publish('short', 'hello')
    await nc.flush()
    await nc.close()
    raw.close()
  })

  /** The next verdict on a connection of `who`. */
  function verdictOf(who: TestIdentity) {
    return product.record(
      ({ body }) => (body['user'] as { name?: string } | undefined)?.name === who.identity.handle && nats(body)['client_id'] !== undefined,
    )
  }
}

/** Sends one line; false when the server answers that it is not permitted. */
async function permitted(raw: RawClient, line: string): Promise<boolean> {
  raw.send(line)
  raw.send('PING')
  let allowed = true
  for (;;) {
    const answer = await raw.line()
    if (answer.startsWith('-ERR')) {
      assert.match(answer, /Permissions Violation/)
      allowed = false
    } else if (answer === 'PONG') return allowed
    else assert.notEqual(answer, 'closed')
  }
}

/** The SDK's view of a test identity, with a key that counts how often it is asked. */
function countingKey(who: TestIdentity): { key: MachineKey; signatures: () => number } {
  let signatures = 0
  const key: SigningKey = {
    alg: -7,
    publicKeyCose: who.key.cose,
    sign(bytes) {
      signatures++
      return sign('sha256', bytes, who.key.privateKey)
    },
  }
  const { id, rpId, userHandle, handle } = who.credential
  return { key: { key, credentialId: id, rpId, userHandle, handle }, signatures: () => signatures }
}
