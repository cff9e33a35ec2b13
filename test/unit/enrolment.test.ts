import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { LIFECYCLE } from '../../src/core/audit-event.ts'
import { judgeCeremony } from '../../src/core/enrolment/ceremony.ts'
import { judgeIdentity, judgeTicket, machineUserHandle, ticketId, ticketText } from '../../src/core/enrolment/enrolment.ts'
import type { CeremonyRecord, IdentityRecord } from '../../src/core/records.ts'
import { type Judged, REFUSALS } from '../../src/core/refusal.ts'
import { roles, ticketRecord } from '../support/enrolment-service.ts'

const now = new Date('2026-11-20T12:00:00Z')
const at = now.getTime()
const ticket = ticketRecord('ticket text', at)

function reasonOf(judged: Judged<unknown>): string {
  return judged.ok ? 'accepted' : [judged.refusal.reason, judged.refusal.check].filter((part) => part !== null).join('/')
}

describe('the registry of refusals', () => {
  test('has the reasons of the audit trail, no more and no fewer', () => {
    assert.deepEqual(Object.keys(REFUSALS.enrolment).sort(), [...LIFECYCLE.enrolment.refused].sort())
  })
  test('does not tell bad tickets apart to clients', () => {
    const rows = [
      REFUSALS.enrolment.ticket_unknown,
      REFUSALS.enrolment.ticket_used,
      REFUSALS.enrolment.ticket_expired,
      REFUSALS.enrolment.ticket_revoked,
    ]
    assert.equal(new Set(rows.map(({ status, code, message }) => JSON.stringify({ status, code, message }))).size, 1)
  })
})

describe('a ticket', () => {
  test('is 256 random bits, and its id is the hash of its text', () => {
    const text = ticketText(new Uint8Array(32))
    assert.equal(text, 'A'.repeat(43))
    // printf %s AAAA… | openssl dgst -sha256 -binary | basenc --base64url
    assert.equal(ticketId(text).length, 43)
    assert.notEqual(ticketId(text), ticketId(`${text} `))
    assert.throws(() => ticketText(randomBytes(31)))
  })
  test('is good while it is issued and not expired', () => {
    assert.equal(reasonOf(judgeTicket(ticket, now)), 'accepted')
    assert.equal(reasonOf(judgeTicket({ ...ticket, expiresAt: at + 1 }, now)), 'accepted')
  })
  test('is refused otherwise', () => {
    assert.equal(reasonOf(judgeTicket(null, now)), 'ticket_unknown')
    assert.equal(reasonOf(judgeTicket({ ...ticket, expiresAt: at }, now)), 'ticket_expired')
    assert.equal(reasonOf(judgeTicket({ ...ticket, state: 'used' }, now)), 'ticket_used')
    assert.equal(reasonOf(judgeTicket({ ...ticket, state: 'revoked' }, now)), 'ticket_revoked')
  })
})

describe('a ceremony', () => {
  const ceremony: CeremonyRecord = {
    v: 1,
    id: 'c',
    purpose: 'enrol',
    issued: 'i',
    subject: ticket.id,
    ticket: ticket.id,
    login: null,
    expiresAt: at + 300_000,
    state: 'issued',
  }
  const expected = { purpose: 'enrol', owner: { ticket: ticket.id, login: null }, now } as const
  const checkOf = (...args: Parameters<typeof judgeCeremony>) => {
    const judged = judgeCeremony(...args)
    return judged.ok ? 'accepted' : judged.check
  }

  test('is good for its purpose and ticket until it ends', () => {
    assert.equal(checkOf(ceremony, expected), 'accepted')
  })
  test('is refused for anything else', () => {
    assert.equal(checkOf(null, expected), 'unknown')
    assert.equal(checkOf({ ...ceremony, purpose: 'signin' }, expected), 'purpose')
    assert.equal(checkOf(ceremony, { ...expected, purpose: 'enrol-possession' }), 'purpose')
    assert.equal(checkOf({ ...ceremony, ticket: 'another' }, expected), 'ticket')
    assert.equal(checkOf({ ...ceremony, ticket: null }, expected), 'ticket')
    assert.equal(checkOf({ ...ceremony, login: 'another' }, expected), 'login')
    assert.equal(checkOf({ ...ceremony, state: 'used' }, expected), 'used')
    assert.equal(checkOf({ ...ceremony, expiresAt: at }, expected), 'expired')
  })
})

describe('the identity of a ticket', () => {
  function created(): IdentityRecord {
    const judged = judgeIdentity(null, ticket, now)
    assert.ok(judged.ok && judged.value.kind === 'create')
    return judged.value.record
  }
  const planFor = (existing: IdentityRecord, of = ticket) => {
    const judged = judgeIdentity(existing, of, now)
    return judged.ok ? judged.value : reasonOf(judged)
  }

  test('is made for a new machine, with assigned roles that do not age', () => {
    assert.deepEqual(created(), {
      v: 1,
      handle: 'orders',
      class: 'machine',
      issuer: 'machine',
      subject: 'orders',
      displayName: 'Orders service',
      roles: [{ name: 'orders-writer', source: 'assigned', asOf: at }],
      claims: {},
      userHandle: machineUserHandle(ticket.handle),
      devices: [],
      state: 'active',
      createdAt: at,
    })
  })
  test("stays as it is when it holds the ticket's roles, in any order", () => {
    assert.deepEqual(planFor(created()), { kind: 'keep' })
    const two = { ...ticket, roles: roles('a', 'b') }
    const existing = { ...created(), roles: roles('b', 'a').map((name) => ({ name, source: 'assigned' as const, asOf: 1 })) }
    assert.deepEqual(planFor(existing, two), { kind: 'keep' })
  })
  test("gets exactly the ticket's roles otherwise", () => {
    for (const held of [[], ['orders-reader'], ['orders-writer', 'orders-reader']]) {
      const existing = { ...created(), roles: roles(...held).map((name) => ({ name, source: 'assigned' as const, asOf: 1 })) }
      assert.deepEqual(planFor(existing), { kind: 'change', record: created() })
    }
  })
  test("is refused when the handle is not that machine's", () => {
    assert.equal(planFor({ ...created(), class: 'person' }), 'handle_taken')
    assert.equal(planFor({ ...created(), issuer: 'https://idp.example' }), 'handle_taken')
    assert.equal(planFor({ ...created(), subject: 'other' }), 'handle_taken')
  })
  test('is refused while it is disabled: an invitation does not undo that', () => {
    assert.equal(planFor({ ...created(), state: 'disabled' }), 'identity_disabled')
  })
  test('has one WebAuthn user.id for each handle', () => {
    const other = ticketRecord('x', at, { handle: 'orders2' as typeof ticket.handle })
    assert.equal(machineUserHandle(ticket.handle), machineUserHandle(ticket.handle))
    assert.notEqual(machineUserHandle(ticket.handle), machineUserHandle(other.handle))
    assert.equal(Buffer.from(machineUserHandle(ticket.handle), 'base64url').length, 32)
  })
})
