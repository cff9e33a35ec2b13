/** What a real browser makes of headers, cookies and guards. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { accepted } from '../../src/core/refusal.ts'
import { startChromium, type TestBrowser, type TestPage } from '../support/chromium.ts'
import { type PeopleService, startPeopleService } from '../support/people-service.ts'

const LOGIN = 'nats-webauthn-login'

let chromium: TestBrowser
let service: PeopleService
let opened: TestPage
/** A server of another site, 127.0.0.1: an identity provider, or an attacker's page. */
let other: Server
let otherOrigin: string
/** What the other site answers to a path. */
let site: (url: URL) => { status?: number; location?: string; body?: string }

before(async () => {
  chromium = await startChromium()
})
after(() => chromium.close())
beforeEach(async () => {
  service = await startPeopleService()
  other = createServer((request, response) => {
    const { status = 200, location, body = '' } = site(new URL(request.url ?? '/', otherOrigin))
    response.writeHead(status, { 'content-type': 'text/html', ...(location === undefined ? {} : { location }) }).end(body)
  })
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  otherOrigin = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
  opened = await chromium.open()
})
afterEach(async () => {
  await opened.close()
  other.close()
  other.closeAllConnections()
  await service.stop()
})

/** A call of our own page, as the browser makes it: status and body. */
function call(path: string, body: unknown = {}) {
  return opened.page.evaluate(
    async ([to, text]) => {
      const answer = await fetch(to, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text })
      return { status: answer.status, body: await answer.json() }
    },
    [path, JSON.stringify(body)] as const,
  )
}

/** Signs in at the other site as alice: there and back, as a person goes. */
async function signIn(): Promise<void> {
  service.world.idp.begin = async (_, { state }) => accepted(new URL(`${otherOrigin}/authorize?state=${state}`))
  site = (url) => ({ status: 302, location: `${service.origin}/v1/login/callback?${url.searchParams}&code=c0de` })
  await opened.page.goto(service.origin)
  const { body } = await call('/v1/login/idp', { provider: 'corp' })
  await opened.page.goto(body.url)
  assert.equal(opened.page.url(), `${service.origin}/`)
}

function refusals(): string[] {
  return service.log
    .map((line) => JSON.parse(line))
    .flatMap(({ message, route, check }) => (message === 'request refused' ? [`${route} ${check}`] : []))
}

describe('a browser', () => {
  test('comes back from another site signed in, although its cookie goes nowhere from there', async () => {
    await signIn()
    const me = await call('/v1/me')
    assert.deepEqual([me.status, me.body.person.handle], [200, 'alice'])
    const [cookie, ...more] = await opened.context.cookies()
    assert.deepEqual([cookie?.name, cookie?.httpOnly, cookie?.sameSite, more], [LOGIN, true, 'Strict', []])
    assert.equal(await opened.page.evaluate('document.cookie'), '')
    assert.deepEqual(opened.problems, [])
  })

  test('holds the page to its policy: no text becomes script, nothing is loaded or called elsewhere', async () => {
    await opened.page.goto(service.origin)
    assert.equal(await opened.page.title(), 'page')
    const tried = [
      `document.body.insertAdjacentHTML('beforeend', '<b>x</b>')`,
      `document.createElement('script').text = 'alert(1)'`,
      `trustedTypes.createPolicy('mine', {})`,
      `fetch('${otherOrigin}')`,
    ]
    for (const script of tried) await assert.rejects(opened.page.evaluate(script), script)
  })

  test('does not show the page in a frame of another site', async () => {
    site = () => ({ body: `<iframe src="${service.origin}/"></iframe>` })
    await opened.page.goto(otherOrigin)
    const framed = await Promise.all(
      opened.page
        .frames()
        .slice(1)
        .map((frame) => frame.title()),
    )
    assert.deepEqual(
      framed.filter((title) => title === 'page'),
      [],
    )
  })

  test('that visits an attacker does nothing there with its login', async () => {
    await signIn()
    service.log.length = 0
    site = () => ({ body: '<!doctype html>' })
    await opened.page.goto(otherOrigin)
    await opened.page.evaluate(async (ours) => {
      for (const type of ['application/json', 'text/plain'])
        for (const mode of ['cors', 'no-cors'] as const)
          await fetch(`${ours}/v1/logout`, {
            method: 'POST',
            mode,
            credentials: 'include',
            body: '{}',
            headers: { 'content-type': type },
          }).catch(() => null)
      await fetch(`${ours}/v1/session/begin`, { method: 'POST', mode: 'no-cors', body: '{}' }).catch(() => null)
    }, service.origin)
    const sent = opened.page.waitForEvent('framenavigated')
    await opened.page.evaluate((ours) => {
      const form = Object.assign(document.createElement('form'), { method: 'post', enctype: 'text/plain', action: `${ours}/v1/logout` })
      document.body.append(form)
      form.submit()
    }, service.origin)
    await sent
    // The preflight of the one that asks first; then those that just send, and the form.
    assert.deepEqual([...new Set(refusals())].sort(), ['/v1/logout origin', '/v1/session/begin origin', 'none origin'])
    await opened.page.goto(service.origin)
    assert.equal((await call('/v1/me')).status, 200)
  })
})
