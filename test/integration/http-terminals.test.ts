/** A terminal's session over HTTP: asked for, endorsed at the page, completed, ended. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { asked, endorse, tapIn } from '../support/page-steps.ts'
import type { Passkey } from '../support/passkey.ts'
import { type Browser, browser, type PeopleService, startPeopleService, verdictOf } from '../support/people-service.ts'
import { putDevice, putPerson } from '../support/people-world.ts'
import { type TerminalKey, terminalKey } from '../support/terminal-key.ts'

let service: PeopleService
let page: Browser
beforeEach(async () => {
  service = await startPeopleService()
  page = browser(service)
})
afterEach(() => service.stop())

describe("a terminal's session", () => {
  let passkey: Passkey
  let key: TerminalKey
  beforeEach(async () => {
    passkey = putDevice(service.world, putPerson(service.world).handle).passkey
    await tapIn(page, passkey)
    key = terminalKey(service.origin)
  })

  test('is shown, endorsed by a tap, and completed with what the browser brings to the terminal', async () => {
    const { request, url, code } = await asked(service, key, 'loopback')
    assert.equal(url, `${service.origin}/#session=${request}`)
    const { session } = (await page.post('/v1/session/show', { request })).body
    assert.deepEqual([session.host, session.code, session.nkey, session.roles], ['build-7', code, key.nkey, ['reader']])

    const endorsed = await endorse(page, request, passkey)
    assert.equal(endorsed.status, 200, endorsed.text)
    const callback = new URL(endorsed.body.callback)
    assert.equal(callback.origin, 'http://127.0.0.1:41234')
    // Until the terminal has the code, the session is nobody's.
    assert.equal(service.world.sessions.records.get(key.nkey)?.state, 'pending')
    const wrong = await service.terminal('/v1/session/complete', { request, code: 'A'.repeat(43) })
    assert.equal(verdictOf(wrong), '409 request_gone')
    const completed = await service.terminal('/v1/session/complete', { request, code: callback.searchParams.get('code') })
    assert.equal(completed.status, 200, completed.text)
    assert.deepEqual([completed.body.session.handle, completed.body.session.nkey], ['alice', key.nkey])
    assert.equal(service.world.sessions.records.get(key.nkey)?.state, 'active')
  })

  test('by code is in force with the tap, and the terminal hears of it by asking', async () => {
    const { request, code, url } = await asked(service, key, 'code')
    assert.equal(url, `${service.origin}/#code`)
    const poll = () => service.terminal('/v1/session/poll', { request })
    assert.deepEqual((await poll()).body, { state: 'waiting', session: null })
    const shown = await page.post('/v1/session/show', { code: code.toLowerCase().replace('-', ' ') })
    assert.deepEqual([shown.status, shown.body.session.request], [200, request])
    assert.deepEqual((await endorse(page, request, passkey)).body, { callback: null })
    const { state, session } = (await poll()).body
    assert.deepEqual([state, session.nkey, session.roles], ['complete', key.nkey, ['reader']])
  })

  test('is refused by the person, and the terminal is told', async () => {
    const { request } = await asked(service, key, 'loopback')
    assert.deepEqual((await page.post('/v1/session/refuse', { request })).body, {})
    assert.deepEqual((await service.terminal('/v1/session/poll', { request })).body, { state: 'refused', session: null })
    assert.equal(verdictOf(await page.post('/v1/session/show', { request })), '409 request_gone')
  })

  test('is shown to nobody before its nkey signed', async () => {
    const begun = await service.terminal('/v1/session/begin', { nkey: key.nkey, flow: 'loopback', host: 'build-7', port: 41_234 })
    const { request, issued } = begun.body
    assert.equal(verdictOf(await page.post('/v1/session/show', { request })), '409 request_gone')
    const other = terminalKey(service.origin)
    const possess = await service.terminal('/v1/session/possess', { request, signature: other.sign(issued, 'plain') })
    assert.equal(verdictOf(possess), '422 possession_invalid')
  })

  test('is ended by its own key, and by its owner at the page', async () => {
    const ends = [
      async () => {
        const { ceremony, issued } = (await service.terminal('/v1/session/end/begin', { nkey: key.nkey })).body
        const ended = await service.terminal('/v1/session/end', { ceremony, signature: key.sign(issued, 'revoke') })
        assert.deepEqual([ended.status, ended.body], [200, { ended: true }])
      },
      async () => {
        assert.equal((await page.post('/v1/me')).body.person.sessions.length, 1)
        const ended = await page.post('/v1/sessions/end', { nkey: key.nkey })
        assert.deepEqual([ended.status, ended.body.person?.sessions, ended.body.connections], [200, [], { kicked: 1, failed: 0 }])
      },
    ]
    for (const end of ends) {
      key = terminalKey(service.origin)
      const { request } = await asked(service, key, 'code')
      await endorse(page, request, passkey)
      assert.equal(service.world.sessions.records.get(key.nkey)?.state, 'active')
      await end()
      assert.equal(service.world.sessions.records.get(key.nkey)?.state, 'revoked')
    }
  })
})
