/** The page with the service's own routes and checks behind it: a real browser, real cookies and real signatures. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { createUser } from 'nkeys.js'
import { buildPage } from '../../scripts/build-page.ts'
import { base64url, fromBase64url } from '../../src/core/encoding.ts'
import { ceremonyChallenge, possessionMessage, sessionSubject } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import { startPeopleService } from '../support/people-service.ts'
import { statementOf } from '../support/people-world.ts'

let browser: TestBrowser
const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-built-page-'))
before(async () => {
  await buildPage(dir)
  browser = await startChromium()
})
after(async () => {
  await browser.close()
  rmSync(dir, { recursive: true })
})

/** The service at localhost, a provider that signs alice in at once, and a tab with an authenticator. */
async function open(t: TestContext) {
  const service = await startPeopleService({ page: { dir }, world: { now: Date.now() } })
  const { world, origin } = service
  world.rules.person = { rpId: 'localhost', origins: [origin], requireUserVerification: true }
  world.idp.statements.set('corp', statementOf('corp', {}, { authenticatedAt: world.clock.now }))
  const tab = await browser.open()
  const { page } = tab
  const authenticator = await tab.authenticator({ backupEligible: true, backupState: true })
  await tab.context.route('https://corp.example/**', async (route) => {
    const { searchParams } = new URL(route.request().url())
    await route.fulfill({ status: 302, headers: { location: `${origin}/v1/login/callback?code=c&state=${searchParams.get('state')}` } })
  })
  t.after(async () => {
    await tab.close()
    await service.stop()
  })
  const press = (name: string) => page.getByRole('button', { name, exact: true }).click()
  const view = (name: string) => page.getByRole('heading', { level: 1, name, exact: true }).waitFor()
  const enrol = async () => {
    await page.goto(`${origin}/#enrol`)
    await press('Continue with Corp')
    await view('Enrol this device')
    await press('Make the passkey')
    await view('This device is enrolled')
  }
  return { ...tab, service, world, origin, authenticator, press, view, enrol }
}

test('sign in at the provider, enrol, rename, remove: with real checks of everything', async (t) => {
  const { page, world, press, view, enrol, problems, authenticator } = await open(t)
  await enrol()
  await page.getByText('Yes, by your passkey manager').waitFor()
  await press('See your devices')
  await view('Your access')
  const [name = ''] = await page.getByRole('heading', { level: 3 }).allTextContents()
  await press(`Rename ${name}`)
  await page.getByRole('dialog').getByLabel('Name').fill('My desk')
  await press('Save')
  await press('Remove My desk')
  await press('Remove')
  await page.getByText('“My desk” was removed').waitFor()
  assert.deepEqual(
    [...world.credentials.all().values()].map(({ record }) => [record.name, record.state]),
    [['My desk', 'revoked']],
  )
  // The browser was told, and its passkey is gone.
  assert.deepEqual(await authenticator.credentials(), [])
  assert.deepEqual(
    problems.filter((line) => !line.startsWith('Failed to load resource: ')),
    [],
  )
})

test('the second passkey of one device is refused by the device itself', async (t) => {
  const { page, world, press, view, enrol } = await open(t)
  await enrol()
  await press('See your devices')
  await press('Enrol this device')
  await view('Enrol this device')
  await press('Make the passkey')
  await page.getByText('This device is already enrolled').waitFor()
  assert.equal(world.credentials.all().size, 1)
})

test('a device that does not recognise its owner enrols nothing', async (t) => {
  const { page, world, origin, press, view, authenticator } = await open(t)
  await authenticator.setUserVerified(false)
  await page.goto(`${origin}/#enrol`)
  await press('Continue with Corp')
  await view('Enrol this device')
  await press('Make the passkey')
  await page.getByText('Nothing was signed').waitFor()
  assert.equal(world.credentials.all().size, 0)
})

test('a terminal of this machine is endorsed, and hears of it at its own listener', async (t) => {
  const { page, service, origin, press, view, enrol } = await open(t)
  await enrol()
  const listener = createServer((_, response) => response.end('done')).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.after(() => listener.close())
  const address = listener.address()
  assert.ok(typeof address === 'object' && address !== null)
  const key = createUser()
  const nkey = key.getPublicKey()
  const begun = await service.terminal('/v1/session/begin', { nkey, flow: 'loopback', host: 'desk', port: address.port })
  const { request, issued, url, code } = begun.body
  const challenge = ceremonyChallenge(sha256, {
    purpose: 'session',
    issued: fromBase64url(issued) ?? new Uint8Array(),
    origin,
    subject: sessionSubject(nkey, 'plain'),
  })
  const signature = base64url(key.sign(Buffer.from(possessionMessage(sha256, challenge))))
  assert.equal((await service.terminal('/v1/session/possess', { request, signature })).status, 200)
  await page.goto(url)
  await view('A terminal asks to sign in as you')
  await page.getByText(code, { exact: true }).waitFor()
  const called = once(listener, 'request')
  await press('Approve with a passkey')
  const [received] = await called
  const completion = new URL(received.url, 'http://127.0.0.1').searchParams.get('code')
  const completed = await service.terminal('/v1/session/complete', { request, code: completion })
  assert.equal(completed.body.session.nkey, nkey)
})

test('after signing out, the cookie of before is dead', async (t) => {
  const { page, context, origin, press, view, enrol, authenticator } = await open(t)
  await enrol()
  // A virtual authenticator chooses by itself where a person is asked.
  await authenticator.setPresent(false)
  const stolen = await context.cookies()
  await press('Sign out')
  await view('Sign in')
  await context.addCookies(stolen)
  await page.goto(`${origin}/?again`)
  await view('Sign in')
})
