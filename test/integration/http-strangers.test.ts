/** How often strangers may ask, and how little they learn: nobody is told who or what exists. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { LoginRecord } from '../../src/core/records.ts'
import { type Passkey, softwarePasskey } from '../support/passkey.ts'
import { browser, NO_LIMITS, type PageAnswer, type PeopleService, startPeopleService, verdictOf } from '../support/people-service.ts'
import { putDevice, putLogin, putPerson, putTicket } from '../support/people-world.ts'
import { newUserNkey, sessionRecord } from '../support/records.ts'
import { terminalKey } from '../support/terminal-key.ts'
import { testKey } from '../support/test-authenticator.ts'

const LOGIN = 'nats-webauthn-login'

let service: PeopleService
beforeEach(async () => {
  service = await startPeopleService()
})
afterEach(() => service.stop())

async function limited(limits: Partial<typeof NO_LIMITS>): Promise<void> {
  await service.stop()
  service = await startPeopleService({ rateLimits: { ...NO_LIMITS, ...limits } })
}

/** A browser whose person is signed in, with a passkey. */
function alice(change: Partial<LoginRecord> = {}) {
  const page = browser(service)
  const { passkey, credential } = putDevice(service.world, putPerson(service.world).handle)
  page.cookies.set(LOGIN, putLogin(service.world, 'alice', change).cookie)
  return { page, passkey, credential }
}

const newPasskey = () => softwarePasskey({ origin: service.origin })

/** Everything that an answer tells, but for its date. */
function told({ status, headers, text }: PageAnswer) {
  const { date: _, ...rest } = headers
  return { status, headers: rest, text }
}

function alike(answers: PageAnswer[], verdict: string): void {
  const [first, ...others] = answers.map(told)
  assert.equal(verdictOf(answers[0] as PageAnswer), verdict)
  for (const other of others) assert.deepEqual(other, first)
}

describe('a source', () => {
  test('begins so many sign-ins and requests of terminals, all together, and may still do what is begun', async () => {
    await limited({ strangersPerSource: 6 })
    const page = browser(service)
    const nkey = newUserNkey()
    const begin: (() => Promise<PageAnswer>)[] = [
      () => page.post('/v1/login/idp', { provider: 'corp' }),
      () => page.post('/v1/login/ticket', { ticket: 'x' }),
      () => page.post('/v1/login/passkey/begin'),
      () => service.terminal('/v1/session/begin', { nkey, flow: 'code', host: 'h' }),
      () => service.terminal('/v1/session/end/begin', { nkey }),
      () => page.post('/v1/session/show', { code: 'BCDF-GHJK' }),
    ]
    for (const ask of begin) assert.notEqual((await ask()).status, 429)
    for (const ask of begin) {
      const answer = await ask()
      assert.equal(verdictOf(answer), '429 rate_limited')
      assert.match(answer.headers['retry-after'] as string, /^\d+$/)
    }
    assert.equal(verdictOf(await page.post('/v1/me')), '401 login_required')
    assert.equal(verdictOf(await page.post('/v1/session/show', { request: 'r' })), '401 login_required')
    assert.equal(verdictOf(await page.open('/v1/login/callback?state=x')), '303 /#error=signin_expired')
  })

  test('asks so often in all, whatever it asks; the browser on its way back is told in words', async () => {
    await limited({ perSource: 3 })
    const page = browser(service)
    for (let i = 0; i < 3; i++) await page.post('/v1/me')
    assert.equal(verdictOf(await page.post('/v1/logout')), '429 rate_limited')
    assert.equal(verdictOf(await service.terminal('/v1/session/complete', {})), '429 rate_limited')
    assert.equal(verdictOf(await service.terminal('/v1/enrol/begin', { ticket: 'x' })), '429 rate_limited')
    assert.equal(verdictOf(await page.open('/v1/login/callback')), '303 /#error=rate_limited')
  })

  test('may load the page and ask each second for its session, for which it has a limit of its own', async () => {
    await limited({ perSource: 1, lightPerSource: 8 })
    const poll = () => service.terminal('/v1/session/poll', { request: 'r' })
    for (let i = 0; i < 5; i++) assert.equal(verdictOf(await poll()), '409 request_gone')
    for (const path of ['/', '/assets/page.js', '/v1/page']) assert.equal((await service.ask({ method: 'GET', path })).status, 200)
    assert.equal(verdictOf(await poll()), '429 rate_limited')
  })

  test('that opens the page signed out leaves one record in a window, and a count', async () => {
    const page = browser(service)
    for (let i = 0; i < 30; i++) await page.post('/v1/me')
    await service.stop()
    const refusals = service.world.lifecycle.events.filter(({ reason }) => reason === 'login_missing')
    assert.deepEqual(
      refusals.map(({ area, facts }) => [area, facts['count']]),
      [
        ['login', 1],
        ['login', 29],
      ],
    )
  })
})

describe('a person who is signed in', () => {
  test('begins so many ceremonies, in whichever of their logins', async () => {
    await limited({ ceremoniesPerPerson: 3 })
    const { page } = alice()
    const other = browser(service)
    other.cookies.set(LOGIN, putLogin(service.world, 'alice').cookie)
    for (const by of [page, other, page]) assert.notEqual((await by.post('/v1/devices/begin')).status, 429)
    for (const by of [page, other]) {
      assert.equal(verdictOf(await by.post('/v1/devices/begin')), '429 rate_limited')
      assert.equal(verdictOf(await by.post('/v1/session/options', { request: 'r' })), '429 rate_limited')
    }
    putPerson(service.world, 'bob')
    page.cookies.set(LOGIN, putLogin(service.world, 'bob').cookie)
    assert.equal((await page.post('/v1/devices/begin')).status, 200)
  })

  test('types so many codes, right or wrong', async () => {
    await limited({ codesPerPerson: 2 })
    const { page } = alice()
    for (const code of ['BCDF-GHJK', 'nonsense']) assert.equal(verdictOf(await page.post('/v1/session/show', { code })), '409 request_gone')
    assert.equal(verdictOf(await page.post('/v1/session/show', { code: 'BCDF-GHJL' })), '429 rate_limited')
    assert.equal(verdictOf(await page.post('/v1/session/show', { request: 'r' })), '409 request_gone')
  })
})

describe('a stranger is not told', () => {
  async function finish(passkey: Passkey, change: Parameters<Passkey['get']>[1] = {}): Promise<PageAnswer> {
    const page = browser(service)
    const { ceremony, options } = (await page.post('/v1/login/passkey/begin')).body
    return page.post('/v1/login/passkey/finish', { ceremony, response: passkey.get(options, change) })
  }

  test('which passkeys there are', async () => {
    const { passkey } = alice()
    const unknown = newPasskey()
    unknown.userHandle = passkey.userHandle
    const states = (['pending', 'quarantined', 'revoked'] as const).map((state) => putDevice(service.world, 'alice', { state }).passkey)
    alike(
      [
        await finish(unknown),
        await finish(passkey, { key: testKey(-7) }),
        await finish(passkey, { origin: 'https://evil.example' }),
        await finish(passkey, { challenge: randomBytes(32) }),
        await finish(passkey, { userHandle: randomBytes(32).toString('base64url') }),
        ...(await Promise.all(states.map((state) => finish(state)))),
      ],
      '403 passkey_refused',
    )
    assert.equal((await finish(passkey)).status, 200)
  })

  test('by what is written: an unknown passkey and a wrong signature leave as much behind', async () => {
    const { passkey } = alice()
    const { world } = service
    let writes = 0
    for (const store of [world.signins, world.credentials, world.logins, world.identities.records]) {
      const { create, replace } = store
      store.create = (...about: Parameters<typeof create>) => {
        writes++
        return (create as (...args: unknown[]) => Promise<boolean>)(...about)
      }
      store.replace = (...about: Parameters<typeof replace>) => {
        writes++
        return (replace as (...args: unknown[]) => Promise<boolean>)(...about)
      }
    }
    const counts: number[] = []
    for (const attempt of [() => finish(newPasskey()), () => finish(passkey, { key: testKey(-7) })]) {
      writes = 0
      assert.equal(verdictOf(await attempt()), '403 passkey_refused')
      counts.push(writes)
    }
    // The ceremony, issued and used up.
    assert.deepEqual(counts, [2, 2])
  })

  test('which tickets there are, or were', async () => {
    const { world } = service
    const changes = [
      { state: 'used', usedAt: world.clock.now } as const,
      { state: 'revoked' } as const,
      { expiresAt: world.clock.now },
      { class: 'machine' } as const,
    ]
    const tickets = ['unknown', randomBytes(32).toString('base64url'), ...changes.map((change) => putTicket(world, change).ticket)]
    const answers = await Promise.all(tickets.map((ticket) => browser(service).post('/v1/login/ticket', { ticket })))
    alike(answers, '403 ticket_invalid')
    assert.equal(world.logins.all().size, 0)
  })

  test('which sessions of terminals there are: an nkey is given bytes to sign, whoever it is', async () => {
    const session = sessionRecord({ state: 'active' })
    service.world.sessions.records.put(session.nkey, session)
    const shapes = await Promise.all(
      [session.nkey, newUserNkey()].map(async (nkey) => {
        const { status, body } = await service.terminal('/v1/session/end/begin', { nkey })
        return [status, Object.entries(body).map(([name, value]) => [name, (value as string).length])]
      }),
    )
    assert.deepEqual(shapes[0], shapes[1])
    const key = terminalKey(service.origin)
    const { ceremony } = (await service.terminal('/v1/session/end/begin', { nkey: session.nkey })).body
    const wrong = await service.terminal('/v1/session/end', { ceremony, signature: key.sign('A'.repeat(43), 'revoke') })
    assert.equal(verdictOf(wrong), '422 possession_invalid')
    assert.equal(service.world.sessions.records.get(session.nkey)?.state, 'active')
  })
})

describe('a person is not told', () => {
  test('which devices and sessions others have', async () => {
    const { page } = alice()
    putPerson(service.world, 'mallory')
    const theirs = putDevice(service.world, 'mallory').credential
    const ours = service.world.credentials
    const machine = putDevice(service.world, 'mallory', { class: 'machine' }).credential
    const ids = [newPasskey().id, theirs.id, machine.id]
    alike(await Promise.all(ids.map((id) => page.post('/v1/devices/remove', { id }))), '404 unknown')
    alike(await Promise.all(ids.map((id) => page.post('/v1/devices/rename', { id, name: 'mine' }))), '404 unknown')
    assert.equal([...ours.all().values()].filter(({ record }) => record.state === 'active').length, 3)

    const session = sessionRecord({ state: 'active', handle: theirs.handle, class: 'person' })
    service.world.sessions.records.put(session.nkey, session)
    const nkeys = [newUserNkey(), session.nkey]
    alike(await Promise.all(nkeys.map((nkey) => page.post('/v1/sessions/end', { nkey }))), '404 unknown')
    assert.equal(service.world.sessions.records.get(session.nkey)?.state, 'active')
  })

  test('which requests of terminals there are, before they are theirs to answer', async () => {
    const { page } = alice()
    const key = terminalKey(service.origin)
    const loopback = { nkey: key.nkey, flow: 'loopback', host: 'h', port: 4711 }
    const unproven = (await service.terminal('/v1/session/begin', loopback)).body.request
    const expired = (await service.terminal('/v1/session/begin', loopback)).body.request
    const stored = service.world.sessionRequests.get(expired)
    assert.ok(stored)
    service.world.sessionRequests.put(expired, { ...stored, state: 'possessed', expiresAt: service.world.clock.now })
    const refused = (await service.terminal('/v1/session/begin', loopback)).body.request
    service.world.sessionRequests.put(refused, { ...stored, id: refused, state: 'refused' })
    const code = { nkey: key.nkey, flow: 'code', host: 'h' }
    const byCode = (await service.terminal('/v1/session/begin', code)).body.request
    const asked = [{ request: 'unknown' }, { request: unproven }, { request: expired }, { request: refused }, { request: byCode }]
    const codes = [{ code: 'BCDF-GHJK' }, { code: 'nonsense' }]
    alike(await Promise.all([...asked, ...codes].map((body) => page.post('/v1/session/show', body))), '409 request_gone')
    alike(await Promise.all(asked.map((body) => page.post('/v1/session/options', body))), '409 request_gone')
    alike(await Promise.all(asked.map((body) => page.post('/v1/session/refuse', body))), '409 request_gone')
  })
})
