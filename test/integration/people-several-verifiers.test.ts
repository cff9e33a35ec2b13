/** Several verifiers of one origin are one to people: any step may reach any of them, and of two that race one counts. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Verifier } from '../../src/main.ts'
import { until } from '../support/links.ts'
import { ALICE, type TestAccount } from '../support/oidc-provider.ts'
import {
  askAsAdmin,
  askForSession,
  closed,
  completionOf,
  countOf,
  enrol,
  inviteTo,
  newPasskey,
  PEOPLE_POLICY,
  type People,
  plainSig,
  register,
  signIn,
  startFurther,
  startPeople,
  tapFor,
  visitor,
  visitProvider,
} from '../support/people-cluster.ts'
import { verdictOf } from '../support/people-service.ts'
import type { Product } from '../support/product.ts'
import { rawClient } from '../support/raw-client.ts'

const names = 'login callback steps places one two endorse complete code ended out removed disabled policy'.split(' ')
const accounts: TestAccount[] = names.map((name) => ({ sub: `sub-${name}`, claims: { name, preferred_username: name, groups: ['staff'] } }))
const subOf = (name: string) => `sub-${name}`

let people: People<Product>
let second: { verifier: Verifier; port: number }
before(async () => {
  people = await startPeople({ accounts: [ALICE, ...accounts] })
  second = await startFurther(people.product)
})
after(async () => {
  await second.verifier.stop()
  await people.stop()
})

/** Somebody's browser at both verifiers. */
function at() {
  const who = visitor(people.product)
  return { who, a: who.at(), b: who.at(second.port) }
}

/** Somebody who is signed in, with a device. */
async function enrolled(name: string) {
  const passkey = newPasskey(people.product)
  const somebody = at()
  await signIn(people, somebody.a, subOf(name))
  await enrol(somebody.b, passkey)
  return { ...somebody, passkey }
}

/** A terminal of `somebody` whose session is in force, and a connection by it. */
async function connected(somebody: Awaited<ReturnType<typeof enrolled>>) {
  const { who, a, passkey } = somebody
  const asked = await askForSession(who, people.product, 'loopback')
  const endorsed = await a.post('/v1/session/endorse', await tapFor(a, asked.request, passkey))
  const done = await who.terminal('/v1/session/complete', { request: asked.request, code: completionOf(endorsed) }, second.port)
  assert.equal(done.status, 200, done.text)
  const raw = await rawClient(people.product.deployment.server.port)
  assert.equal(await raw.connect({ nkey: asked.key.nkey, sig: plainSig(asked.key, raw.info.nonce) }), 'PONG')
  return { ...asked, raw }
}

const records = () => people.product.records
/** Records that name `who`, once all that was recorded so far has arrived. */
const recordsOf = async (who: string, ending: string) => {
  await people.product.auditor.flush()
  return countOf(
    records().filter(({ body }) => JSON.stringify(body).includes(`"${who}"`)),
    ending,
  )
}

describe('signing in', () => {
  test('is begun at one verifier, finished at another and known to both, until it ends at either', async () => {
    const { a, b } = at()
    const path = await visitProvider(people, a, subOf('login'))
    assert.equal((await b.open(path)).headers.location, '/')
    assert.equal((await a.post('/v1/me')).body.person.handle, 'login')
    assert.equal((await b.post('/v1/me')).body.person.handle, 'login')
    const stolen = new Map(a.cookies)
    assert.equal((await b.post('/v1/logout')).status, 200)
    for (const [name, value] of stolen) a.cookies.set(name, value)
    assert.equal(verdictOf(await a.post('/v1/me')), '401 login_required')
  })

  test('by a callback that reaches both at once happens once', async () => {
    const { a, b } = at()
    const path = await visitProvider(people, a, subOf('callback'))
    const answers = await Promise.all([a.open(path), b.open(path)])
    assert.deepEqual(answers.map(verdictOf).sort(), ['303 /', '303 /#error=signin_expired'].sort())
    assert.equal((await a.post('/v1/me')).status, 200)
    await people.product.record(({ subject }) => subject.endsWith('.login.refused.request_used'))
    assert.equal(await recordsOf('callback', '.login.succeeded.idp'), 1)
  })

  test('by a passkey is begun at one and finished at another, once', async () => {
    const { passkey } = await enrolled('steps')
    const { a, b } = at()
    const begun = await a.post('/v1/login/passkey/begin')
    const body = { ceremony: begun.body.ceremony, response: passkey.get(begun.body.options) }
    const answers = await Promise.all([b.post('/v1/login/passkey/finish', body), a.post('/v1/login/passkey/finish', body)])
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409])
    assert.equal((await b.post('/v1/me')).body.person.how, 'passkey')
  })
})

describe('enrolling', () => {
  test('goes on wherever the next step arrives, and one activation counts', async () => {
    const { a, b } = at()
    await signIn(people, a, ALICE.sub)
    const body = await register(a, newPasskey(people.product), b)
    const answers = await Promise.all([a.post('/v1/devices/activate', body), b.post('/v1/devices/activate', body)])
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409])
    assert.equal(await recordsOf('alice', '.enrolment.succeeded.enrolled'), 1)
    assert.equal((await b.post('/v1/me')).body.person.devices.length, 1)
  })

  test('of twelve devices at once takes as many as there is room for', async () => {
    const browsers = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        const somebody = at()
        await signIn(people, n % 2 === 0 ? somebody.a : somebody.b, subOf('places'))
        return n % 2 === 0 ? somebody.b : somebody.a
      }),
    )
    const bodies = await Promise.all(browsers.map((page) => register(page, newPasskey(people.product))))
    const answers = await Promise.all(browsers.map((page, n) => page.post('/v1/devices/activate', bodies[n])))
    const verdicts = answers.map(verdictOf)
    assert.equal(verdicts.filter((verdict) => verdict === '200').length, 2, verdicts.join(' '))
    assert.equal(new Set(verdicts).size, 2, verdicts.join(' '))
    assert.equal(await recordsOf('places', '.enrolment.succeeded.enrolled'), 2)
    const { items } = await askAsAdmin(people.product, 'credential.list', { handle: 'places' as never })
    assert.equal(items.filter(({ state }) => state === 'active').length, 2)
    assert.equal((await browsers[0]?.post('/v1/me'))?.body.person.devices.length, 2)
  })

  test('of one credential id by two people at once is one person’s', async () => {
    const passkey = newPasskey(people.product)
    const [one, two] = [at(), at()]
    await Promise.all([signIn(people, one.a, subOf('one')), signIn(people, two.b, subOf('two'))])
    const [begunOne, begunTwo] = await Promise.all([one.a.post('/v1/devices/begin'), two.b.post('/v1/devices/begin')])
    const answers = await Promise.all(
      [
        { page: one.a, begun: begunOne },
        { page: two.b, begun: begunTwo },
      ].map(({ page, begun }) => {
        const response = passkey.create(begun.body.options)
        return page.post('/v1/devices/register', { ceremony: begun.body.ceremony, name: 'key', response })
      }),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409])
  })

  test('with one invitation at both verifiers enrols one device', async () => {
    const ticket = await inviteTo(people.product, 'guest')
    const [one, two] = [at(), at()]
    for (const page of [one.a, two.b]) assert.equal((await page.post('/v1/login/ticket', { ticket })).status, 200)
    const bodies = [await register(one.a, newPasskey(people.product)), await register(two.b, newPasskey(people.product))]
    const answers = await Promise.all([one.a.post('/v1/devices/activate', bodies[0]), two.b.post('/v1/devices/activate', bodies[1])])
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403], answers.map(verdictOf).join(' '))
    assert.equal(await recordsOf('guest', '.enrolment.succeeded.enrolled'), 1)
    assert.equal((await at().a.post('/v1/login/ticket', { ticket })).status, 403)
  })
})

describe('a terminal', () => {
  test('is endorsed once, though both verifiers are tapped', async () => {
    const { who, a, b, passkey } = await enrolled('endorse')
    const { request, key } = await askForSession(who, people.product, 'loopback', [
      second.port,
      Number(new URL(people.product.enrolmentOrigin).port),
    ])
    const taps = [await tapFor(a, request, passkey), await tapFor(b, request, passkey)]
    const answers = await Promise.all([a.post('/v1/session/endorse', taps[0]), b.post('/v1/session/endorse', taps[1])])
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409], answers.map(verdictOf).join(' '))
    assert.equal(await recordsOf(key.nkey, '.session.succeeded.endorsed'), 1)
    assert.equal((await people.product.session(key.nkey)).state, 'pending')
  })

  test('completes once, though it asks both', async () => {
    const { who, a, passkey } = await enrolled('complete')
    const { request, key } = await askForSession(who, people.product, 'loopback')
    const code = completionOf(await a.post('/v1/session/endorse', await tapFor(a, request, passkey)))
    const answers = await Promise.all([undefined, second.port].map((port) => who.terminal('/v1/session/complete', { request, code }, port)))
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409], answers.map(verdictOf).join(' '))
    assert.equal(await recordsOf(key.nkey, '.session.succeeded.completed'), 1)
    assert.equal((await people.product.session(key.nkey)).state, 'active')
  })

  test('that asks one verifier hears of the tap at the other', async () => {
    const { who, a, passkey } = await enrolled('code')
    const { request, code, key } = await askForSession(who, people.product, 'code')
    const waiting = await who.terminal('/v1/session/poll', { request }, second.port)
    assert.deepEqual(waiting.body, { state: 'waiting', session: null })
    assert.equal((await a.post('/v1/session/show', { code })).body.session.nkey, key.nkey)
    assert.equal((await a.post('/v1/session/endorse', await tapFor(a, request, passkey))).status, 200)
    const { body } = await who.terminal('/v1/session/poll', { request }, second.port)
    assert.deepEqual([body.state, body.session.nkey, body.session.roles], ['complete', key.nkey, ['shell']])
  })
})

describe('what ends at one verifier', () => {
  test('a session is refused at every connection at once, and its connection closes', async () => {
    const somebody = await enrolled('ended')
    const { key, raw } = await connected(somebody)
    const ended = await somebody.b.post('/v1/sessions/end', { nkey: key.nkey })
    assert.deepEqual(ended.body.connections, { kicked: 1, failed: 0 })
    await closed(raw)
    // Whichever of the two is asked.
    for (let i = 0; i < 8; i++) {
      const again = await rawClient(people.product.deployment.server.port)
      assert.equal(await again.connect({ nkey: key.nkey, sig: plainSig(key, again.info.nonce) }), 'Authorization Violation')
      assert.equal(await people.product.verdictOn(again.info.client_id), 'denied.session_revoked')
      again.close()
    }
  })

  test('logging out at the terminal closes its connection, whichever verifier it asks', async () => {
    const somebody = await enrolled('out')
    const { key, raw } = await connected(somebody)
    const begun = await somebody.who.terminal('/v1/session/end/begin', { nkey: key.nkey })
    const signature = key.sign(begun.body.issued, 'revoke')
    const body = { ceremony: begun.body.ceremony, signature }
    const answers = await Promise.all([undefined, second.port].map((port) => somebody.who.terminal('/v1/session/end', body, port)))
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409], answers.map(verdictOf).join(' '))
    await closed(raw)
  })

  test('a device takes its sessions and its connections with it', async () => {
    const somebody = await enrolled('removed')
    const { key, raw } = await connected(somebody)
    const removed = await somebody.b.post('/v1/devices/remove', { id: somebody.passkey.id })
    assert.deepEqual(removed.body.connections, { kicked: 1, failed: 0 })
    await closed(raw)
    for (let i = 0; i < 8; i++) {
      const again = await rawClient(people.product.deployment.server.port)
      assert.equal(await again.connect({ nkey: key.nkey, sig: plainSig(key, again.info.nonce) }), 'Authorization Violation')
      again.close()
    }
    const { a } = at()
    const begun = await a.post('/v1/login/passkey/begin')
    const body = { ceremony: begun.body.ceremony, response: somebody.passkey.get(begun.body.options) }
    assert.equal(verdictOf(await a.post('/v1/login/passkey/finish', body)), '403 passkey_refused')
  })

  test('a person who is disabled takes no further step at any', async () => {
    const somebody = await enrolled('disabled')
    const { raw } = await connected(somebody)
    const waiting = await askForSession(somebody.who, people.product, 'loopback')
    const code = completionOf(await somebody.a.post('/v1/session/endorse', await tapFor(somebody.a, waiting.request, somebody.passkey)))
    await askAsAdmin(people.product, 'identity.disable', { handle: 'disabled' as never })
    for (const page of [somebody.a, somebody.b]) {
      for (const path of ['/v1/me', '/v1/devices/begin']) assert.equal((await page.post(path)).status, 403, path)
    }
    const late = await somebody.who.terminal('/v1/session/complete', { request: waiting.request, code }, second.port)
    assert.equal(late.status, 403, late.text)
    assert.equal((await people.product.session(waiting.key.nkey)).state, 'pending')
    await closed(raw)
  })

  test('a role that a new policy takes away is not endorsed any more', async () => {
    const { who, a, b, passkey } = await enrolled('policy')
    const { request } = await askForSession(who, people.product, 'loopback')
    assert.equal((await b.post('/v1/session/show', { request })).status, 200)
    const body = await tapFor(b, request, passkey)
    const file = join(people.product.dir, 'policy.yaml')
    const loaded = countOf(records(), '.policy.succeeded.loaded')
    writeFileSync(file, PEOPLE_POLICY.replace('  shell:', '  another:'))
    await until('both have the policy', () => countOf(records(), '.policy.succeeded.loaded') >= loaded + 2)
    for (const page of [a, b]) assert.equal((await page.post('/v1/session/endorse', body)).status, 403)
    writeFileSync(file, PEOPLE_POLICY)
    await until('both have the policy', () => countOf(records(), '.policy.succeeded.loaded') >= loaded + 4)
    assert.equal((await a.post('/v1/session/endorse', await tapFor(a, request, passkey))).status, 200)
  })
})
