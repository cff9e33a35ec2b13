/** The browser SDK in a real browser, with a real nats-server and the real verifier. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readConfig } from '../../src/config.ts'
import { startVerifier } from '../../src/main.ts'
import { NATS_LINES, type RunningNatsServer } from '../support/nats-server.ts'
import { type Person, type SdkJourney, startSdkJourney } from '../support/sdk-journey.ts'
import { startSdkSite } from '../support/sdk-page.ts'

const CONNECTED = { ok: true, code: '', message: '' }

/** The verdict on the newest connection, once there is one that nobody asked for yet. */
async function verdict(journey: SdkJourney): Promise<string> {
  const record = await journey.product.record(({ subject }) => subject.startsWith('audit.webauthn.connection.'))
  return record.subject.split('.').slice(-1).join('.')
}

for (const line of NATS_LINES) {
  describe(`a page on nats-server ${line}`, { timeout: 120_000 }, () => {
    let journey: SdkJourney
    let person: Person
    let again: RunningNatsServer | null = null
    before(async () => {
      journey = await startSdkJourney({ line })
      person = await journey.person('ada')
    })
    after(async () => {
      await again?.kill('SIGKILL')
      await journey.stop()
    })

    test('connects with one tap, publishes and receives', async () => {
      assert.deepEqual(await person.connect('one'), CONNECTED)
      assert.equal(await verdict(journey), 'proof_endorsing')
      await person.subscribe('one', 'chat.*')
      await person.publish('one', 'chat.ada', 'hello')
      await person.sees('one:chat.ada:hello')
      assert.equal(await person.taps(), 1)
      assert.deepEqual(person.tab.problems, [])
    })

    test('comes back without a tap, its subscriptions with it', async () => {
      await person.reconnect('one')
      await person.sees('one:reconnect')
      assert.equal(await verdict(journey), 'session_bound')
      await person.publish('one', 'chat.ada', 'back')
      await person.sees('one:chat.ada:back')
      assert.deepEqual([await person.taps(), await person.asked()], [1, []])
    })

    test('asks for one tap again after it was loaded anew', async () => {
      await person.reload()
      assert.deepEqual(await person.connect('one'), CONNECTED)
      assert.equal(await person.taps(), 1)
    })

    test('comes back without a tap when nats-server was restarted', async () => {
      await person.subscribe('one', 'chat.*')
      again = await journey.product.deployment.server.restart()
      await person.sees('one:reconnect')
      await person.publish('one', 'chat.ada', 'after the restart')
      await person.sees('one:chat.ada:after the restart')
      assert.deepEqual([await person.taps(), await person.asked()], [1, []])
    })
  })
}

/** The page is put away, or looked at again. */
const look = (person: Person, state: 'hidden' | 'visible') =>
  person.tab.page.evaluate((to) => {
    Object.defineProperty(document, 'visibilityState', { configurable: true, value: to })
    document.dispatchEvent(new Event('visibilitychange'))
  }, state)

describe('a page', { timeout: 300_000 }, () => {
  let journey: SdkJourney
  before(async () => {
    journey = await startSdkJourney()
  })
  after(() => journey.stop())

  test('may do what its roles say and nothing else', async () => {
    const person = await journey.person('bob')
    assert.deepEqual(await person.connect('one'), CONNECTED)
    await person.subscribe('one', 'payroll.*')
    await person.sees('one:refused:payroll.*')
    await person.publish('one', 'chat.ada', 'I am ada')
    await person.sees(`one:error:Permissions Violation for Publish to "chat.ada"`)
  })

  test('gets replies in the inbox of its own handle', async () => {
    const server = await journey.person('clock', { enrol: { roles: ['responder'] } })
    const client = await journey.person('cleo', { enrol: { roles: ['asker'] } })
    assert.deepEqual(await server.connect('one'), CONNECTED)
    assert.deepEqual(await client.connect('one'), CONNECTED)
    await server.tab.page.evaluate(() => window.harness.answer('one', 'ask.time', 'noon'))
    assert.equal(await client.tab.page.evaluate(() => window.harness.request('one', 'ask.time')), 'noon')
  })

  test('asks once, and for one tap, when the session is over', async () => {
    const person = await journey.person('carol', { enrol: { roles: ['brief'] } })
    assert.deepEqual(await person.connect('one', { policy: 'on click' }), CONNECTED)
    await person.subscribe('one', 'brief.*')
    // The grant of a resume ends with its session.
    await person.reconnect('one')
    await person.sees('one:reconnect')
    await person.tab.page.waitForFunction(() => window.harness.asked.length > 0, null, { polling: 50 })
    assert.equal(await person.taps(), 1)
    const before = await person.reconnects('one')
    await person.tab.page.click('button')
    await person.comesBack('one', before)
    await person.publish('one', 'brief.news', 'still here')
    await person.sees('one:brief.news:still here')
    assert.deepEqual([await person.taps(), await person.asked()], [2, ['session_over']])
    // Its grant ran out with it, so one refusal is enough, or two where many came by; after trouble it takes three.
    const refused = journey.product.records.filter(({ subject }) => subject.includes('.denied.session_'))
    assert.ok(refused.length === 1 || refused.length === 2, `${refused.length} refusals`)
  })

  test('ends where nobody may be asked', async () => {
    const person = await journey.person('dan', { enrol: { roles: ['brief'] } })
    for (const [name, policy] of [
      ['one', 'nobody to ask'],
      ['two', 'decline'],
    ] as const) {
      assert.deepEqual(await person.connect(name, { policy }), CONNECTED)
      await person.reconnect(name)
      assert.equal((await person.closing(name)).code, 'session_over')
    }
    assert.deepEqual([await person.taps(), await person.asked()], [2, ['session_over']])
  })

  test('is told that a tap was not made', async () => {
    const person = await journey.person('eve')
    await person.authenticator.setPresent(false)
    assert.equal((await person.connect('one', { request: { tapSeconds: 1 } })).code, 'cancelled')
    await person.authenticator.setPresent(true)
    const others = await person.connect('two', { request: { credentialIds: [Buffer.alloc(32).toString('base64url')], tapSeconds: 2 } })
    assert.equal(others.code, 'cancelled')
    assert.equal((await person.connect('three', { request: { rpId: 'example.com' } })).code, 'not_allowed')
    assert.deepEqual(await person.connect('four', { request: { credentialIds: [person.identity.credential.id] } }), CONNECTED)
  })

  test('puts up no more than three questions when each is dismissed', async () => {
    const person = await journey.person('fay', { enrol: { roles: ['brief'] } })
    assert.deepEqual(await person.connect('one', { request: { tapSeconds: 2 } }), CONNECTED)
    await person.authenticator.setPresent(false)
    await person.reconnect('one')
    assert.equal((await person.closing('one')).code, 'cancelled')
    assert.deepEqual([await person.taps(), await person.asked()], [4, ['session_over', 'cancelled', 'cancelled']])
  })

  test('can be stopped while the question is on the screen', async () => {
    const person = await journey.person('gus')
    await person.authenticator.setPresent(false)
    const outcome = person.connect('one')
    await person.tab.page.waitForFunction(() => window.harness.taps === 1)
    await person.tab.page.evaluate(() => window.harness.stop.abort())
    assert.equal((await outcome).code, 'closed')
  })

  test('dials for a tap only when it is the turn of that connection: servers do not wait for another one’s', async () => {
    const person = await journey.person('pam')
    const dialled: string[] = []
    person.tab.page.on('websocket', (socket) => dialled.push(socket.url()))
    await person.authenticator.setPresent(false)
    const outcomes = [person.connect('one', { request: { tapSeconds: 8 } }), person.connect('two')]
    await person.tab.page.waitForFunction(() => window.harness.taps === 1)
    assert.equal(dialled.length, 1)
    // A question that came before the authenticator is touched again would stay unanswered: the other one waits until then.
    await look(person, 'hidden')
    assert.equal((await outcomes[0])?.code, 'cancelled')
    await person.authenticator.setPresent(true)
    await look(person, 'visible')
    assert.deepEqual(await outcomes[1], CONNECTED)
    assert.deepEqual([dialled.length, await person.taps()], [2, 2])
  })

  test('asks for no tap while nobody looks at it', async () => {
    const person = await journey.person('quin')
    const { page } = person.tab
    await look(person, 'hidden')
    const outcome = person.connect('one')
    const given = person.connect('two')
    await look(person, 'hidden')
    assert.equal(await person.taps(), 0)
    await look(person, 'visible')
    assert.deepEqual([await outcome, await given], [CONNECTED, CONNECTED])
    await look(person, 'hidden')
    const stopped = person.connect('three')
    await page.evaluate(() => window.harness.stop.abort())
    assert.equal((await stopped).code, 'closed')
    assert.equal(await person.taps(), 2)
  })

  test('does not get in without user verification', async () => {
    const person = await journey.person('hal', { authenticator: { isUserVerified: false } })
    assert.equal((await person.connect('one')).code, 'cancelled')
    assert.equal((await person.connect('two', { request: { userVerification: 'discouraged' } })).code, 'server_refused')
    await journey.product.record(({ subject }) => subject.endsWith('denied.user_not_verified'))
  })

  test('of another origin is refused', async () => {
    const other = await startSdkSite()
    const person = await journey.person('ida', { origin: other.origin })
    assert.equal((await person.connect('one')).code, 'server_refused')
    await journey.product.record(({ subject }) => subject.endsWith('denied.origin_mismatch'))
    await person.tab.close()
    await other.close()
  })

  test('with a revoked device is refused, after one tap and not more', async () => {
    const person = await journey.person('jon')
    assert.deepEqual(await person.connect('one'), CONNECTED)
    await journey.product.putCredential({ ...person.identity.credential, state: 'revoked', endedAt: Date.now() })
    await person.reconnect('one')
    assert.equal((await person.closing('one')).code, 'server_refused')
    assert.deepEqual([await person.taps(), await person.asked()], [2, ['session_over']])
    assert.equal((await person.connect('two')).code, 'server_refused')
  })

  test('closed while it waits for a person says nothing more', async () => {
    const person = await journey.person('kim', { enrol: { roles: ['brief'] } })
    assert.deepEqual(await person.connect('one', { policy: 'on click' }), CONNECTED)
    await person.reconnect('one')
    await person.tab.page.waitForFunction(() => window.harness.asked.length === 1)
    await person.close('one')
    assert.deepEqual(await person.closing('one'), CONNECTED)
    await person.tab.page.click('button')
    assert.equal(await person.taps(), 1)
  })

  test('signs nothing for servers that a program exchanged', async () => {
    const person = await journey.person('lou')
    assert.deepEqual(await person.connect('one'), CONNECTED)
    await person.tab.page.evaluate(() => window.harness.exchangeServers('one', 'ws://localhost:9'))
    await person.reconnect('one')
    assert.equal((await person.closing('one')).code, 'url_refused')
    assert.equal(await person.taps(), 1)
  })

  test('goes on to the next server when one is away, with one tap', async () => {
    const person = await journey.person('mia')
    const servers = ['ws://localhost:9', journey.product.deployment.websocketUrl]
    assert.deepEqual(await person.connect('one', { request: { servers } }), CONNECTED)
    await person.reconnect('one')
    await person.sees('one:reconnect')
    assert.equal(await person.taps(), 1)
  })
})

describe('a page without a verifier behind its server', { timeout: 120_000 }, () => {
  let journey: SdkJourney
  let verifier: Awaited<ReturnType<typeof startVerifier>> | null = null
  before(async () => {
    journey = await startSdkJourney()
  })
  after(async () => {
    await verifier?.stop()
    await journey.stop()
  })

  test('waits for one with its session, and costs no tap', async () => {
    const person = await journey.person('ned')
    assert.deepEqual(await person.connect('one'), CONNECTED)
    await journey.product.verifier.stop()
    await person.reconnect('one')
    await person.sees('one:error:Authorization Violation')
    verifier = await startVerifier(readConfig(journey.product.configFile))
    await person.sees('one:reconnect')
    assert.deepEqual([await person.taps(), await person.asked()], [1, []])
    await verifier.stop()
    assert.equal((await person.connect('two')).code, 'no_answer')
    assert.equal(await person.taps(), 2)
  })
})
