/** The page in a real browser, under its real content security policy, over a stub of the HTTP API. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Page } from 'playwright-core'
import { startChromium, type TestBrowser } from '../support/chromium.ts'
import { deviceView, personView, sessionView } from '../support/page-views.ts'
import { assertClean, visit } from '../support/page-visit.ts'

let browser: TestBrowser
before(async () => {
  browser = await startChromium()
})
after(() => browser.close())

test('by keyboard alone: sign in, enrol, rename, remove', async (t) => {
  const tab = await visit(t, browser)
  const { page, stub } = tab
  await tab.authenticator({ backupEligible: true, backupState: true })
  await tab.view('Sign in')
  await tabTo(page, 'Continue with Example Corp')
  await page.keyboard.press('Enter')
  await tab.view('Your access')
  await tabTo(page, 'Enrol this device')
  await page.keyboard.press('Enter')
  await tab.view('Enrol this device')
  await tabTo(page, 'Name of the device')
  await page.keyboard.press('Control+A')
  await page.keyboard.type('Desk')
  await page.keyboard.press('Enter')
  await tab.view('This device is enrolled')
  await page.getByText('Synced: your passkey manager').waitFor()
  await tabTo(page, 'See your devices')
  await page.keyboard.press('Enter')
  await tab.view('Your access')
  await tabTo(page, 'Rename Desk')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Control+A')
  await page.keyboard.type('Desk at home')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Desk at home' }).waitFor()
  assert.equal(await focusedName(page), 'Desk at home')
  await tabTo(page, 'Remove Desk at home')
  await page.keyboard.press('Enter')
  await tabTo(page, 'Remove')
  await page.keyboard.press('Enter')
  await page.getByText('“Desk at home” was removed').waitFor()
  assert.match(await focusedName(page), /^Devices/)
  assert.deepEqual(stub.state.person.devices, [])
  assertClean(tab)
})

test('each new view gives its heading the focus, and the tab its title', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true } })
  await tab.view('Your access')
  assert.equal(await focusedName(tab.page), 'Your access')
  await tab.press('Enrol this device')
  await tab.view('Enrol this device')
  assert.equal(await focusedName(tab.page), 'Enrol this device')
  assert.equal(await tab.page.title(), 'Enrol this device · NATS access')
  assert.equal(await tab.page.getByRole('heading', { level: 1 }).count(), 1)
  await tab.page.goBack()
  await tab.view('Your access')
})

test('Escape leaves a question with nothing done, and the focus where it was', async (t) => {
  const device = deviceView({ name: 'Desk' })
  const tab = await visit(t, browser, { state: { signedIn: true, person: personView({ devices: [device] }) } })
  await tab.press('Remove Desk')
  await tab.page.getByRole('dialog').waitFor()
  // The way out has the focus first: Enter by habit removes nothing.
  assert.equal(await focusedName(tab.page), 'Cancel')
  await tab.page.getByText('It is your only device.').waitFor()
  await tab.page.keyboard.press('Escape')
  await tab.page.getByRole('dialog').waitFor({ state: 'detached' })
  assert.equal(await focusedName(tab.page), 'Remove Desk')
  assert.equal(
    tab.stub.requests.some(({ url }) => url === '/v1/devices/remove'),
    false,
  )
})

test('a passkey signs in, and one that the service does not know is told so', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true }, before: unconditional })
  await tab.authenticator()
  await tab.press('Enrol this device')
  await tab.press('Make the passkey')
  await tab.view('This device is enrolled')
  await tab.press('Sign out')
  await tab.view('Sign in')
  await tab.press('Sign in with a passkey')
  await tab.view('Your access')
  await tab.page.getByText('with a passkey until').waitFor()
  await tab.press('Sign out')
  tab.stub.state.person.devices = []
  await tab.press('Sign in with a passkey')
  await tab.page.getByText('This passkey cannot be used here').waitFor()
  assertClean(tab)
})

test('a device that is enrolled is not enrolled twice', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol' })
  await tab.authenticator()
  await tab.press('Make the passkey')
  await tab.view('This device is enrolled')
  await tab.press('See your devices')
  await tab.press('Enrol this device')
  assert.match(await tab.page.getByLabel('Name of the device').inputValue(), / 2$/)
  await tab.press('Make the passkey')
  await tab.page.getByRole('alert').getByText('This device is already enrolled').waitFor()
  assert.equal(tab.stub.state.person.devices.length, 1)
})

test('a tap that never comes is told as such, and can be tried again', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true, timeoutMs: 1_000 }, fragment: '#enrol' })
  const authenticator = await tab.authenticator({ isPresent: false })
  await tab.press('Make the passkey')
  await tab.page.getByText('Your device waited too long').waitFor()
  await authenticator.setPresent(true)
  await tab.press('Make the passkey')
  await tab.view('This device is enrolled')
  assertClean(tab)
})

const ERRORS: Record<string, string> = {
  NotAllowedError: 'Nothing was signed',
  AbortError: 'Nothing was signed',
  InvalidStateError: 'This device is already enrolled',
  NotSupportedError: 'This device cannot make such a passkey',
  ConstraintError: 'This device cannot make such a passkey',
  SecurityError: 'This page is at the wrong address',
  UnknownError: 'Your device could not do it',
  EncodingError: 'Something did not work',
}

test('every error of a browser has its words, and none of them is the browser’s', async (t) => {
  for (const [name, words] of Object.entries(ERRORS)) {
    await t.test(name, async (t) => {
      const fail = (page: Page) =>
        page.addInitScript((error) => {
          navigator.credentials.create = () => Promise.reject(new DOMException('internal words of a browser', error))
        }, name)
      const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol', before: fail })
      await tab.press('Make the passkey')
      await tab.page.getByRole('alert').getByText(words).waitFor()
      assert.equal(await tab.page.getByText('internal words').count(), 0)
      // What was typed is still there.
      assert.notEqual(await tab.page.getByLabel('Name of the device').inputValue(), '')
    })
  }
})

test('a device without a PIN or fingerprint is told so', async (t) => {
  const fail = (page: Page) =>
    page.addInitScript(() => {
      navigator.credentials.create = (options) => {
        if (options?.publicKey?.authenticatorSelection) options.publicKey.authenticatorSelection.requireResidentKey = false
        return Promise.reject(new DOMException('', 'ConstraintError'))
      }
    })
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol', before: fail })
  await tab.press('Make the passkey')
  await tab.page.getByRole('alert').getByText('Your device cannot check that it is you').waitFor()
})

test('when only the second tap fails, only that is asked again', async (t) => {
  const failOnce = (page: Page) =>
    page.addInitScript(() => {
      const get = navigator.credentials.get.bind(navigator.credentials)
      let failed = false
      navigator.credentials.get = (options) => {
        if (failed || options?.mediation === 'conditional') return get(options)
        failed = true
        return Promise.reject(new DOMException('', 'NotAllowedError'))
      }
    })
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol', before: failOnce })
  await tab.authenticator()
  await tab.press('Make the passkey')
  await tab.page.getByText('Nothing was signed').waitFor()
  await tab.press('Tap once more')
  await tab.view('This device is enrolled')
  assert.equal(tab.stub.requests.filter(({ url }) => url === '/v1/devices/register').length, 1)
})

test('a browser without passkeys says what to do instead of failing', async (t) => {
  const remove = (page: Page) =>
    page.addInitScript(() => {
      Reflect.deleteProperty(window, 'PublicKeyCredential')
    })
  const tab = await visit(t, browser, { before: remove })
  await tab.page.getByText('This browser cannot use passkeys').waitFor()
  assert.equal(await tab.page.getByRole('button', { name: 'Sign in with a passkey' }).count(), 0)
  // Devices and sessions can still be seen to.
  await tab.press('Continue with Example Corp')
  await tab.view('Your access')
  await tab.press('Enrol this device')
  await tab.page.getByText('This browser cannot use passkeys').waitFor()
  assert.equal(await tab.page.getByRole('button', { name: 'Make the passkey' }).count(), 0)
  assertClean(tab)
})

test('passkeys are offered in the field where the browser can, and a tap of the button ends that offer', async (t) => {
  const tab = await visit(t, browser, { state: { signedIn: true }, fragment: '#enrol', before: conditional })
  await tab.authenticator()
  await tab.press('Make the passkey')
  await tab.view('This device is enrolled')
  await tab.press('Sign out')
  const field = tab.page.getByLabel('Passkeys on this device')
  await field.waitFor()
  assert.equal(await field.getAttribute('autocomplete'), 'username webauthn')
  await tab.press('Sign in with a passkey')
  await tab.view('Your access')
  await tab.press('Sign out')
  await field.waitFor()
  await tab.page.evaluate('offered.then((choose) => choose())')
  await tab.view('Your access')
  assertClean(tab)
})

test('a session is ended from the list', async (t) => {
  const person = personView({ sessions: [sessionView({ label: 'build-07' }), sessionView({ label: '', plain: false })] })
  const tab = await visit(t, browser, { state: { signedIn: true, person } })
  await tab.press('End the session build-07')
  await tab.page.getByText('The session “build-07” has ended').waitFor()
  assert.equal(await tab.page.getByRole('button', { name: 'End the session build-07' }).count(), 0)
  await tab.page.getByRole('button', { name: 'End the session An application' }).waitFor()
})

/** Presses Tab until the element of this name has the focus, as somebody without a mouse would. */
async function tabTo(page: Page, name: string): Promise<void> {
  const stepsMax = 40
  for (let step = 0; step < stepsMax; step++) {
    if ((await focusedName(page)) === name) return assertFocusVisible(page)
    await page.keyboard.press('Tab')
  }
  assert.fail(`no way to ${name} by keyboard`)
}

async function assertFocusVisible(page: Page): Promise<void> {
  const width = await page.evaluate(() => Number.parseFloat(getComputedStyle(document.activeElement ?? document.body).outlineWidth))
  assert.ok(width >= 2, 'the focus cannot be seen')
}

function focusedName(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement
    if (element instanceof HTMLInputElement) return element.labels?.[0]?.textContent ?? ''
    return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? ''
  })
}

/** A browser that offers no passkeys in a field. One with a virtual authenticator would choose by itself. */
async function unconditional(page: Page): Promise<void> {
  await page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = async () => false
  })
}

/** A browser that offers passkeys in a field: what `offered` comes to stands for the choice in its list. */
async function conditional(page: Page): Promise<void> {
  // As text: what the test runner makes of functions does not run in a page.
  await page.addInitScript(`
    const get = navigator.credentials.get.bind(navigator.credentials)
    let tell
    window.offered = new Promise((resolve) => { tell = resolve })
    PublicKeyCredential.isConditionalMediationAvailable = async () => true
    navigator.credentials.get = ({ mediation, signal, ...rest }) => {
      if (mediation !== 'conditional') return get(rest)
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => {
          window.offered = new Promise((resolve) => { tell = resolve })
          reject(signal.reason)
        })
        tell(() => get(rest).then(resolve, reject))
      })
    }
  `)
}
