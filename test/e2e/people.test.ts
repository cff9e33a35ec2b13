/**
 * A person's whole path, with nothing of it made up: Chromium and its virtual authenticator, an OpenID provider, the page,
 * an application's page with the SDK, nats-server with WebSocket, and the verifier. It is longer than 300 lines because the
 * whole path is one story.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { NatsConnection } from 'nats'
import { tailTrail } from '../../src/audit/tail.ts'
import type { TestPage, VirtualAuthenticator } from '../support/chromium.ts'
import type { RunningNatsServer } from '../support/nats-server.ts'
import { ALICE, BOB, type TestAccount } from '../support/oidc-provider.ts'
import { type PeopleProduct, startPeopleProduct } from '../support/people-product.ts'
import { type AuditRecord, PERSON } from '../support/product.ts'

const POLICY = `version: 1
roles:
  chat:
    account: APP
    publish: { allow: ["chat.{{user}}"] }
    subscribe: { allow: ["chat.*"] }
    session: 1h
    require: { class: person, user_verification: true }
  shell: { account: APP, publish: { allow: ["shell.>"] }, plain_sessions: true }
  brief:
    account: APP
    publish: { allow: ["brief.>"] }
    ttl: 3s
    session: 1s
  keys:
    account: APP
    publish: { allow: ["keys.>"] }
    require: { device_bound: true }
`

const BRIEF: TestAccount = { sub: 'brief-1', claims: { name: 'Brief Example', preferred_username: 'brief', groups: ['brief'] } }
const NOBODY: TestAccount = { sub: 'nobody-1', claims: { name: 'No Role', preferred_username: 'nobody', groups: ['visitors'] } }

interface Visitor {
  tab: TestPage
  authenticator: VirtualAuthenticator
}

let people: PeopleProduct
let restarted: RunningNatsServer | null = null
const origin = () => people.product.enrolmentOrigin

before(async () => {
  people = await startPeopleProduct({ policy: POLICY, accounts: [ALICE, BOB, BRIEF, NOBODY], others: [{ ...ALICE }] })
})
after(async () => {
  await people.stop()
  await restarted?.stop()
})

/** A browser of one's own, with an authenticator, at the page. */
async function visit(path = '/', options: Parameters<TestPage['authenticator']>[0] = {}): Promise<Visitor> {
  const tab = await people.browser.open()
  const authenticator = await tab.authenticator(options)
  await tab.page.goto(`${origin()}${path}`)
  return { tab, authenticator }
}

async function signIn({ tab: { page } }: Visitor, sub: string, provider = 'Example Corp'): Promise<void> {
  await page.getByRole('button', { name: `Continue with ${provider}` }).click()
  await page.locator(`button[data-account="${sub}"]`).click()
  await page.waitForURL(`${origin()}/**`)
}

async function enrolDevice({ tab: { page } }: Visitor, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Enrol this device' }).click()
  await page.getByRole('textbox').fill(name)
  await page.getByRole('button', { name: 'Make the passkey' }).click()
  await page.getByRole('heading', { name: 'This device is enrolled' }).waitFor()
}

/** The application's page in the visitor's browser, connected under `name`. */
async function connectFromPage({ tab: { page } }: Visitor, name: string, handle: string) {
  await page.goto(people.site.origin)
  await page.waitForFunction(() => window.harness !== undefined)
  return connectAgain(page, name, handle)
}

function connectAgain(page: TestPage['page'], name: string, handle: string) {
  const request = { servers: people.product.deployment.websocketUrl, rpId: PERSON.rpId, handle, nats: { name: 'the dashboard' } }
  return page.evaluate(([to, wish]) => window.harness.connect(to, wish, 'at once'), [name, request] as const)
}

const sees = ({ tab: { page } }: Visitor, event: string) =>
  page.waitForFunction((wanted) => window.harness.events.includes(wanted), event, { polling: 50, timeout: 60_000 })
const tapsOf = ({ tab: { page } }: Visitor) => page.evaluate(() => window.harness.taps)

/** Resolves with the next audit record whose subject ends so. */
async function recorded(ending: string): Promise<AuditRecord> {
  const late = AbortSignal.timeout(30_000)
  const record = people.product.record(({ subject }) => subject.endsWith(ending))
  const never = new Promise<never>((_, reject) => {
    late.addEventListener('abort', () => reject(new Error(`waiting for ${ending} in vain`)))
  })
  return Promise.race([record, never])
}

async function reconnected(connection: NatsConnection): Promise<void> {
  for await (const { type } of connection.status()) if (type === 'reconnect') return
}

/** Every record that is stored, by the end of its subject, oldest first. */
async function trail(): Promise<string[]> {
  const entries: string[] = []
  const all = tailTrail(people.product.auditor, { filter: '>', since: null, follow: false })
  for await (const { subject } of all) entries.push(subject.split('.').slice(2).join('.'))
  return entries
}

describe('a person', () => {
  test('logs in, enrols, connects from a page, comes back without a tap, taps once when the session is over, and is shut out with the device', async () => {
    const alice = await visit()
    const { page } = alice.tab

    // The provider says who it is, the page enrols the device, and the device proves itself at once.
    await signIn(alice, ALICE.sub)
    await page.getByRole('heading', { name: 'Your access' }).waitFor()
    const login = await recorded('.login.succeeded.idp')
    assert.equal(login.body['status'], 'Success')
    await enrolDevice(alice, 'Work laptop')
    await recorded('.enrolment.succeeded.registered')
    await recorded('.enrolment.succeeded.enrolled')
    assert.equal((await alice.authenticator.credentials()).length, 1)

    // From another origin of the same Relying Party: a tap, then messages both ways.
    assert.deepEqual(await connectFromPage(alice, 'main', 'alice'), { ok: true, code: '', message: '' })
    await recorded('.connection.granted.proof_endorsing')
    await page.evaluate(() => window.harness.subscribe('main', 'chat.*'))
    await page.evaluate(() => window.harness.publish('main', 'chat.alice', 'hello'))
    await sees(alice, 'main:chat.alice:hello')
    await page.evaluate(() => window.harness.publish('main', 'chat.bob', 'as bob'))
    await page.waitForFunction(() => window.harness.events.some((event) => event.startsWith('main:error:') && event.includes('chat.bob')))
    assert.equal(await tapsOf(alice), 1)

    // A reload forgets the session key, which never left memory: one tap more.
    await page.reload()
    await page.waitForFunction(() => window.harness !== undefined)
    assert.equal((await connectAgain(page, 'again', 'alice')).ok, true)
    await recorded('.connection.granted.proof_endorsing')
    assert.equal(await tapsOf(alice), 1)

    // nats-server goes and comes back: the session does, too, and nobody taps.
    const auditorIsBack = reconnected(people.product.auditor)
    restarted = await people.product.deployment.server.restart()
    await sees(alice, 'again:reconnect')
    // What was recorded before the auditor came back as well is in the stream, and nowhere else.
    await auditorIsBack
    assert.ok((await trail()).includes('connection.granted.session_bound'))
    await page.evaluate(() => window.harness.subscribe('again', 'chat.*'))
    await page.evaluate(() => window.harness.publish('again', 'chat.alice', 'back'))
    await sees(alice, 'again:chat.alice:back')
    assert.equal(await tapsOf(alice), 1)

    // The device is removed in another tab of the same browser: its connection ends, and it gets in no more.
    const other = await people.browser.open({ context: alice.tab.context })
    await other.page.goto(origin())
    await other.page.getByText('the dashboard').first().waitFor()
    await other.page.getByRole('button', { name: 'Remove Work laptop' }).click()
    await other.page
      .getByRole('dialog')
      .getByRole('button', { name: /Remove/ })
      .click()
    await other.page.getByText('None yet.').waitFor()
    await recorded('.credential.succeeded.revoked')
    await recorded('.connection.succeeded.kicked')
    await recorded('.request.denied.credential_revoked')
    assert.deepEqual(
      [...alice.tab.problems, ...other.problems].filter((text) => /Content Security Policy/i.test(text)),
      [],
    )
    await alice.tab.close()

    // The trail tells the same story, in order.
    const story = await trail()
    const chapters = [
      'login.succeeded.idp',
      'enrolment.succeeded.registered',
      'enrolment.succeeded.enrolled',
      'connection.granted.proof_endorsing',
      'connection.granted.session_bound',
      'credential.succeeded.revoked',
      'connection.succeeded.kicked',
    ]
    const places = chapters.map((chapter) => story.indexOf(chapter))
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
      story.join('\n'),
    )
    assert.ok(
      places.every((place) => place >= 0),
      story.join('\n'),
    )
  })

  test('taps once when the session is over, and never before', async () => {
    const brief = await visit()
    await signIn(brief, BRIEF.sub)
    await enrolDevice(brief, 'Phone')
    assert.equal((await connectFromPage(brief, 'brief', 'brief')).ok, true)
    assert.equal(await tapsOf(brief), 1)
    // When the grant ends the session has ended too: the page is asked, and one tap makes the next session.
    await sees(brief, 'brief:reconnect')
    const { taps, asked } = await brief.tab.page.evaluate(() => ({ taps: window.harness.taps, asked: window.harness.asked }))
    assert.equal(asked[0], 'session_over')
    assert.equal(taps, 1 + asked.length)
    await brief.tab.close()
  })

  test('of one issuer is nobody at another that has the same subject', async () => {
    const stranger = await visit()
    await signIn(stranger, ALICE.sub, 'Partner')
    const { page } = stranger.tab
    await page.getByRole('heading', { name: 'Your access' }).waitFor()
    await page.getByText('None yet.').waitFor()
    const handle = await page.evaluate(async () => {
      const answer = await fetch('/v1/me', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
      return ((await answer.json()) as { person: { handle: string } }).person.handle
    })
    assert.notEqual(handle, 'alice')
    await stranger.tab.close()
  })

  test('without a role is told so, and is not signed in', async () => {
    const nobody = await visit()
    await signIn(nobody, NOBODY.sub)
    await recorded('.login.refused.roles_none')
    await nobody.tab.page
      .getByText(/no role/i)
      .first()
      .waitFor()
    assert.equal(
      (await nobody.tab.context.cookies()).some(({ name }) => name.includes('login')),
      false,
    )
    await nobody.tab.close()
  })
})

describe('a ceremony', () => {
  test('in which the person is not verified enrols nothing', async () => {
    const bob = await visit('/', { isUserVerified: false })
    await signIn(bob, BOB.sub)
    const { page } = bob.tab
    await page.getByRole('button', { name: 'Enrol this device' }).click()
    await page.getByRole('button', { name: 'Make the passkey' }).click()
    await page.getByRole('alert').first().waitFor()
    assert.deepEqual(await bob.authenticator.credentials(), [])
    // With the right finger the same form goes through: nothing was lost.
    await bob.authenticator.setUserVerified(true)
    await page.getByRole('button', { name: 'Make the passkey' }).click()
    await page.getByRole('heading', { name: 'This device is enrolled' }).waitFor()
    // The wrong finger at a connection: the browser refuses, and so no proof is made.
    await bob.authenticator.setUserVerified(false)
    const refused = await connectFromPage(bob, 'bob', 'bob')
    assert.equal(refused.code, 'cancelled')
    await bob.tab.close()
  })

  test('on a site that is not listed proves nothing', async () => {
    const bob = await visit()
    await signIn(bob, BOB.sub)
    await enrolDevice(bob, 'Second laptop')
    const { startSdkSite } = await import('../support/sdk-page.ts')
    const elsewhere = await startSdkSite()
    try {
      await bob.tab.page.goto(elsewhere.origin)
      await bob.tab.page.waitForFunction(() => window.harness !== undefined)
      assert.equal((await connectAgain(bob.tab.page, 'phished', 'bob')).code, 'server_refused')
      await recorded('.request.denied.origin_mismatch')
    } finally {
      await elsewhere.close()
    }
    await bob.tab.close()
  })

  test('on a device that is enrolled already is refused in words', async () => {
    const bob = await visit()
    await signIn(bob, BOB.sub)
    await enrolDevice(bob, 'Tablet')
    const { page } = bob.tab
    await page.getByRole('button', { name: 'See your devices' }).click()
    await page.getByRole('button', { name: 'Enrol this device' }).click()
    await page.getByRole('button', { name: 'Make the passkey' }).click()
    await page
      .getByText(/already/i)
      .first()
      .waitFor()
    assert.equal((await bob.authenticator.credentials()).length, 1)
    await bob.tab.close()
  })
})

describe('a login', () => {
  test('that was begun in one browser is not finished in another, nor twice', async () => {
    const victim = await visit()
    const thief = await people.browser.open()
    const { page } = victim.tab
    const url = await page.evaluate(async () => {
      const body = JSON.stringify({ provider: 'corp' })
      const answer = await fetch('/v1/login/idp', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      return ((await answer.json()) as { url: string }).url
    })
    const callback = (await people.idp.login(url, ALICE.sub)).href
    await thief.page.goto(callback)
    await thief.page.getByText('Signing in took too long').first().waitFor()
    await recorded('.login.refused.request_mismatch')
    await thief.close()
    // Whoever was sent away comes back, once.
    await page.goto(callback)
    await page.getByRole('heading', { name: 'Your access' }).waitFor()
    await page.goto(callback)
    await recorded('.login.refused.request_used')
    await victim.tab.close()
  })

  test('whose cookie was stolen is dead after signing out', async () => {
    const alice = await visit()
    await signIn(alice, ALICE.sub)
    await alice.tab.page.getByRole('heading', { name: 'Your access' }).waitFor()
    const stolen = await alice.tab.context.cookies()
    await alice.tab.page.getByRole('button', { name: 'Sign out' }).click()
    await recorded('.login.succeeded.ended')
    const thief = await people.browser.open()
    await thief.context.addCookies(stolen)
    await thief.page.goto(origin())
    const status = await thief.page.evaluate(async () => {
      const answer = await fetch('/v1/devices/begin', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
      return answer.status
    })
    assert.equal(status, 401)
    await recorded('.login.refused.login_ended')
    await thief.close()
    await alice.tab.close()
  })
})
