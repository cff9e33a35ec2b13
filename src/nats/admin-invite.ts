/** Inviting: a ticket with which a machine, or a person at the page, enrols once. */
import { randomBytes } from 'node:crypto'
import { ticketId, ticketText } from '../core/enrolment/enrolment.ts'
import type { IdentityRecord } from '../core/records.ts'
import { type About, type Call, done, type Outcome, ROLE_UNKNOWN, record, refused } from './admin-call.ts'
import type { AdminBody, Invitation } from './admin-protocol.ts'

/** A ticket is worth its roles to whoever holds it: it is shown once, and only its hash is kept. */
export async function invite(body: AdminBody<'invite'>, call: Call): Promise<Outcome<Invitation>> {
  const { stores, policy, enrolmentUrl, pageOrigin } = call.world
  const { handle, roles } = body
  const about: About = { target: { kind: 'identity', id: handle }, handle, roles }
  if (body.class === 'person' && pageOrigin === null) {
    return refused('not_supported', { area: 'enrolment', outcome: 'refused', reason: 'person_enrolment_unavailable' }, about)
  }
  if (roles.some((name) => !policy().roles.has(name))) return refused('role_unknown', ROLE_UNKNOWN, about)
  // Nothing of theirs could ever be used: better said now than to whoever follows the link.
  const classes = roles.map((name) => policy().roles.get(name)?.require.class ?? null)
  if (roles.length > 0 && classes.every((of) => of !== null && of !== body.class)) return refused('role_wrong_class', ROLE_UNKNOWN, about)
  const existing = await stores.identities.findOnLeader(handle)
  if (existing !== null && !isInvitable(existing.record, body)) {
    return refused('handle_taken', { area: 'enrolment', outcome: 'refused', reason: 'handle_taken' }, about)
  }
  if (existing?.record.state === 'disabled') {
    return refused('conflict', { area: 'enrolment', outcome: 'refused', reason: 'identity_disabled' }, about)
  }
  const ticket = ticketText(randomBytes(32))
  const id = ticketId(ticket)
  const createdAt = call.now.getTime()
  const expiresAt = createdAt + body.expiresInSeconds * 1000
  const facts = { expiresAt, existing: existing !== null, class: body.class }
  const invited: About = { ...about, target: { kind: 'ticket', id }, facts }
  await record(call, { area: 'enrolment', outcome: 'succeeded', reason: 'invited' }, invited, 'An administrator issued a ticket.')
  const written = await stores.tickets.create(id, {
    v: 1,
    id,
    class: body.class,
    handle,
    displayName: body.displayName ?? handle,
    roles,
    invitedBy: call.admin,
    createdAt,
    expiresAt,
    state: 'issued',
    usedAt: null,
  })
  if (!written) throw new Error('issuing a ticket: its id exists')
  if (body.class === 'machine') return done({ ticket, id, expiresAt, url: enrolmentUrl, link: null })
  return done({ ticket, id, expiresAt, url: pageOrigin, link: `${pageOrigin}/#ticket=${ticket}` })
}

/** Whether the identity is of that class and came by an invitation: one that an identity provider made is the provider's. */
function isInvitable(existing: IdentityRecord, { class: kind, handle }: AdminBody<'invite'>): boolean {
  const issuer = kind === 'machine' ? 'machine' : 'invitation'
  return existing.class === kind && existing.issuer === issuer && existing.subject === handle
}
