/** A person's way over HTTP: in, a device, out again; and what is left of it in logs. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { asked, endorse, enrol, signIn, tapIn } from '../support/page-steps.ts'
import { softwarePasskey } from '../support/passkey.ts'
import { type Browser, browser, type PeopleService, startPeopleService, verdictOf } from '../support/people-service.ts'
import { putDevice, putLogin, putPerson, putTicket } from '../support/people-world.ts'
import { terminalKey } from '../support/terminal-key.ts'

let service: PeopleService
let page: Browser
beforeEach(async () => {
  service = await startPeopleService()
  page = browser(service)
})
afterEach(() => service.stop())

const LOGIN = 'nats-webauthn-login'
const IDP = 'nats-webauthn-idp'

const newPasskey = () => softwarePasskey({ origin: service.origin })

describe('signing in', () => {
  test('is offered by what the page is told before: providers and rpId, to anybody', async () => {
    const answer = await service.ask({ method: 'GET', path: '/v1/page' })
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.body, {
      providers: [
        { name: 'corp', label: 'Corp' },
        { name: 'partner', label: 'Partner' },
        { name: 'twin', label: 'Twin' },
      ],
      rpId: 'nats.example.com',
    })
  })

  test('at a provider gives the browser a login, and takes the redirect cookie away', async () => {
    const begun = await page.post('/v1/login/idp', { provider: 'corp', fresh: true })
    assert.deepEqual(Object.keys(begun.body), ['url'])
    assert.equal(new URL(begun.body.url).searchParams.get('prompt'), 'login')
    assert.deepEqual([...page.cookies.keys()], [IDP])
    const state = new URL(begun.body.url).searchParams.get('state')
    const back = await page.open(`/v1/login/callback?state=${state}&code=c0de`)
    assert.deepEqual([verdictOf(back), back.text, [...page.cookies.keys()]], ['303 /', '', [LOGIN]])
    const { person } = (await page.post('/v1/me')).body
    assert.deepEqual([person.handle, person.how, person.provider, person.enrol.allowed], ['alice', 'idp', 'corp', true])
  })

  test('waits for a slow provider longer than for a slow client', async () => {
    const { finish } = service.world.idp
    const waits: (number | undefined)[] = []
    service.app.server.on('connection', (socket) => {
      service.world.idp.finish = (...about) => {
        waits.push(socket.timeout)
        return finish(...about)
      }
    })
    await signIn(page)
    assert.deepEqual([waits, service.app.server.timeout], [[30_000], 10_000])
  })

  test('that the provider refuses brings the browser back with a code, and nothing else', async () => {
    const { url } = (await page.post('/v1/login/idp', { provider: 'corp' })).body
    const state = new URL(url).searchParams.get('state')
    const back = await page.open(`/v1/login/callback?state=${state}&error=access_denied&error_description=reflect-me`)
    assert.deepEqual([verdictOf(back), back.text], ['303 /#error=provider_refused', ''])
    assert.equal(page.cookies.has(LOGIN), false)
  })

  test('is refused for a provider that is not there, and while the provider does not answer', async () => {
    assert.equal(verdictOf(await page.post('/v1/login/idp', { provider: 'nobody' })), '404 provider_unknown')
    service.world.idp.refusing.begin = { area: 'login', reason: 'provider_unavailable', check: null }
    assert.equal(verdictOf(await page.post('/v1/login/idp', { provider: 'corp' })), '503 provider_unavailable')
    assert.equal(page.cookies.size, 0)
  })

  test('by an invitation shows who was invited, and leaves the ticket for the device', async () => {
    const { ticket, record } = putTicket(service.world)
    const answer = await page.post('/v1/login/ticket', { ticket })
    assert.deepEqual([answer.status, answer.body.person.handle, answer.body.person.how], [200, 'bob', 'invitation'])
    assert.equal(service.world.tickets.get(record.id)?.state, 'issued')
  })

  test('by a passkey asks for no name and lists no credential', async () => {
    const { passkey } = putDevice(service.world, putPerson(service.world).handle)
    const begun = await page.post('/v1/login/passkey/begin')
    assert.deepEqual(begun.body.options.allowCredentials ?? [], [])
    const answer = await page.post('/v1/login/passkey/finish', {
      ceremony: begun.body.ceremony,
      response: passkey.get(begun.body.options),
    })
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual([answer.body.person.handle, answer.body.person.how], ['alice', 'passkey'])
    assert.equal(answer.body.person.devices[0].current, true)
  })

  test('again gives another cookie, and ends the login that the browser had', async () => {
    const { ticket } = putTicket(service.world)
    await page.post('/v1/login/ticket', { ticket })
    const first = page.cookies.get(LOGIN)
    await page.post('/v1/login/ticket', { ticket })
    assert.notEqual(page.cookies.get(LOGIN), first)
    assert.equal(verdictOf(await page.post('/v1/me', {}, { cookie: `${LOGIN}=${first}` })), '401 login_required')
    assert.equal((await page.post('/v1/me')).status, 200)
  })

  test('is over with signing out: the cookie is gone, and a copy of it is worth nothing', async () => {
    await signIn(page)
    const stolen = page.cookies.get(LOGIN)
    const out = await page.post('/v1/logout')
    assert.deepEqual([out.status, out.body, page.cookies.size], [200, {}, 0])
    for (const path of ['/v1/me', '/v1/devices/begin']) {
      assert.equal(verdictOf(await page.post(path, {}, { cookie: `${LOGIN}=${stolen}` })), '401 login_required')
    }
  })

  test('is over after half an hour, whatever was done meanwhile', async () => {
    await signIn(page)
    service.world.clock.now += 30 * 60_000 - 1
    assert.equal((await page.post('/v1/me')).status, 200)
    service.world.clock.now += 1
    assert.equal(verdictOf(await page.post('/v1/me')), '401 login_required')
  })
})

describe('a device', () => {
  test('is enrolled, listed, renamed and removed by its owner', async () => {
    await signIn(page)
    const passkey = newPasskey()
    const enrolled = await enrol(page, passkey)
    assert.equal(enrolled.status, 200, enrolled.text)
    const { device, person } = enrolled.body
    assert.deepEqual([device.id, device.name, device.state, person.devices.length], [passkey.id, 'laptop', 'active', 1])
    assert.deepEqual(device, person.devices[0])

    const renamed = await page.post('/v1/devices/rename', { id: passkey.id, name: 'blue laptop' })
    assert.deepEqual([renamed.status, renamed.body.person.devices[0].name], [200, 'blue laptop'])

    const removed = await page.post('/v1/devices/remove', { id: passkey.id })
    assert.deepEqual([removed.status, removed.body.person.devices, removed.body.connections], [200, [], { kicked: 1, failed: 0 }])
    assert.equal(verdictOf(await tapIn(page, passkey)), '403 passkey_refused')
  })

  test('that its owner signed in with ends their login when it is removed, and the answer still says what was done', async () => {
    putPerson(service.world)
    const { passkey, credential } = putDevice(service.world, 'alice', { passkey: newPasskey() })
    await tapIn(page, passkey)
    const stolen = page.cookies.get(LOGIN)
    const removed = await page.post('/v1/devices/remove', { id: passkey.id })
    assert.deepEqual([removed.status, removed.body], [200, { person: null, connections: { kicked: 1, failed: 0 } }])
    assert.equal(service.world.credentials.get(credentialKey(credential.id))?.state, 'revoked')
    assert.equal(page.cookies.size, 0)
    assert.equal(verdictOf(await page.post('/v1/me', {}, { cookie: `${LOGIN}=${stolen}` })), '401 login_required')
  })

  test('that was only tapped in the login ends no login when it is removed', async () => {
    putPerson(service.world)
    const { passkey, credential } = putDevice(service.world, 'alice', { passkey: newPasskey() })
    const tapped = { credential: credentialKey(credential.id), at: service.world.clock.now }
    page.cookies.set(LOGIN, putLogin(service.world, 'alice', { tapped }).cookie)
    const removed = await page.post('/v1/devices/remove', { id: passkey.id })
    assert.deepEqual([removed.status, removed.body.person.handle, removed.body.person.devices], [200, 'alice', []])
    assert.equal((await page.post('/v1/me')).status, 200)
  })

  test('of an invited person spends the ticket, and is their way in from then on', async () => {
    const { ticket, record } = putTicket(service.world)
    await page.post('/v1/login/ticket', { ticket })
    const passkey = newPasskey()
    assert.equal((await enrol(page, passkey)).status, 200)
    assert.equal(service.world.tickets.get(record.id)?.state, 'used')
    const other = browser(service)
    assert.equal(verdictOf(await other.post('/v1/login/ticket', { ticket })), '403 ticket_invalid')
    assert.deepEqual([(await tapIn(other, passkey)).status, (await other.post('/v1/me')).body.person.handle], [200, 'bob'])
  })

  test('is refused with the check that failed: whoever enrols is told what is wrong with their key', async () => {
    await signIn(page)
    const { ceremony, options } = (await page.post('/v1/devices/begin')).body
    const response = newPasskey().create(options, { origin: 'https://evil.example' })
    assert.equal(
      verdictOf(await page.post('/v1/devices/register', { ceremony, name: 'x', response })),
      '422 registration_invalid/origin_mismatch',
    )
  })

  test('needs a login that is fresh', async () => {
    putPerson(service.world)
    const { cookie } = putLogin(service.world, 'alice', { authenticatedAt: service.world.clock.now - 5 * 60_000 - 1 })
    page.cookies.set(LOGIN, cookie)
    assert.equal(verdictOf(await page.post('/v1/devices/begin')), '403 step_up_required')
  })

  test('of somebody else is not there', async () => {
    putPerson(service.world, 'mallory')
    const { credential } = putDevice(service.world, 'mallory')
    await signIn(page)
    for (const path of ['/v1/devices/rename', '/v1/devices/remove']) {
      const body = { id: credential.id, ...(path.endsWith('rename') ? { name: 'mine' } : {}) }
      assert.equal(verdictOf(await page.post(path, body)), '404 unknown')
    }
  })
})

describe('a failure of our own', () => {
  test('is answered with a fixed sentence and recorded in the area of its route', async () => {
    const { cookie } = putLogin(service.world, putPerson(service.world).handle)
    page.cookies.set(LOGIN, cookie)
    service.world.identities.findOnLeader = () => Promise.reject(new Error('asking $KV.webauthn_identities.secret'))
    const calls: [string, unknown, string][] = [
      ['/v1/me', {}, 'login.failed.internal'],
      ['/v1/devices/begin', {}, 'enrolment.failed.internal'],
      ['/v1/devices/remove', { id: 'AAAAAAAAAAAAAAAAAAAAAA' }, 'credential.failed.internal'],
      ['/v1/session/options', { request: 'r' }, 'session.failed.internal'],
    ]
    for (const [path, body] of calls) {
      const answer = await page.post(path, body)
      assert.deepEqual([answer.status, answer.body], [500, { error: { code: 'internal', message: 'The service failed.' } }], path)
    }
    await service.stop()
    assert.deepEqual(
      service.world.lifecycle.codes(),
      calls.map(([, , code]) => code),
    )
  })

  test('at the callback brings the browser back to the page', async () => {
    const { url } = (await page.post('/v1/login/idp', { provider: 'corp' })).body
    const state = new URL(url).searchParams.get('state')
    service.world.idpRequests.find = () => Promise.reject(new StoreUnavailable('asking'))
    assert.equal(verdictOf(await page.open(`/v1/login/callback?state=${state}&code=c`)), '303 /#error=unavailable')
  })
})

test('what people did is logged, a line each, and no secret is in any line or record', async () => {
  await signIn(page)
  const secrets = [...page.cookies.values()]
  const passkey = newPasskey()
  await enrol(page, passkey)
  const key = terminalKey(service.origin)
  const loopback = await asked(service, key, 'loopback')
  const { callback } = (await endorse(page, loopback.request, passkey)).body
  const code = new URL(callback).searchParams.get('code') as string
  await service.terminal('/v1/session/complete', { request: loopback.request, code })
  const { ticket } = putTicket(service.world)
  await browser(service).post('/v1/login/ticket', { ticket })
  await page.post('/v1/devices/remove', { id: passkey.id })
  await page.post('/v1/logout')
  secrets.push(code, ticket, loopback.issued)
  await service.stop()
  const messages = service.log.map((line) => JSON.parse(line).message)
  for (const message of [
    'person signed in',
    'person enrolled a device',
    'person endorsed a session',
    'terminal completed a session',
    'person removed a device',
    'person signed out',
  ]) {
    assert.ok(messages.includes(message), message)
  }
  const written = service.log.join('\n') + JSON.stringify(service.world.lifecycle.events)
  for (const secret of secrets) assert.equal(written.includes(secret), false)
})
