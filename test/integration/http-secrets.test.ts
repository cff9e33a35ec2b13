/** Everything that people and terminals send or are given in secret, over a whole run with its failures, and where it must not be found. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idpSecretsOf } from '../../src/core/people/login.ts'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { asked, endorse, enrol, signIn, tapIn } from '../support/page-steps.ts'
import { softwarePasskey } from '../support/passkey.ts'
import { browser, type PeopleService, startPeopleService } from '../support/people-service.ts'
import { putTicket } from '../support/people-world.ts'
import { terminalKey } from '../support/terminal-key.ts'

// By the names of members, wherever they are: in bodies that are sent and in those that come back.
const SECRET_MEMBERS = [
  'ticket',
  'challenge',
  'issued',
  'ceremony',
  'signature',
  'clientDataJSON',
  'authenticatorData',
  'attestationObject',
]
const charsMin = 8

/** `service`, with each secret that passes by kept in what is returned. */
function overheard(service: PeopleService): { secrets: Set<string>; service: PeopleService } {
  const secrets = new Set<string>()
  const keepMembers = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [name, member] of Object.entries(value)) {
      if (typeof member === 'string' && SECRET_MEMBERS.includes(name) && member.length >= charsMin) secrets.add(member)
      keepMembers(member)
    }
  }
  const ask: PeopleService['ask'] = async (sent) => {
    const answer = await service.ask(sent)
    keepMembers([sent.body, answer.body])
    for (const line of answer.headers['set-cookie'] ?? []) {
      const value = line.split(';')[0]?.split('=')[1] ?? ''
      if (value === '') continue
      secrets.add(value)
      for (const derived of Object.values(idpSecretsOf(value) ?? {})) secrets.add(derived)
    }
    return answer
  }
  return { secrets, service: { ...service, ask, terminal: (path, body) => ask({ path, body }) } }
}

function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret, 'base64url')
  return [secret, bytes.toString('hex'), bytes.toString('base64'), encodeURIComponent(secret), secret.toLowerCase()]
}

test('no cookie, ticket, code, state, verifier, challenge or signature is in a log line or record, whatever succeeds or fails', async () => {
  const own = await startPeopleService()
  const { secrets, service } = overheard(own)
  const { world, origin } = service
  const page = browser(service)
  const passkey = softwarePasskey({ origin })
  const completions: string[] = []

  const run = async () => {
    await signIn(page)
    await enrol(page, passkey)
    await tapIn(page, passkey)
    const loopback = terminalKey(origin)
    const byLink = await asked(service, loopback, 'loopback')
    const { callback } = (await endorse(page, byLink.request, passkey)).body
    const code = new URL(callback).searchParams.get('code') ?? ''
    completions.push(code)
    await service.terminal('/v1/session/complete', { request: byLink.request, code: `${code.slice(0, -1)}A` })
    await service.terminal('/v1/session/complete', { request: byLink.request, code })
    await service.terminal('/v1/session/complete', { request: byLink.request, code, more: code })
    const byCode = await asked(service, terminalKey(origin), 'code')
    completions.push(byCode.code, byCode.code.replace('-', ''), byCode.request)
    await page.post('/v1/session/show', { code: byCode.code })
    await page.post('/v1/session/show', { code: `${byCode.code}X` })
    await endorse(page, byCode.request, passkey)
    const ended = (await service.terminal('/v1/session/end/begin', { nkey: loopback.nkey })).body
    const signature = loopback.sign(ended.issued, 'revoke')
    for (let n = 0; n < 2; n++) await service.terminal('/v1/session/end', { ceremony: ended.ceremony, signature })
  }
  const goWrong = async () => {
    const { ticket } = putTicket(world)
    secrets.add(ticket)
    const [cookie = ''] = page.cookies.values()
    await page.post('/v1/login/ticket', { ticket, more: ticket })
    await page.request({ path: '/v1/login/ticket', body: `{"ticket":"${ticket}"`, headers: { origin } })
    await page.request({ path: `/v1/login/${ticket}?ticket=${ticket}`, body: { ticket }, headers: { origin } })
    await service.ask({
      path: '/v1/me',
      body: {},
      headers: { origin, cookie: `nats-webauthn-login=${cookie}; nats-webauthn-login=${ticket}` },
    })
    const { state } = idpSecretsOf(ticket) ?? assert.fail('no secrets')
    await page.open(`/v1/login/callback?state=${state}&code=${ticket}&error_description=${cookie}`)
    await page.open(`/v1/login/callback?state=${state}&state=${state}&id_token=${ticket}`)
    const { find } = world.tickets
    world.tickets.find = async () => {
      throw new StoreUnavailable('reading a ticket in vain')
    }
    await page.post('/v1/login/ticket', { ticket })
    world.tickets.find = find
    world.lifecycle.failing = ({ outcome }) => outcome === 'succeeded'
    await browser(service).post('/v1/login/ticket', { ticket })
    await tapIn(page, passkey)
    world.lifecycle.failing = () => false
    await browser(service).post('/v1/login/ticket', { ticket })
  }

  await run()
  await goWrong()
  await page.post('/v1/logout')
  await own.stop()

  const written = [...own.log, ...world.lifecycle.events.map((event) => JSON.stringify(event))].join('\n')
  assert.ok(own.log.length > 15 && world.lifecycle.events.length > 15 && secrets.size > 40)
  for (const secret of [...secrets, ...completions]) {
    for (const spelling of spellings(secret)) assert.equal(written.includes(spelling), false, 'a secret is in a log line or record')
  }
})

test('no cookie, ticket, state, verifier, typed code or completion code is stored', async () => {
  const own = await startPeopleService()
  const { service } = overheard(own)
  const { world, origin } = service
  const page = browser(service)
  const passkey = softwarePasskey({ origin })
  const bearer: string[] = []

  await page.post('/v1/login/idp', { provider: 'corp' })
  for (const value of page.cookies.values()) bearer.push(value, ...Object.values(idpSecretsOf(value) ?? {}))
  await signIn(page)
  await enrol(page, passkey)
  bearer.push(...page.cookies.values())
  const { ticket } = putTicket(world)
  const guest = browser(service)
  await guest.post('/v1/login/ticket', { ticket })
  bearer.push(ticket, ...guest.cookies.values())
  const byLink = await asked(service, terminalKey(origin), 'loopback')
  const { callback } = (await endorse(page, byLink.request, passkey)).body
  const byCode = await asked(service, terminalKey(origin), 'code')
  bearer.push(new URL(callback).searchParams.get('code') ?? '', byCode.code, byCode.code.replace('-', ''), byCode.request)
  await own.stop()

  const { logins, tickets, idpRequests, ceremonies, signins, sessionRequests, credentials } = world
  const stores = [
    logins,
    tickets,
    idpRequests,
    ceremonies,
    signins,
    sessionRequests,
    credentials,
    world.identities.records,
    world.sessions.records,
  ]
  const stored = JSON.stringify(stores.map((store) => [...store.all()]))
  assert.ok(bearer.length >= 11 && bearer.every((secret) => secret.length >= charsMin))
  for (const secret of bearer) assert.equal(stored.includes(secret), false, 'a secret is stored')
})
