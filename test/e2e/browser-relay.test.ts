/** A relay that shows the real server's INFO as its own: what a page signs for the relay's address opens no other door. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createUser } from 'nkeys.js'
import { credentialKey } from '../../src/core/identifiers.ts'
import type { SessionRecord } from '../../src/core/records.ts'
import { freePort } from '../support/free-port.ts'
import { nats } from '../support/product.ts'
import { membersOf, type Relay, rewriteConnect, rewriteSig, startRelay, type Tamper } from '../support/relay.ts'
import { type Person, type SdkJourney, startSdkJourney } from '../support/sdk-journey.ts'

const CONNECTED = { ok: true, code: '', message: '' }

/** Nothing of the journey ends before the relays that lead to it. */
class Relays {
  readonly #all: Relay[] = []
  readonly #journey: SdkJourney

  constructor(journey: SdkJourney) {
    this.#journey = journey
  }

  async start(options: { tamper?: Tamper; port?: number } = {}): Promise<Relay> {
    const { site, product } = this.#journey
    const relay = await startRelay({ port: product.deployment.server.websocketPort, origin: site.origin }, options)
    this.#all.push(relay)
    return relay
  }

  /** The verdict on the relay's newest connection. */
  verdict(relay: Relay): Promise<string> {
    return this.#journey.product.verdictOn(relay.clientIds.at(-1) as number)
  }

  async stop(): Promise<void> {
    for (const relay of this.#all) await relay.stop()
  }
}

describe('a relay between a page and nats-server', { timeout: 240_000 }, () => {
  let journey: SdkJourney
  let relays: Relays
  let doorPort: number
  before(async () => {
    doorPort = await freePort()
    // One forwarding server is the deployment's own; it is listed, and can be shut.
    journey = await startSdkJourney({ urls: (websocketUrl) => [websocketUrl, `ws://localhost:${doorPort}`] })
    relays = new Relays(journey)
  })
  after(async () => {
    await relays.stop()
    await journey.stop()
  })

  const real = (): string => journey.product.deployment.websocketUrl

  const proofs: [what: string, tamper: Tamper | undefined, reason: string][] = [
    ['forwards a proof made for its own address', undefined, 'url_not_allowed'],
    ['writes the real address into the proof', rewriteSig((members) => ({ ...members, url: real() })), 'challenge_mismatch'],
    [
      'keeps the assertion alone and writes the real address',
      rewriteSig(({ v, assertion }) => ({ v, url: real(), assertion })),
      'challenge_mismatch',
    ],
    [
      'endorses the session for stock clients as well',
      rewriteSig((members) => ({ ...members, url: real(), plain: true })),
      'challenge_mismatch',
    ],
  ]
  for (const [i, [what, tamper, reason]] of proofs.entries()) {
    test(`that ${what} is refused`, async () => {
      const person = await journey.person(`proof-${i}`)
      const relay = await relays.start(tamper === undefined ? {} : { tamper })
      assert.equal((await person.connect('one', { request: { servers: relay.url } })).code, 'server_refused')
      assert.equal(await relays.verdict(relay), `denied.${reason}`)
      assert.equal(await person.taps(), 1)
    })
  }

  const resumes: [what: string, tamper: Tamper | undefined, reason: string][] = [
    ['forwards a resume made for its own address', undefined, 'url_not_allowed'],
    ['writes the real address into the resume', rewriteSig((members) => ({ ...members, url: real() })), 'session_signature_invalid'],
    [
      'passes the resume off as a stock client’s signature',
      rewriteConnect((options) => ({ ...options, sig: membersOf(options)['resume'] })),
      'session_not_plain',
    ],
  ]
  for (const [i, [what, tamper, reason]] of resumes.entries()) {
    test(`that ${what} is refused`, async () => {
      const door = await relays.start({ port: doorPort })
      const relay = await relays.start(tamper === undefined ? {} : { tamper })
      const person = await journey.person(`resume-${i}`)
      const request = { servers: [door.url, relay.url] }
      assert.deepEqual(await person.connect('one', { request, policy: 'decline' }), CONNECTED)
      await door.stop()
      const { body } = await journey.product.record(({ subject }) => subject.endsWith(`.denied.${reason}`))
      assert.ok(relay.clientIds.includes(nats(body)['client_id'] as number))
      assert.equal(await person.taps(), 1)
      await person.close('one')
    })
  }

  test('may use a plain session from this machine: nothing binds one to an address', async () => {
    const relay = await relays.start()
    const person = await journey.person('plain')
    assert.deepEqual(await stock(person, journey, relay), CONNECTED)
    assert.equal(await relays.verdict(relay), 'granted.session_plain')
  })
})

describe('a relay to a server behind a proxy', { timeout: 120_000 }, () => {
  let journey: SdkJourney
  let relays: Relays
  before(async () => {
    journey = await startSdkJourney({ yaml: 'behind_proxy: true\ndangerously_allow_plaintext_urls: true\n' })
    relays = new Relays(journey)
  })
  after(async () => {
    await relays.stop()
    await journey.stop()
  })

  test('may not use a plain session without TLS', async () => {
    const relay = await relays.start()
    const person = await journey.person('plain')
    assert.equal((await stock(person, journey, relay)).ok, false)
    assert.equal(await relays.verdict(relay), 'denied.plain_session_without_tls')
  })
})

/** A stock client with a session for plain use, which it got elsewhere, and only the relay to dial. */
async function stock(person: Person, { product }: SdkJourney, relay: Relay) {
  const user = createUser()
  const { credential } = person.identity
  const now = Date.now()
  await product.putSession({
    v: 1,
    nkey: user.getPublicKey(),
    credential: credentialKey(credential.id),
    handle: credential.handle,
    class: 'person',
    plain: true,
    userVerified: true,
    byCode: false,
    label: 'terminal',
    createdAt: now,
    expiresAt: now + 3_600_000,
    state: 'active',
    endedAt: null,
  } as unknown as SessionRecord)
  const seed = new TextDecoder().decode(user.getSeed())
  return person.tab.page.evaluate((all) => window.harness.connectStock(...all), ['one', relay.url, seed] as [string, string, string])
}
