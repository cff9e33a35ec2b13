/** Endorsing a terminal's session at the page: what is shown, what it takes, and where the browser goes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import { deviceView, personView, requestView } from '../support/page-views.ts'
import { assertClean, visit } from '../support/page-visit.ts'

let browser: TestBrowser
before(async () => {
  browser = await startChromium()
})
after(() => browser.close())

const request = 'r'.repeat(43)
const session = `#session=${request}`

test('a terminal is endorsed by a tap, and its listener on this machine gets the code', async (t) => {
  const listener = createServer((_, response) => response.end('You can close this tab.')).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.after(() => listener.close())
  const address = listener.address()
  assert.ok(typeof address === 'object' && address !== null)
  const callback = `http://127.0.0.1:${address.port}/callback?request=${request}&code=secret`
  const tab = await visit(t, browser, { state: { signedIn: true, callback, request: requestView() } })
  await tab.authenticator()
  await tab.open(session)
  await tab.view('Enrol this device first')
  await tab.press('Enrol this device')
  await tab.press('Make the passkey')
  await tab.press('Go on to the terminal')
  await tab.view('A terminal asks to sign in as you')
  for (const shown of ['KXTB-WQRM', 'build-07.example.com', 'alice', 'orders-reader', 'ORDERS', '8 hours, without another tap']) {
    await tab.page.getByText(shown, { exact: true }).first().waitFor()
  }
  const called = once(listener, 'request')
  await tab.press('Approve with a passkey')
  const [received] = await called
  assert.equal(received.url, `/callback?request=${request}&code=secret`)
  // Neither the page's address nor anything of the request goes along.
  assert.equal(received.headers.referer, undefined)
})

test('a callback that is not on this machine is not followed', async (t) => {
  for (const callback of [
    'http://127.0.0.1.example.com:80/',
    'https://evil.example/',
    'javascript:alert(1)',
    'http://127.0.0.1:1@evil.example/',
  ]) {
    const tab = await visit(t, browser, { state: { signedIn: true, callback }, fragment: '#enrol' })
    await tab.authenticator()
    await tab.press('Make the passkey')
    await tab.view('This device is enrolled')
    tab.stub.state.request = requestView()
    await tab.open(session)
    await tab.press('Approve with a passkey')
    await tab.page.getByText('This page did not go on').waitFor()
    assert.ok(tab.page.url().startsWith(tab.stub.origin))
    assertClean(tab)
  }
})

test('a code is endorsed only after its owner said that it is theirs', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, request: requestView({ flow: 'code' }) }, fragment: '#enrol' })
  await tab.authenticator()
  await tab.press('Make the passkey')
  await tab.view('This device is enrolled')
  await tab.open('#code')
  await tab.view('Sign a terminal in')
  const field = tab.page.getByLabel('Code from your terminal')
  await field.fill('AEIO-UAEI')
  await tab.press('Go on')
  await tab.page.getByText('The code has eight letters').waitFor()
  assert.equal(await field.getAttribute('aria-invalid'), 'true')
  await field.fill('bcdf-ghjk')
  await tab.press('Go on')
  await tab.page.getByText('The terminal’s request is no longer open').waitFor()
  await field.fill('kxtb wqrm')
  await tab.press('Go on')
  await tab.view('A terminal asks to sign in as you')
  await tab.page.getByText('Never approve a code that somebody gave you').waitFor()
  const approve = tab.page.getByRole('button', { name: 'Approve with a passkey' })
  assert.equal(await approve.isDisabled(), true)
  await tab.page.getByRole('checkbox').check()
  await approve.click()
  await tab.view('Approved')
  await tab.page.getByText('Go back to your terminal: it is signed in.').waitFor()
  assertClean(tab)
})

test('who refuses a terminal gives it nothing', async (t) => {
  const person = personView({ devices: [deviceView()] })
  const tab = await visit(t, browser, { state: { signedIn: true, person, request: requestView() }, fragment: session })
  await tab.view('A terminal asks to sign in as you')
  await tab.press('Refuse')
  await tab.page.getByText('The terminal gets nothing.').waitFor()
  assert.equal(
    tab.stub.requests.some(({ url }) => url === '/v1/session/options'),
    false,
  )
  await tab.open(session)
  await tab.view('The terminal’s request is no longer open')
})
