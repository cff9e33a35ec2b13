/** A person at the real page, without the page: the same calls over HTTP, with a software passkey as the browser's. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { ticketId, ticketText } from '../../src/core/enrolment.ts'
import type { SessionRequestView } from '../../src/core/people.ts'
import type { TicketRecord } from '../../src/core/records.ts'
import { type Passkey, softwarePasskey } from './passkey.ts'
import type { Product } from './product.ts'
import { handleOf, roleOf } from './records.ts'

export interface Said {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read what they expect and fail on anything else.
  body: any
}

export interface Visitor {
  passkey: Passkey
  post(path: string, body?: unknown): Promise<Said>
  /** What the page shows for the address that a terminal printed, or for the code. */
  show(which: { url: string } | { code: string }): Promise<SessionRequestView>
  /** The tap; where the browser goes then. */
  endorse(request: string): Promise<string | null>
}

/** Somebody at the page of `origin`, signed in by nothing yet. */
export function visitor(origin: string): Visitor {
  const passkey = softwarePasskey({ origin })
  let cookie = ''
  async function post(path: string, body: unknown = {}): Promise<Said> {
    const headers = { 'content-type': 'application/json', origin, 'sec-fetch-site': 'same-origin', ...(cookie === '' ? {} : { cookie }) }
    const response = await fetch(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    for (const line of response.headers.getSetCookie()) cookie = line.split(';')[0] ?? ''
    return { status: response.status, body: await response.json() }
  }
  const accepted = async (path: string, body: unknown) => {
    const said = await post(path, body)
    assert.equal(said.status, 200, `${path} ${JSON.stringify(said.body)}`)
    return said.body
  }
  return {
    passkey,
    post,
    async show(which) {
      const body = 'code' in which ? which : { request: new URL(which.url).hash.replace('#session=', '') }
      return (await accepted('/v1/session/show', body)).session
    },
    async endorse(request) {
      const { options } = await accepted('/v1/session/options', { request })
      return (await accepted('/v1/session/endorse', { request, response: passkey.get(options) })).callback
    },
  }
}

/** An invited person who has enrolled a passkey and is signed in. */
export async function invited(product: Product, handle: string, roles: string[]): Promise<Visitor> {
  const ticket = ticketText(randomBytes(32))
  const now = Date.now()
  const record: TicketRecord = {
    v: 1,
    id: ticketId(ticket),
    class: 'person',
    handle: handleOf(handle),
    displayName: handle,
    roles: roles.map(roleOf),
    invitedBy: 'admin',
    createdAt: now,
    expiresAt: now + 3_600_000,
    state: 'issued',
    usedAt: null,
  }
  await product.auth.jetstream().publish(`$KV.webauthn_tickets.${record.id}`, JSON.stringify(record))
  const person = visitor(product.enrolmentOrigin)
  const accepted = async (path: string, body: unknown = {}) => {
    const said = await person.post(path, body)
    assert.equal(said.status, 200, `${path} ${JSON.stringify(said.body)}`)
    return said.body
  }
  await accepted('/v1/login/ticket', { ticket })
  const begun = await accepted('/v1/devices/begin')
  const response = person.passkey.create(begun.options)
  const registered = await accepted('/v1/devices/register', { ceremony: begun.ceremony, name: 'laptop', response })
  await accepted('/v1/devices/activate', { ceremony: registered.ceremony, response: person.passkey.get(registered.options) })
  return person
}
