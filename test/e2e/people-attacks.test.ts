/** What people and their attackers try against the real page, provider, verifier and nats-server. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { loginIdOf } from '../../src/core/people/login.ts'
import type { TestPage, VirtualAuthenticator } from '../support/chromium.ts'
import { ALICE, BOB } from '../support/oidc-provider.ts'
import { enrolPasskey, invited, personTicket, type Said, type Visitor, visitor } from '../support/page-visitor.ts'
import { softwarePasskey } from '../support/passkey.ts'
import { type PeopleProduct, startPeopleProduct } from '../support/people-product.ts'

const POLICY = `version: 1
enrolment: { person: { devices_max: 2 } }
roles:
  chat:
    account: APP
    publish: { allow: ["chat.{{user}}"] }
    require: { class: person, user_verification: true }
  shell: { account: APP, publish: { allow: ["shell.>"] }, plain_sessions: true }
`

let people: PeopleProduct
const origin = () => people.product.enrolmentOrigin
before(async () => {
  people = await startPeopleProduct({ policy: POLICY, accounts: [ALICE, BOB] })
})
after(() => people.stop())

/** `status code/check` of what was said. */
function verdict({ status, body }: Said): string {
  const { code, check } = body.error ?? {}
  return [status, [code, check].filter((part) => part !== undefined).join('/')].filter((part) => part !== '').join(' ')
}

/** Resolves when a record whose subject ends so is there. */
const recorded = (ending: string) => people.product.record(({ subject }) => subject.endsWith(ending))

async function atPage(path = '/'): Promise<{ tab: TestPage; page: TestPage['page']; authenticator: VirtualAuthenticator }> {
  const tab = await people.browser.open()
  const authenticator = await tab.authenticator()
  await tab.page.goto(`${origin()}${path}`)
  return { tab, page: tab.page, authenticator }
}

/** Signed in at the provider, over HTTP. */
async function loggedIn(sub: string): Promise<Visitor> {
  const person = visitor(origin())
  const { body } = await person.post('/v1/login/idp', { provider: 'corp' })
  assert.equal(await person.open(await people.idp.login(body.url, sub)), 303)
  return person
}

describe('an enrolment', () => {
  test('without user verification is refused, at the registration and at the first assertion', async () => {
    const bob = await loggedIn(BOB.sub)
    bob.passkey.userVerified = false
    assert.equal(verdict(await enrolPasskey(bob)), '422 registration_invalid/user_not_verified')
    bob.passkey.userVerified = true
    const begun = await bob.post('/v1/devices/begin')
    const response = bob.passkey.create(begun.body.options)
    const registered = await bob.post('/v1/devices/register', { ceremony: begun.body.ceremony, name: 'laptop', response })
    bob.passkey.userVerified = false
    const assertion = bob.passkey.get(registered.body.options)
    const activated = await bob.post('/v1/devices/activate', { ceremony: registered.body.ceremony, response: assertion })
    assert.equal(verdict(activated), '422 possession_invalid/user_not_verified')
    assert.deepEqual((await bob.post('/v1/me')).body.person.devices, [])
  })

  test('at the origin of an application is refused: only the page enrols', async () => {
    const bob = await loggedIn(BOB.sub)
    const passkey = softwarePasskey({ origin: people.site.origin })
    assert.equal(verdict(await enrolPasskey(bob, { passkey })), '422 registration_invalid/origin_mismatch')
  })

  test('of a credential id that somebody else has is refused, and theirs goes on', async () => {
    const victim = await invited(people.product, 'victim', ['chat'])
    const thief = await invited(people.product, 'thief', ['chat'])
    const passkey = softwarePasskey({ origin: origin() })
    passkey.id = victim.passkey.id
    assert.equal(verdict(await enrolPasskey(thief, { passkey })), '409 credential_taken')
    await recorded('.enrolment.refused.credential_taken')
    const begun = await victim.post('/v1/login/passkey/begin')
    const response = victim.passkey.get(begun.body.options)
    assert.equal(verdict(await victim.post('/v1/login/passkey/finish', { ceremony: begun.body.ceremony, response })), '200')
  })

  test('of more devices than one person may have is refused', async () => {
    const person = await invited(people.product, 'collector', ['chat'])
    const more = () => enrolPasskey(person, { passkey: softwarePasskey({ origin: origin() }) })
    const together = await Promise.all([more(), more(), more()])
    assert.deepEqual(together.map(verdict).sort(), ['200', '409 devices_full', '409 devices_full'])
    assert.equal((await person.post('/v1/me')).body.person.devices.length, 2)
  })

  test('that its person leaves in the middle of enrols nothing, and can be begun again', async () => {
    const { tab, page, authenticator } = await atPage()
    await authenticator.setPresent(false)
    await page.getByRole('button', { name: 'Continue with Example Corp' }).click()
    await page.locator(`button[data-account="${ALICE.sub}"]`).click()
    await page.getByRole('button', { name: 'Enrol this device' }).click()
    const begun = page.waitForResponse((response) => response.url().endsWith('/v1/devices/begin'))
    await page.getByRole('button', { name: 'Make the passkey' }).click()
    await begun
    await page.goto(`${origin()}/#enrol`)
    await page.reload()
    assert.deepEqual(await authenticator.credentials(), [])
    await authenticator.setPresent(true)
    await page.getByRole('button', { name: 'Make the passkey' }).click()
    await page.getByRole('heading', { name: 'This device is enrolled' }).waitFor()
    assert.equal((await authenticator.credentials()).length, 1)
    await tab.close()
  })
})

describe('an invitation', () => {
  test('enrols one device; whoever opens the link later is told that it is no longer good', async () => {
    const link = `/#ticket=${await personTicket(people.product, 'guest', ['chat'])}`
    const guest = await atPage(link)
    await guest.page.getByRole('button', { name: 'Accept the invitation' }).click()
    await guest.page.getByRole('button', { name: 'Make the passkey' }).click()
    await guest.page.getByRole('heading', { name: 'This device is enrolled' }).waitFor()
    await guest.tab.close()
    const late = await atPage(link)
    await late.page.getByRole('button', { name: 'Accept the invitation' }).click()
    await late.page.getByRole('alert').first().waitFor()
    await recorded('.enrolment.refused.ticket_used')
    assert.deepEqual(await late.tab.context.cookies(), [])
    await late.tab.close()
  })

  test('of which two browsers hold the link enrols in one of them', async () => {
    const ticket = await personTicket(people.product, 'twice', ['chat'])
    const both = [visitor(origin()), visitor(origin())]
    for (const one of both) assert.equal((await one.post('/v1/login/ticket', { ticket })).status, 200)
    const said = await Promise.all(both.map((one) => enrolPasskey(one)))
    assert.deepEqual(said.map(({ status }) => status).sort(), [200, 403])
    assert.equal(said.find(({ status }) => status === 403)?.body.error.code, 'ticket_invalid')
  })
})

describe('a login', () => {
  test('that is past its time enrols nothing, and the page asks to sign in again', async () => {
    const { tab, page } = await atPage()
    await page.getByRole('button', { name: 'Continue with Example Corp' }).click()
    await page.locator(`button[data-account="${BOB.sub}"]`).click()
    await page.getByRole('heading', { name: 'Your access' }).waitFor()
    const [cookie] = (await tab.context.cookies()).filter(({ name }) => name === 'nats-webauthn-login')
    await people.rewrite('webauthn_logins', loginIdOf(cookie?.value ?? '') ?? '', (login) => ({ ...login, expiresAt: Date.now() - 1 }))
    await page.getByRole('button', { name: 'Enrol this device' }).click()
    await page.getByRole('button', { name: 'Make the passkey' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await recorded('.login.refused.login_expired')
    await tab.close()
  })

  test('that ended takes what was begun in it along: a stolen cookie finishes no enrolment', async () => {
    const bob = await loggedIn(BOB.sub)
    const begun = await bob.post('/v1/devices/begin')
    const thief = visitor(origin(), bob.cookie())
    assert.equal((await thief.post('/v1/me')).status, 200)
    assert.equal((await bob.post('/v1/logout')).status, 200)
    const response = thief.passkey.create(begun.body.options)
    const registered = await thief.post('/v1/devices/register', { ceremony: begun.body.ceremony, name: 'mine', response })
    assert.equal(verdict(registered), '401 login_required')
    // The ceremony is that login's: bob's next one does not finish it either.
    const again = await loggedIn(BOB.sub)
    const late = await again.post('/v1/devices/register', { ceremony: begun.body.ceremony, name: 'mine', response })
    assert.match(verdict(late), /ceremony_invalid/)
  })

  test('is not used by a page of another origin of the same site, whose requests have the cookie', async () => {
    const device = await invited(people.product, 'browsing', ['chat'])
    const { tab, page } = await atPage()
    const [name = '', value = ''] = device.cookie().split('=')
    await tab.context.addCookies([{ name, value, url: origin(), httpOnly: true, sameSite: 'Strict' }])
    const hostile = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>x</title>'))
    hostile.listen(0, '127.0.0.1')
    await once(hostile, 'listening')
    const at = hostile.address()
    assert.ok(at !== null && typeof at === 'object')
    await page.goto(`http://localhost:${at.port}`)
    const ticket = await personTicket(people.product, 'attacker', ['chat'])
    const calls: [string, object][] = [
      ['/v1/devices/remove', { id: device.passkey.id }],
      ['/v1/devices/begin', {}],
      ['/v1/login/ticket', { ticket }],
      ['/v1/logout', {}],
    ]
    await page.evaluate(
      async ([to, all]) => {
        for (const [path, body] of all) {
          for (const type of ['text/plain', 'application/json']) {
            const request = {
              method: 'POST',
              body: JSON.stringify(body),
              credentials: 'include',
              headers: { 'content-type': type },
            } as const
            await fetch(`${to}${path}`, { ...request, mode: 'no-cors' }).catch(() => undefined)
            await fetch(`${to}${path}`, { ...request, mode: 'cors' }).catch(() => undefined)
          }
        }
      },
      [origin(), calls] as const,
    )
    // A form goes wherever it wants, and the browser sends the cookie along.
    for (const [path, body] of calls) {
      const [response] = await Promise.all([
        page.waitForResponse((answer) => answer.url() === `${origin()}${path}`),
        page.evaluate(
          ([action, text]) => {
            const form = Object.assign(document.createElement('form'), { method: 'post', enctype: 'text/plain', action })
            form.append(Object.assign(document.createElement('input'), { name: `${text.slice(0, -1)},"x":"`, value: '"}' }))
            document.body.append(form)
            form.submit()
          },
          [`${origin()}${path}`, JSON.stringify(body)] as const,
        ),
      ])
      assert.ok((await response.request().allHeaders())['cookie']?.includes(value), path)
      assert.ok(response.status() >= 400, `${path} ${response.status()}`)
      await page.waitForURL(`${origin()}${path}`)
      await page.goto(`http://localhost:${at.port}`)
    }
    const { person } = (await device.post('/v1/me')).body
    assert.deepEqual(
      person.devices.map(({ id }: { id: string }) => id),
      [device.passkey.id],
    )
    hostile.close()
    await tab.close()
  })
})
