/** A person at the real page, without the page: the same calls over HTTP, with a software passkey as the browser's. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { ticketId, ticketText } from '../../src/core/enrolment/enrolment.ts'
import type { SessionRequestView } from '../../src/core/people/people.ts'
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
  /** Its cookie, as whoever steals it has it. */
  cookie(): string
  /** A navigation, such as back from an identity provider: its status. */
  open(url: URL): Promise<number>
  post(path: string, body?: unknown): Promise<Said>
  /** What the page shows for the address that a terminal printed, or for the code. */
  show(which: { url: string } | { code: string }): Promise<SessionRequestView>
  /** The tap; where the browser goes then. */
  endorse(request: string): Promise<string | null>
}

/** Somebody at the page of `origin`, signed in by nothing yet, or by somebody else's cookie. */
export function visitor(origin: string, stolen = ''): Visitor {
  const passkey = softwarePasskey({ origin })
  let cookie = stolen
  const keep = (response: Response) => {
    for (const line of response.headers.getSetCookie()) cookie = line.split(';')[0] ?? ''
  }
  async function post(path: string, body: unknown = {}): Promise<Said> {
    const headers = { 'content-type': 'application/json', origin, 'sec-fetch-site': 'same-origin', ...(cookie === '' ? {} : { cookie }) }
    const response = await fetch(`${origin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    keep(response)
    return { status: response.status, body: await response.json() }
  }
  const accepted = async (path: string, body: unknown) => {
    const said = await post(path, body)
    assert.equal(said.status, 200, `${path} ${JSON.stringify(said.body)}`)
    return said.body
  }
  return {
    passkey,
    cookie: () => cookie,
    async open(url) {
      const response = await fetch(url, { headers: { cookie }, redirect: 'manual' })
      keep(response)
      return response.status
    },
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

/** The ticket of an invitation. */
export async function personTicket(product: Product, handle: string, roles: string[]): Promise<string> {
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
  return ticket
}

/** Enrols a passkey for whoever is signed in: what the first step that failed said, or the last one. */
export async function enrolPasskey(person: Visitor, { passkey = person.passkey, name = 'laptop' } = {}): Promise<Said> {
  const begun = await person.post('/v1/devices/begin')
  if (begun.status !== 200) return begun
  const { ceremony, options } = begun.body
  const registered = await person.post('/v1/devices/register', { ceremony, name, response: passkey.create(options) })
  if (registered.status !== 200) return registered
  return person.post('/v1/devices/activate', { ceremony: registered.body.ceremony, response: passkey.get(registered.body.options) })
}

/** An invited person who has enrolled a passkey and is signed in. */
export async function invited(product: Product, handle: string, roles: string[]): Promise<Visitor> {
  const person = visitor(product.enrolmentOrigin)
  const said = await person.post('/v1/login/ticket', { ticket: await personTicket(product, handle, roles) })
  assert.equal(said.status, 200, JSON.stringify(said.body))
  const enrolled = await enrolPasskey(person)
  assert.equal(enrolled.status, 200, JSON.stringify(enrolled.body))
  return person
}
