/** Links, redirects and failures of the page: nothing secret stays in an address, and nobody loses their place. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import { deviceView, personView, requestView, sessionView } from '../support/page-views.ts'
import { assertClean, visit } from '../support/page-visit.ts'

let browser: TestBrowser
before(async () => {
  browser = await startChromium()
})
after(() => browser.close())

const session = `#session=${'r'.repeat(43)}`
const ticket = 'T-secret_'.repeat(4)
const withDevice = () => personView({ devices: [deviceView()] })

test('a ticket leaves the address at once, and goes nowhere but into one body', async (t) => {
  const tab = await visit(t, browser, { state: { ticket }, fragment: `#ticket=${ticket}` })
  const { page, stub } = tab
  await tab.view('You are invited')
  assert.equal(page.url(), `${stub.origin}/`)
  await tab.press('Accept the invitation')
  await tab.view('Enrol this device')
  await page.goto('about:blank')
  await page.goBack()
  await tab.view('Enrol this device')
  assert.equal(page.url().includes(ticket), false)
  const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, history.state, document.cookie, name]))
  assert.equal(kept.includes(ticket), false)
  for (const { url, body } of stub.requests) {
    assert.equal(url.includes(ticket), false)
    assert.equal(body.includes(ticket), url === '/v1/login/ticket')
  }
  assertClean(tab)
})

test('an invitation signs nobody in, or over, unasked', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, ticket }, fragment: `#ticket=${ticket}` })
  await tab.view('You are invited')
  await tab.page.getByText('You are signed in as alice. Going on signs you out there.').waitFor()
  assert.equal(
    tab.stub.requests.some(({ url }) => url === '/v1/login/ticket'),
    false,
  )
})

test('an invitation that is no longer good says so', async (t) => {
  const tab = await visit(t, browser, { fragment: `#ticket=${ticket}` })
  await tab.press('Accept the invitation')
  await tab.page.getByRole('alert').getByText('This invitation is no longer good').waitFor()
  assertClean(tab)
})

test('a link that is opened while the page is there is followed too', async (t) => {
  const tab = await visit(t, browser, { state: { ticket } })
  await tab.view('Sign in')
  await tab.open(`#ticket=${ticket}`)
  await tab.view('You are invited')
  assert.equal(tab.page.url(), `${tab.stub.origin}/`)
})

test('who comes with a terminal’s request signs in first, is told nothing of it before, and comes back to it', async (t) => {
  const tab = await visit(t, browser, { state: { person: withDevice(), request: requestView() }, fragment: session })
  await tab.view('Sign in')
  await tab.page.getByText('Then you see what your terminal asks for').waitFor()
  assert.equal(
    tab.stub.requests.some(({ url }) => url === '/v1/session/show'),
    false,
  )
  await tab.press('Continue with Example Corp')
  await tab.view('A terminal asks to sign in as you')
  // It was kept for one return only.
  await tab.open('#enrol')
  await tab.view('Enrol this device')
  assert.equal(await tab.page.evaluate(() => sessionStorage.length), 0)
  assertClean(tab)
})

test('who fails at the identity provider is told why, and trying again still leads to the terminal', async (t) => {
  const state = { person: withDevice(), request: requestView(), callbackError: 'signin_expired' }
  const tab = await visit(t, browser, { state, fragment: session })
  await tab.press('Continue with Example Corp')
  await tab.view('Signing in took too long')
  assert.equal(tab.page.url(), `${tab.stub.origin}/`)
  tab.stub.state.callbackError = null
  await tab.press('Try again')
  await tab.press('Continue with Example Corp')
  await tab.view('A terminal asks to sign in as you')
})

test('an error code of a link is never shown as it is written', async (t) => {
  const tab = await visit(t, browser, { fragment: '#error=<b>Call_0800_123</b>' })
  await tab.view('Something did not work')
  assert.equal(await tab.page.getByText('0800').count(), 0)
})

test('a login that ends in between asks to sign in again and keeps the place', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, person: withDevice() }, fragment: '#enrol' })
  await tab.view('Enrol this device')
  tab.stub.state.signedIn = false
  await tab.press('Make the passkey')
  await tab.view('Sign in')
  await tab.page.getByRole('alert').getByText('You are no longer signed in').waitFor()
  await tab.press('Continue with Example Corp')
  await tab.view('Enrol this device')
})

test('a device needs room, a fresh login or a tap, and the page says which', async (t) => {
  const device = deviceView()
  const tab = await visit(t, browser, { state: { signedIn: true } })
  const needs = async (person: Parameters<typeof personView>[0]) => {
    tab.stub.state.person = personView(person)
    await tab.page.goto(`${tab.stub.origin}/?${Math.random()}#enrol`)
  }
  const buttons = () => tab.page.getByRole('main').getByRole('button').allTextContents()
  await needs({ devices: [device], enrol: { allowed: false, needs: 'fresh_login_or_tap' } })
  await tab.view('Show that it is you')
  assert.deepEqual(await buttons(), ['Sign in again with Example Corp', 'Tap a device you enrolled', 'Back to your access'])
  await needs({ devices: [device], enrol: { allowed: false, needs: 'tap' } })
  await tab.view('Show that it is you')
  assert.deepEqual(await buttons(), ['Tap a device you enrolled', 'Back to your access'])
  await needs({ devices: [], enrol: { allowed: false, needs: 'fresh_login' } })
  await tab.view('Show that it is you')
  assert.deepEqual(await buttons(), ['Sign in again with Example Corp', 'Back to your access'])
  await needs({ devices: [device], devicesMax: 1, enrol: { allowed: false, needs: 'room' } })
  await tab.view('You have as many devices as you may')
})

test('a fresh login is asked for as such, and leads back to enrolling', async (t) => {
  const person = personView({ enrol: { allowed: false, needs: 'fresh_login' } })
  const tab = await visit(t, browser, { state: { signedIn: true, person }, fragment: '#enrol' })
  await tab.view('Show that it is you')
  tab.stub.state.person = personView()
  await tab.press('Sign in again with Example Corp')
  await tab.view('Enrol this device')
  const sent = tab.stub.requests.find(({ url }) => url === '/v1/login/idp')
  assert.deepEqual(JSON.parse(sent?.body ?? ''), { provider: 'keycloak', fresh: true })
})

test('a step up that the service wants later than the page knew is offered then', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol' })
  await tab.view('Enrol this device')
  tab.stub.state.person = personView({ enrol: { allowed: false, needs: 'fresh_login' } })
  tab.stub.refuseNext('/v1/devices/begin', { status: 403, code: 'step_up_required' })
  await tab.press('Make the passkey')
  await tab.view('Show that it is you')
})

test('a passkey that the service refuses is told with its check, and taken back from the browser', async (t) => {
  const record = `
    window.signals = []
    PublicKeyCredential.signalUnknownCredential = async (options) => void signals.push(options)
  `
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol', before: (page) => page.addInitScript(record) })
  const authenticator = await tab.authenticator()
  tab.stub.refuseNext('/v1/devices/register', { status: 422, code: 'device_refused', check: 'device_bound' })
  await tab.press('Make the passkey')
  await tab.page.getByText('It needs a passkey that cannot leave its device.').waitFor()
  await tab.page.getByText('device_refused, device_bound').waitFor()
  const [made] = await authenticator.credentials()
  assert.deepEqual(await tab.page.evaluate('signals'), [{ rpId: 'localhost', credentialId: made?.id }])
})

test('failures of the service and of the network have words, and leave everything as it was', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, person: withDevice() } })
  await tab.view('Your access')
  tab.stub.state.person.sessions = [sessionView({ label: 'build-07' })]
  await tab.page.reload()
  const end = () => tab.press('End the session build-07')
  tab.stub.refuseNext('/v1/sessions/end', { status: 429, code: 'rate_limited', retryAfterSeconds: 42 })
  await end()
  await tab.page.getByText('Wait 42 seconds').waitFor()
  tab.stub.refuseNext('/v1/sessions/end', { status: 500, code: 'internal' })
  await end()
  await tab.page.getByText('The service failed').waitFor()
  tab.stub.refuseNext('/v1/sessions/end', { status: 418, code: '<b>of the future</b>' })
  await end()
  await tab.page.getByText('Something did not work').waitFor()
  await tab.context.setOffline(true)
  await end()
  await tab.page.getByText('No connection to the service').waitFor()
  await tab.context.setOffline(false)
  await end()
  await tab.page.getByText('The session “build-07” has ended').waitFor()
  assertClean(tab)
})

test('a service that does not answer at the start is said to be away, with a way to try again', async (t) => {
  const tab = await visit(t, browser)
  await tab.view('Sign in')
  tab.stub.refuseNext('/v1/page', { status: 503, code: 'unavailable' })
  await tab.page.reload()
  await tab.view('The service cannot do this now')
  await tab.press('Try again')
  await tab.view('Sign in')
})

test('a service without people says so', async (t) => {
  const tab = await visit(t, browser, { state: { rpId: null } })
  await tab.view('People cannot enrol here')
})

test('what the service says of people is text, never HTML', async (t) => {
  const html = '<img src=x onerror=alert(1)><b>bold</b>'
  const device = deviceView({ name: html, roles: [{ name: html, unmet: [html] }] })
  const person = personView({
    displayName: html,
    roles: [{ name: html, source: 'idp', asOf: 0, stale: true, known: true }],
    devices: [device],
    sessions: [sessionView({ label: html, device: { id: device.id, name: html } })],
  })
  const state = {
    signedIn: true,
    person,
    providers: [{ name: 'keycloak', label: html }],
    request: requestView({ host: html, roles: [html] }),
  }
  const tab = await visit(t, browser, { state })
  await tab.view('Your access')
  const elements = () => tab.page.locator('main img, main b, header img, header b, dialog img, dialog b').count()
  assert.equal(await elements(), 0)
  assert.ok((await tab.page.getByText(html).count()) >= 5)
  await tab.press(`Remove ${html}`)
  assert.equal(await elements(), 0)
  await tab.press('Cancel')
  await tab.open(session)
  await tab.view('A terminal asks to sign in as you')
  assert.equal(await elements(), 0)
  assertClean(tab)
})

test('the page may not be framed, and may load nothing from elsewhere', async (t) => {
  const tab = await visit(t, browser)
  await tab.view('Sign in')
  const blocked = await tab.page.evaluate(async () => {
    const seen: string[] = []
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => seen.push(effectiveDirective))
    await fetch('https://other.example/').catch(() => undefined)
    document.body.append(document.createElement('iframe'))
    const style = document.createElement('style')
    style.textContent = 'body { color: red }'
    document.head.append(style)
    try {
      document.body.innerHTML = '<p>text</p>'
    } catch {
      seen.push('trusted-types')
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    return seen
  })
  for (const directive of ['connect-src', 'style-src-elem', 'trusted-types']) assert.ok(blocked.includes(directive), directive)
})
