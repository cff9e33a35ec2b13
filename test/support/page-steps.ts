/** What a person does at the page and a terminal asks for, call by call over HTTP. */
import assert from 'node:assert/strict'
import type { Passkey } from './passkey.ts'
import { type Browser, type PeopleService, verdictOf } from './people-service.ts'
import type { TerminalKey } from './terminal-key.ts'

/** Signs in at the provider `corp` as alice, a reader. */
export async function signIn(page: Browser): Promise<void> {
  const { url } = (await page.post('/v1/login/idp', { provider: 'corp' })).body
  const state = new URL(url).searchParams.get('state')
  assert.equal(verdictOf(await page.open(`/v1/login/callback?state=${state}&code=c0de`)), '303 /')
}

/** Enrols `passkey` for whoever is signed in. */
export async function enrol(page: Browser, passkey: Passkey, name = 'laptop') {
  const begun = await page.post('/v1/devices/begin')
  if (begun.status !== 200) return begun
  const registered = await page.post('/v1/devices/register', {
    ceremony: begun.body.ceremony,
    name,
    response: passkey.create(begun.body.options),
  })
  if (registered.status !== 200) return registered
  const { ceremony, options } = registered.body
  return page.post('/v1/devices/activate', { ceremony, response: passkey.get(options) })
}

/** Signs in by a passkey. */
export async function tapIn(page: Browser, passkey: Passkey) {
  const { ceremony, options } = (await page.post('/v1/login/passkey/begin')).body
  return page.post('/v1/login/passkey/finish', { ceremony, response: passkey.get(options) })
}

/** A terminal's request, whose nkey has signed. */
export async function asked(service: PeopleService, key: TerminalKey, flow: 'loopback' | 'code') {
  const { nkey } = key
  const port = flow === 'loopback' ? { port: 41_234 } : {}
  const begun = await service.terminal('/v1/session/begin', { nkey, flow, host: 'build-7', ...port })
  assert.equal(begun.status, 200, begun.text)
  const { request, issued } = begun.body
  const possessed = await service.terminal('/v1/session/possess', { request, signature: key.sign(issued, 'plain') })
  assert.deepEqual([possessed.status, possessed.body], [200, {}])
  return begun.body as { request: string; issued: string; url: string; code: string; expiresAt: number }
}

/** The tap for a terminal's request. */
export async function endorse(page: Browser, request: string, passkey: Passkey) {
  const { options } = (await page.post('/v1/session/options', { request })).body
  return page.post('/v1/session/endorse', { request, response: passkey.get(options) })
}
