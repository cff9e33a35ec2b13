/** Removing a device at the page, in a real browser over a stub of the HTTP API: what the person and their browser are told. */
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

test('whoever removes the device that they signed in with is signed out, and told so', async (t) => {
  const device = deviceView({ name: 'Laptop', current: true })
  const state = { signedIn: true, person: personView({ how: 'passkey', provider: null, devices: [device] }) }
  const tab = await visit(t, browser, { state })
  await tab.press('Remove Laptop')
  await tab.page.getByText('You signed in with it, so you will be signed out.').waitFor()
  await tab.press('Remove')
  await tab.view('Sign in')
  await tab.page.getByRole('status').getByText('“Laptop” was removed').waitFor()
  await tab.page.getByText('You signed in with it, so you are signed out.').waitFor()
  assert.equal(await tab.page.getByRole('button', { name: 'Sign out' }).count(), 0)
  assertClean(tab)
})

test('a device that is removed is no longer offered by the browser', async (t) => {
  const [kept, removed] = [deviceView({ name: 'Kept' }), deviceView({ name: 'Old' })]
  const person = personView({ devices: [kept, removed], sessions: [sessionView({ device: { id: removed.id, name: 'Old' } })] })
  const record = (page: Page) =>
    page.addInitScript(`
      window.signals = []
      PublicKeyCredential.signalUnknownCredential = async (options) => void signals.push(options)
      PublicKeyCredential.signalAllAcceptedCredentials = async (options) => void signals.push(options)
    `)
  const tab = await visit(t, browser, { state: { signedIn: true, person, connections: { kicked: 1, failed: 1 } }, before: record })
  await tab.press('Remove Old')
  await tab.page.getByText('A live session was tapped with it').waitFor()
  await tab.press('Remove')
  await tab.page.getByText('One connection could not be closed now').waitFor()
  const signals = await tab.page.evaluate('signals')
  assert.deepEqual(signals, [
    { rpId: 'localhost', credentialId: removed.id },
    { rpId: 'localhost', userId: person.userHandle, allAcceptedCredentialIds: [kept.id] },
  ])
})
