/** Tickets, as administrators see them. Few, short-lived and not cached: a list reads the bucket. */
import type { LifecycleCode } from '../core/audit-event.ts'
import type { Handle } from '../core/identifiers.ts'
import type { TicketRecord } from '../core/records.ts'
import { type About, type Call, changeRecord, done, type Outcome, read, record, refused } from './admin-call.ts'
import { pageOf, scanBucket } from './admin-listing.ts'
import type { AdminBody, Change, Page, TicketView } from './admin-protocol.ts'
import { decodeRecord, ticketSchema } from './records-schema.ts'

export async function listTickets(body: AdminBody<'ticket.list'>, call: Call): Promise<Outcome<Page<TicketView>>> {
  const { tickets, complete } = await allTickets(call)
  return read(call, { kind: 'none', id: '' }, { ...pageOf(tickets, body, view), complete })
}

/** Takes back every ticket for `handle` that could still be used, each on record. */
export async function revokeTicketsFor(handle: Handle, call: Call): Promise<void> {
  const { tickets } = await allTickets(call)
  for (const [id, ticket] of tickets) {
    if (ticket.handle === handle && ticket.state === 'issued' && ticket.expiresAt > call.now.getTime()) await revokeTicket({ id }, call)
  }
}

async function allTickets({ world }: Call): Promise<{ tickets: [string, TicketRecord][]; complete: boolean }> {
  const tickets: [string, TicketRecord][] = []
  let complete = true
  for (const { key, value } of await scanBucket(world.stores.ticketBucket)) {
    if (value === null) continue
    try {
      tickets.push([key, decodeRecord(value, ticketSchema)])
    } catch {
      // Nobody can enrol with it either.
      complete = false
    }
  }
  return { tickets, complete }
}

/** A used ticket has done its work: revoke the credential instead. */
export async function revokeTicket({ id }: AdminBody<'ticket.revoke'>, call: Call): Promise<Outcome<Change<TicketView>>> {
  const { tickets } = call.world.stores
  const target = { kind: 'ticket', id } as const
  const stored = await tickets.find(id)
  if (stored === null) return refused('unknown', { area: 'enrolment', outcome: 'refused', reason: 'ticket_unknown' }, { target })
  const about: About = { target, handle: stored.record.handle, roles: stored.record.roles }
  const conflict: LifecycleCode = { area: 'enrolment', outcome: 'refused', reason: 'ticket_used' }
  const next = (it: TicketRecord): TicketRecord | null =>
    it.state === 'issued' ? { ...it, state: 'revoked' } : it.state === 'revoked' ? it : null
  if (next(stored.record) === null) return refused('conflict', conflict, about)
  await record(call, { area: 'enrolment', outcome: 'succeeded', reason: 'ticket_revoked' }, about, 'An administrator took a ticket back.')
  const changed = await changeRecord(stored, next, async (current, wanted) => {
    if (await tickets.replace(id, current, wanted)) return null
    const there = await tickets.find(id)
    if (there === null) throw new Error('revoking a ticket: it was deleted meanwhile')
    return there
  })
  if (changed === null) return refused('conflict', conflict, about)
  return done({ item: view(changed.record), changed: changed.changed, connections: { kicked: 0, failed: 0 } })
}

function view({ v: _, ...shown }: TicketRecord): TicketView {
  return shown
}
