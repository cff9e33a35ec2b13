/** The page over time: slow networks, other tabs, logins that end, Back, Forward and reloading. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import { deviceView, personView, requestView } from '../support/page-views.ts'
import { assertClean, type Visit, visit } from '../support/page-visit.ts'

let browser: TestBrowser
before(async () => {
  browser = await startChromium()
})
after(() => browser.close())

const session = `#session=${'r'.repeat(43)}`
const calls = ({ stub }: Visit, path: string) => stub.requests.filter(({ url }) => url === path)
const comeBack = ({ page }: Visit) => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))

/** Holds requests to `path` until they are let go. */
async function hold(page: Page, path: string, count = 1): Promise<{ asked: Promise<void>; letGo: () => void }> {
  const gate = event()
  const asked = event()
  await page.route(
    (url) => url.pathname === path,
    async (route) => {
      asked.happens()
      await gate.happened
      await route.continue()
    },
    { times: count },
  )
  return { asked: asked.happened, letGo: gate.happens }
}

function event(): { happened: Promise<void>; happens: () => void } {
  let happens: () => void = () => undefined
  const happened = new Promise<void>((resolve) => {
    happens = resolve
  })
  return { happened, happens: () => happens() }
}

/** Waits until the page has asked `path` so often, and has had time to act on the answer. */
async function answered(tab: Visit, path: string, times: number): Promise<void> {
  while (calls(tab, path).length < times) await tab.page.waitForTimeout(20)
  await tab.page.evaluate(() => new Promise((done) => setTimeout(done, 200)))
}

test('an offer in the field that comes late leaves the dialog of the button alone', async (t) => {
  let held: Awaited<ReturnType<typeof hold>> | null = null
  const tab = await visit(t, browser, {
    state: { person: personView({ devices: [deviceView()] }) },
    before: async (page) => {
      await page.addInitScript(`
        window.asked = []
        PublicKeyCredential.isConditionalMediationAvailable = async () => true
        navigator.credentials.get = ({ mediation = 'dialog', signal }) => new Promise((_, failed) => {
          window.asked.push(mediation)
          signal.addEventListener('abort', () => { window.asked.push('taken away'); failed(signal.reason) })
        })
      `)
      held = await hold(page, '/v1/login/passkey/begin')
    },
  })
  const first = held as unknown as Awaited<ReturnType<typeof hold>>
  await first.asked
  await tab.press('Sign in with a passkey')
  await tab.page.waitForFunction("asked.includes('dialog')")
  first.letGo()
  await answered(tab, '/v1/login/passkey/begin', 2)
  assert.deepEqual(await tab.page.evaluate('asked'), ['dialog'])
})

test('a second press while the browser is on its way to the provider begins no second login', async (t) => {
  const providers = [
    { name: 'corp', label: 'Example Corp' },
    { name: 'partner', label: 'Partner' },
  ]
  const tab = await visit(t, browser, { state: { providers, providerUrl: 'http://localhost:8899/slow' } })
  const slow = await hold(tab.page, '/slow')
  // From within the page: a browser that is on its way listens to nobody outside.
  await tab.page.evaluate(() => {
    const buttons = [...document.querySelectorAll('button')].filter((it) => it.textContent?.startsWith('Continue'))
    for (const after of [0, 400, 500]) setTimeout(() => buttons.forEach((it) => void it.click()), after)
  })
  await slow.asked
  await new Promise((passed) => setTimeout(passed, 800))
  assert.equal(calls(tab, '/v1/login/idp').length, 1)
  slow.letGo()
})

test('one ceremony is begun however often the button is pressed on a slow network', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol' })
  await tab.authenticator()
  const slow = await hold(tab.page, '/v1/devices/begin')
  await tab.page.getByRole('button', { name: 'Make the passkey' }).dblclick()
  await slow.asked
  await tab.page.getByRole('textbox').press('Enter')
  slow.letGo()
  await tab.view('This device is enrolled')
  assert.deepEqual(
    ['begin', 'register', 'activate'].map((step) => calls(tab, `/v1/devices/${step}`).length),
    [1, 1, 1],
  )
})

test('a question of the browser goes with the view that asked it', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true } })
  await tab.authenticator({ isPresent: false })
  await tab.press('Enrol this device')
  await tab.page.evaluate(`{
    const create = navigator.credentials.create.bind(navigator.credentials)
    navigator.credentials.create = (options) => {
      window.asking = true
      options.signal.addEventListener('abort', () => { window.asking = false })
      return create(options)
    }
  }`)
  await tab.press('Make the passkey')
  await tab.page.waitForFunction('window.asking')
  await tab.page.goBack()
  await tab.view('Your access')
  await tab.page.waitForFunction('window.asking === false')
  assert.equal(calls(tab, '/v1/devices/register').length, 0)
})

test('who signed out in another tab is signed out here as well, and comes back to where they were', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, person: personView({ devices: [deviceView()] }) }, fragment: '#enrol' })
  await tab.view('Enrol this device')
  tab.stub.state.signedIn = false
  await comeBack(tab)
  await tab.view('Sign in')
  await tab.page.getByRole('alert').getByText('You are no longer signed in').waitFor()
  tab.stub.state.signedIn = true
  await comeBack(tab)
  await tab.view('Enrol this device')
  assertClean(tab)
})

test('a tab never goes on as one person when another has signed in', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, person: personView({ devices: [deviceView()] }) } })
  await tab.press(`Remove Work laptop`)
  tab.stub.state.person = personView({ handle: 'bob' as never })
  await comeBack(tab)
  await tab.page.getByText('You are now signed in as bob').waitFor()
  assert.equal(await tab.page.getByRole('dialog').count(), 0)
  assert.equal(await tab.page.getByText('Work laptop').count(), 0)
})

test('coming back to the tab with the same login changes nothing', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol' })
  await tab.page.getByRole('textbox').fill('My desk')
  await comeBack(tab)
  await answered(tab, '/v1/me', 2)
  assert.equal(await tab.page.getByRole('textbox').inputValue(), 'My desk')
})

test('a login that runs out while the page is open leaves nothing of the person on the screen', async (t) => {
  const person = personView({ devices: [deviceView()], loginExpiresAt: Date.now() + 60_000 })
  const tab = await visit(t, browser, { state: { signedIn: true, person }, before: (page) => page.clock.install() })
  await tab.view('Your access')
  tab.stub.state.signedIn = false
  await tab.page.clock.fastForward(70_000)
  await tab.view('Sign in')
  assert.equal(await tab.page.getByText('Work laptop').count(), 0)
})

test('a device that is enrolled is not enrolled again by reloading, nor by Back', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true } })
  await tab.authenticator()
  await tab.press('Enrol this device')
  await tab.press('Make the passkey')
  await tab.view('This device is enrolled')
  await tab.page.goBack()
  await tab.view('Your access')
  await tab.page.goForward()
  await tab.page.reload()
  await tab.view('Your access')
})

test('enrolling on the way to a terminal survives a reload, and Back leads to the terminal', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, request: requestView() }, fragment: session })
  await tab.authenticator()
  await tab.view('Enrol this device first')
  await tab.press('Enrol this device')
  await tab.view('Enrol this device')
  await tab.page.goBack()
  await tab.view('Enrol this device first')
  await tab.page.goForward()
  await tab.view('Enrol this device')
  await tab.page.reload()
  await tab.press('Make the passkey')
  await tab.view('This device is enrolled')
  await tab.page.reload()
  await tab.view('A terminal asks to sign in as you')
  assertClean(tab)
})

test('a question over the page goes when Back is pressed', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, person: personView({ devices: [deviceView()] }) } })
  await tab.press('Enrol this device')
  await tab.press('Not now')
  await tab.press('Remove Work laptop')
  await tab.page.getByRole('dialog').waitFor()
  await tab.page.evaluate(() => history.back())
  await tab.page.getByRole('dialog').waitFor({ state: 'detached' })
  assert.equal(calls(tab, '/v1/devices/remove').length, 0)
})

test('a newcomer whose sign-in is not fresh gets to enrolling in one press', async (t) => {
  const person = personView({ enrol: { allowed: false, needs: 'fresh_login' } })
  const tab = await visit(t, browser, { state: { signedIn: true, person } })
  await tab.page.getByText('You sign in once more with Example Corp first.').waitFor()
  tab.stub.state.person.enrol = { allowed: true, needs: 'nothing' }
  await tab.press('Enrol this device')
  await tab.view('Enrol this device')
  assert.deepEqual(JSON.parse(calls(tab, '/v1/login/idp')[0]?.body ?? ''), { provider: 'keycloak', fresh: true })
})

test('who has no role is not led into enrolling', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, person: personView({ roles: [] }) } })
  await tab.page.getByText('You can enrol one when you have a role.').waitFor()
  assert.equal(await tab.page.getByRole('button', { name: 'Enrol this device' }).count(), 0)
})

test('what a device gives is told as it is now: nothing by a blocked one, nor by a role that is too old', async (t) => {
  const roles = [{ name: 'orders-reader', source: 'idp' as const, asOf: 0, stale: true, known: true }]
  const devices = [deviceView(), deviceView({ name: 'Copied', state: 'quarantined' })]
  const tab = await visit(t, browser, { state: { signedIn: true, person: personView({ roles, devices }) } })
  await tab.page.getByText('Gives orders-reader once you sign in again').waitFor()
  await tab.page.getByText('It gives no role.').waitFor()
  assert.equal(await tab.page.locator('.gives').count(), 0)
  tab.stub.state.person.roles = roles.map((role) => ({ ...role, stale: false }))
  await tab.press('Sign in again with Example Corp')
  await tab.page.locator('.gives').waitFor()
  assert.deepEqual(JSON.parse(calls(tab, '/v1/login/idp')[0]?.body ?? ''), { provider: 'keycloak' })
})

for (const [locale, time] of [
  ['en-US', '2:05 PM'],
  ['de-DE', '14:05'],
] as const) {
  test(`times are those of ${locale}`, async (t) => {
    const loginExpiresAt = new Date().setUTCHours(14, 5, 0, 0)
    const settings = { locale, timezoneId: 'UTC' }
    const tab = await visit(t, browser, { state: { signedIn: true, person: personView({ loginExpiresAt }) }, settings })
    await tab.page.getByText(new RegExp(`until ${time.replace(' ', '\\s')}`)).waitFor()
  })
}
