/**
 * The attacks of docs/threat-model.md against the whole product. One suite, run over both ends of the supported
 * nats-server range, with and without xkey. Each asserts the reason in the audit trail, so that another check cannot stand in.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect as connectNats } from 'nats'
import { testNkey } from '../support/authorization-request.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { nats, nkeyUser, type Product, startProduct, type TestIdentity } from '../support/product.ts'
import { assertionFor, boundResume, endorsing, plainResume, proof, resumeSignature } from '../support/proofs.ts'
import type { RawClient } from '../support/raw-client.ts'
import { b64u, FLAGS, testKey } from '../support/test-authenticator.ts'

const VIOLATION = 'Authorization Violation'

const POLICY = `version: 1
roles:
  orders-writer:
    account: APP
    publish: { allow: ["orders.{{user}}.>"] }
    subscribe: { allow: ["work.orders"] }
    ttl: 15m
    session: 1h
    plain_sessions: true
  bound-only:
    account: APP
    publish: { allow: ["bound.>"] }
    session: 1h
  people:
    account: APP
    publish: { allow: ["people.>"] }
    require: { class: person, user_verification: true }
`

for (const line of NATS_LINES) {
  for (const xkey of [true, false]) {
    describe(`attacks on nats-server ${line}, xkey ${xkey ? 'on' : 'off'}`, () => suite({ line, xkey }))
  }
}

function suite({ line, xkey }: { line: (typeof NATS_LINES)[number]; xkey: boolean }): void {
  let product: Product
  let orders: TestIdentity
  let ada: TestIdentity
  const url = () => product.url

  before(async () => {
    product = await startProduct({ line, xkey, policy: POLICY })
    orders = await product.enrolled('orders', { roles: ['orders-writer'] })
    ada = await product.enrolled('ada', { class: 'person', roles: ['orders-writer', 'people'] })
  })
  after(() => product.stop())

  /** Connects with what `fields` makes of the nonce, and returns the client's view and the verdict on it. */
  async function attempt(fields: (client: RawClient) => Record<string, unknown>, client?: RawClient) {
    const raw = client ?? (await product.raw())
    const answer = await raw.connect(fields(raw))
    const verdict = await product.verdictOn(raw.info.client_id)
    if (answer !== 'PONG') raw.close()
    return { answer, verdict, raw }
  }

  async function refused(fields: (client: RawClient) => Record<string, unknown>, reason: string): Promise<void> {
    const { answer, verdict, raw } = await attempt(fields)
    raw.close()
    assert.deepEqual([answer, verdict], [VIOLATION, `denied.${reason}`])
  }

  async function admitted(fields: (client: RawClient) => Record<string, unknown>, reason: string): Promise<RawClient> {
    const { answer, verdict, raw } = await attempt(fields)
    assert.deepEqual([answer, verdict], ['PONG', `granted.${reason}`])
    return raw
  }

  const nonceOf = (client: RawClient) => ({ nonce: client.info.nonce, url: url() })

  test('admits a machine and a person who prove', async () => {
    for (const who of [orders, ada]) (await admitted((c) => proof(who, nonceOf(c)), 'proof')).close()
  })

  test('denies a client that proves nothing, before it can publish or subscribe', async () => {
    await refused(() => ({}), 'sig_missing')
    const raw = await product.raw()
    raw.send('CONNECT {"verbose":false}')
    raw.send('SUB orders.> 1')
    raw.send('PUB orders.orders.x 2')
    raw.send('hi')
    assert.match(await raw.line(), /Authorization Violation/)
    assert.equal(await raw.line(), 'closed')
    await product.verdictOn(raw.info.client_id)
  })

  test('denies users, passwords and tokens, whatever they say', async () => {
    await refused(() => ({ user: 'orders', pass: 'secret' }), 'sig_missing')
    await refused(() => ({ auth_token: 'secret' }), 'sig_missing')
  })

  test('denies a proof replayed on another connection', async () => {
    let recorded: Record<string, unknown> = {}
    const first = await admitted((c) => (recorded = proof(orders, nonceOf(c))), 'proof')
    await refused(() => recorded, 'challenge_mismatch')
    first.close()
    await refused(() => recorded, 'challenge_mismatch')
  })

  test('denies a proof for another URL', async () => {
    await refused((c) => proof(orders, { ...nonceOf(c), url: 'tls://evil.example.net:4222' }), 'url_not_allowed')
    await refused((c) => {
      const assertion = assertionFor(orders, { nonce: c.info.nonce, url: 'tls://evil.example.net:4222' })
      return { sig: b64u(JSON.stringify({ v: 1, url: url(), assertion })) }
    }, 'challenge_mismatch')
  })

  test('denies a proof for another nkey', async () => {
    await refused((c) => ({ ...proof(orders, nonceOf(c)), nkey: testNkey('U').publicKey }), 'challenge_mismatch')
    await refused((c) => ({ sig: proof(orders, { ...nonceOf(c), nkey: testNkey('U').publicKey }).sig }), 'challenge_mismatch')
  })

  test('denies a proof from another ceremony', async () => {
    await refused(
      (c) => proof(orders, { ...nonceOf(c), assertion: { challenge: crypto.getRandomValues(new Uint8Array(32)) } }),
      'challenge_mismatch',
    )
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: { clientData: { type: 'webauthn.create' } } }), 'type_mismatch')
  })

  test('denies a proof for another rpId and from another origin', async () => {
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: { rpId: 'localhost' } }), 'rp_id_mismatch')
    await refused((c) => proof(ada, { ...nonceOf(c), assertion: { origin: 'https://localhost.evil.example.net' } }), 'origin_mismatch')
    await refused((c) => proof(ada, { ...nonceOf(c), assertion: { clientData: { crossOrigin: true } } }), 'cross_origin')
  })

  test('denies a machine proof as person and the reverse', async () => {
    const asPerson = { origin: 'http://localhost:8181', rpId: 'localhost', flags: FLAGS.UP | FLAGS.UV | FLAGS.BE }
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: asPerson }), 'origin_mismatch')
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: { flags: FLAGS.UP | FLAGS.UV | FLAGS.BE } }), 'machine_flags_mismatch')
    const asMachine = { origin: 'nats-webauthn://machine', rpId: 'machines.nats.test', flags: FLAGS.BE | FLAGS.BS }
    await refused((c) => proof(ada, { ...nonceOf(c), assertion: asMachine }), 'origin_mismatch')
    await refused((c) => proof(ada, { ...nonceOf(c), assertion: { flags: FLAGS.BE | FLAGS.BS } }), 'user_not_present')
    const robot = await product.enrolled('robot', { roles: ['people'] })
    await refused((c) => proof(robot, nonceOf(c)), 'roles_none')
  })

  test('denies a person who was not verified, and another key than the enrolled one', async () => {
    await refused((c) => proof(ada, { ...nonceOf(c), assertion: { flags: FLAGS.UP | FLAGS.BE | FLAGS.BS } }), 'user_not_verified')
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: { key: testKey() } }), 'signature_invalid')
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: { userHandle: ada.credential.userHandle } }), 'user_handle_mismatch')
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: { flags: 0 } }), 'backup_eligibility_changed')
  })

  test('denies a session signature over another nonce or URL', async () => {
    const who = await product.enrolled('billing', { roles: ['orders-writer'] })
    let bound: Record<string, unknown> = {}
    const first = await admitted((c) => endorsing(who, { ...nonceOf(c), plain: true }), 'proof_endorsing')
    const resumed = await admitted((c) => (bound = boundResume(who.session, nonceOf(c))), 'session_bound')
    await refused(() => bound, 'session_signature_invalid')
    await refused((c) => boundResume(who.session, { ...nonceOf(c), url: 'tls://evil.example.net:4222' }), 'url_not_allowed')
    await refused((c) => {
      const resume = resumeSignature(who.session, { nonce: c.info.nonce, url: 'tls://evil.example.net:4222' })
      return { nkey: who.session.publicKey, sig: b64u(JSON.stringify({ v: 1, url: url(), resume })) }
    }, 'session_signature_invalid')
    let plain: Record<string, unknown> = {}
    const stock = await admitted((c) => (plain = plainResume(who.session, c.info.nonce)), 'session_plain')
    await refused(() => plain, 'session_signature_invalid')
    for (const client of [first, resumed, stock]) client.close()
  })

  test('denies a session by an unknown, expired or revoked key', async () => {
    await refused((c) => boundResume(testNkey('U'), nonceOf(c)), 'session_unknown')
    await refused((c) => plainResume(testNkey('U'), c.info.nonce), 'session_unknown')
    const who = await product.enrolled('shipping', { roles: ['orders-writer'] })
    ;(await admitted((c) => endorsing(who, nonceOf(c)), 'proof_endorsing')).close()
    const session = await product.session(who.session.publicKey)
    await product.putSession({ ...session, expiresAt: Date.now() - 1 })
    await eventually(() => attempt((c) => boundResume(who.session, nonceOf(c))), 'denied.session_expired')
    await product.putSession({ ...session, state: 'revoked', endedAt: Date.now() })
    await eventually(() => attempt((c) => boundResume(who.session, nonceOf(c))), 'denied.session_revoked')
    // A revoked nkey is never endorsed again, by nobody.
    await refused((c) => endorsing(who, nonceOf(c)), 'endorsement_refused')
    await refused((c) => endorsing({ ...orders, session: who.session }, nonceOf(c)), 'endorsement_refused')
  })

  test('denies a plain session signature where only bound was endorsed', async () => {
    const who = await product.enrolled('picking', { roles: ['orders-writer'] })
    ;(await admitted((c) => endorsing(who, nonceOf(c)), 'proof_endorsing')).close()
    await refused((c) => plainResume(who.session, c.info.nonce), 'session_not_plain')
    const bound = await product.enrolled('packing', { roles: ['bound-only'] })
    await refused((c) => endorsing(bound, { ...nonceOf(c), plain: true }), 'plain_session_refused')
  })

  test('denies endorsing an nkey without its signature, and one that serves another credential', async () => {
    const owner = await product.enrolled('owner', { roles: ['orders-writer'] })
    ;(await admitted((c) => endorsing(owner, nonceOf(c)), 'proof_endorsing')).close()
    const thief = { ...orders, session: owner.session }
    await refused((c) => endorsing(thief, nonceOf(c)), 'endorsement_refused')
    await refused((c) => {
      const nkey = owner.session.publicKey
      const resume = resumeSignature({ ...testNkey('U'), publicKey: nkey }, nonceOf(c))
      return { nkey, sig: b64u(JSON.stringify({ v: 1, url: url(), assertion: assertionFor(orders, { ...nonceOf(c), nkey }), resume })) }
    }, 'session_signature_invalid')
  })

  test('a second CONNECT on a live socket with the same proof moves no expiry', async () => {
    const raw = await product.raw()
    const fields = proof(orders, nonceOf(raw))
    assert.equal(await raw.connect(fields), 'PONG')
    const first = await product.record(({ body }) => nats(body)['client_id'] === raw.info.client_id)
    assert.equal(await raw.connect(fields), 'PONG')
    const second = await product.record(({ body }) => nats(body)['client_id'] === raw.info.client_id)
    assert.match(second.subject, /granted\.reasked$/)
    assert.equal(nats(second.body)['expires_at'], nats(first.body)['expires_at'])
    raw.close()
  })

  test('denies a second CONNECT on a live socket with another proof', async () => {
    const { raw } = await attempt((c) => proof(orders, nonceOf(c)))
    const { answer, verdict } = await attempt((c) => proof(ada, nonceOf(c)), raw)
    assert.deepEqual([answer, verdict], [VIOLATION, 'denied.connection_already_proven'])
  })

  test('denies a cloned key: the counter went back, the credential is quarantined', async () => {
    const who = await product.enrolled('counted', { roles: ['orders-writer'], change: { backupEligible: false, signCount: 10 } })
    const counted = (signCount: number) => (c: RawClient) => proof(who, { ...nonceOf(c), assertion: { flags: 0, signCount } })
    await refused(counted(10), 'sign_count_regression')
    await refused(counted(12), 'credential_quarantined')
    const moved = await product.enrolled('counting', { roles: ['orders-writer'], change: { backupEligible: false, signCount: 10 } })
    const count = (signCount: number) => (c: RawClient) => proof(moved, { ...nonceOf(c), assertion: { flags: 0, signCount } })
    ;(await admitted(count(11), 'proof')).close()
    await refused(count(11), 'sign_count_race')
    ;(await admitted(count(12), 'proof')).close()
  })

  test('denies malformed, oversized and ambiguous input, and answers the next client as if nothing had been', async () => {
    const good = (c: RawClient) => JSON.stringify({ v: 1, url: url(), assertion: assertionFor(orders, nonceOf(c)) })
    await refused(() => ({ sig: 'x' }), 'sig_malformed')
    await refused((c) => ({ sig: b64u(good(c)).slice(0, -9) }), 'sig_malformed')
    await refused(() => ({ sig: b64u(new Uint8Array([0xff, 0xfe, 0xfd])) }), 'sig_malformed')
    await refused((c) => ({ sig: b64u(good(c).replace('{"v":1,', '{"v":1,"v":1,')) }), 'sig_malformed')
    await refused(() => ({ sig: b64u(`${'['.repeat(4000)}${']'.repeat(4000)}`) }), 'sig_malformed')
    await refused((c) => proof(orders, { ...nonceOf(c), assertion: { clientData: { padding: 'x'.repeat(5000) } } }), 'sig_oversized')
    await refused((c) => ({ ...proof(orders, nonceOf(c)), nkey: 'UNOTAKEY' }), 'nkey_malformed')
    const raw = await product.raw()
    assert.match(await raw.connect({ sig: 'A'.repeat(20_000) }), /maximum control line/i)
    ;(await admitted((c) => proof(orders, nonceOf(c)), 'proof')).close()
  })

  test('a user of another account cannot reach the callout subject', async () => {
    const spy = await connectNats(nkeyUser(product.deployment, 'admin', '_INBOX_admin'))
    const violation = firstPermissionError(spy)
    spy.publish('$SYS.REQ.USER.AUTH', 'eyJ')
    assert.match(await violation, /USER\.AUTH/)
    await spy.close()
    const records = product.records.length
    const raw = await admitted((c) => proof(orders, nonceOf(c)), 'proof')
    raw.send('PUB $SYS.REQ.USER.AUTH 3')
    raw.send('eyJ')
    assert.match(await nextError(raw), /Permissions Violation for Publish to "\$SYS\.REQ\.USER\.AUTH"/i)
    assert.equal(product.records.length, records + 1)
    raw.close()
  })

  test('revoking the credential ends its sessions too, and leaves its identity the others', async () => {
    const who = await product.enrolled('leaver', { roles: ['orders-writer'] })
    const { handle, userHandle } = who.credential
    const spare = await product.enrolled('spare', { change: { handle, userHandle } })
    ;(await admitted((c) => endorsing(who, { ...nonceOf(c), plain: true }), 'proof_endorsing')).close()
    await product.putCredential({ ...who.credential, state: 'revoked', endedAt: Date.now() })
    await eventually(() => attempt((c) => boundResume(who.session, nonceOf(c))), 'denied.credential_revoked')
    await refused((c) => plainResume(who.session, c.info.nonce), 'credential_revoked')
    await refused((c) => proof(who, nonceOf(c)), 'credential_revoked')
    await eventually(() => attempt((c) => proof(spare, nonceOf(c))), 'granted.proof')
  })

  /** State was written behind the verifier's back, so its watch may need a moment: attempts go on until they agree. */
  async function eventually(attempting: () => ReturnType<typeof attempt>, verdict: string): Promise<void> {
    for (let i = 0; i < 200; i++) {
      const tried = await attempting()
      tried.raw.close()
      if (tried.verdict === verdict) return
    }
    assert.fail(`never ${verdict}`)
  }
}

async function nextError(raw: RawClient): Promise<string> {
  for (;;) {
    const line = await raw.line()
    if (line.startsWith('-ERR') || line === 'closed') return line
  }
}

async function firstPermissionError(connection: {
  status(): AsyncIterable<{ type: string; data: unknown; permissionContext?: { subject: string } }>
}): Promise<string> {
  for await (const status of connection.status()) {
    if (status.permissionContext !== undefined) return status.permissionContext.subject
  }
  return 'closed'
}
