/** Signing in with an invitation: which tickets are good, whose identity they are for, and that a login does not spend them. */
import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { loginIdOf } from '../../src/core/people/login.ts'
import { endLogin, loginWithTicket, signedIn } from '../../src/core/people/login-steps.ts'
import type { TicketRecord } from '../../src/core/records.ts'
import { peopleWorld, putLogin, putPerson, putTicket, refusalOf, type TestPeopleWorld } from '../support/people-world.ts'
import { handleOf, identityRecord, roleOf } from '../support/records.ts'

let world: TestPeopleWorld
beforeEach(() => {
  world = peopleWorld()
})

const come = (ticket: string, loginCookie: string | null = null, occasion = world.occasion()) =>
  loginWithTicket({ ticket, loginCookie }, occasion, world)

async function cookieOf(ticket: string, loginCookie: string | null = null): Promise<string> {
  const judged = await come(ticket, loginCookie)
  assert.ok(judged.ok, refusalOf(judged))
  return judged.value.cookie
}

const bob = () => world.identities.records.get('bob')
const invited = { issuer: 'invitation', subject: 'bob' }

async function refuses(change: Partial<TicketRecord>, refusal: string): Promise<void> {
  const before = structuredClone([...world.identities.records.all()])
  assert.equal(refusalOf(await come(putTicket(world, change).ticket)), refusal)
  assert.equal(world.logins.all().size, 0)
  assert.deepEqual([...world.identities.records.all()], before)
  assert.deepEqual(world.lifecycle.codes(), [])
}

test('makes the identity that was invited, and a login, each on record first', async () => {
  const { ticket, record } = putTicket(world)
  const cookie = await cookieOf(ticket)
  assert.deepEqual(
    { ...bob(), userHandle: bob()?.userHandle.length },
    {
      v: 1,
      handle: 'bob',
      class: 'person',
      ...invited,
      displayName: 'Bob Example',
      roles: [{ name: 'reader', source: 'assigned', asOf: record.createdAt }],
      claims: {},
      userHandle: 43,
      devices: [],
      state: 'active',
      createdAt: world.clock.now,
    },
  )
  const login = world.logins.get(loginIdOf(cookie) ?? '')
  assert.deepEqual(
    { how: login?.how, ticket: login?.ticket, authenticatedAt: login?.authenticatedAt, provider: login?.provider },
    { how: 'invitation', ticket: record.id, authenticatedAt: null, provider: null },
  )
  assert.deepEqual(world.lifecycle.codes(), ['identity.succeeded.created', 'login.succeeded.invitation'])
  const [created, entered] = world.lifecycle.events
  assert.deepEqual(created?.actor, { kind: 'ticket', name: record.id })
  assert.deepEqual(entered?.actor, { kind: 'identity', name: 'bob' })
  for (const event of [created, entered]) {
    assert.deepEqual(event?.target, { kind: 'identity', id: 'bob' })
    assert.equal(event?.handle, 'bob')
    assert.deepEqual(event?.roles, ['reader'])
    assert.equal(event?.facts['source'], '192.0.2.7')
    assert.equal(event?.facts['how'], 'invitation')
    assert.equal(event?.facts['invitedBy'], 'admin')
    assert.equal(event?.facts['allowedBy'], 'ticket:admin')
    assert.equal(event?.facts['ticket'], record.id)
  }
  assert.ok(!JSON.stringify(world.lifecycle.events).includes(ticket))
})

describe('a ticket', () => {
  test('is not spent by a login: only a device spends it', async () => {
    const { ticket, record } = putTicket(world)
    const first = await cookieOf(ticket)
    const second = await cookieOf(ticket)
    assert.notEqual(first, second)
    assert.deepEqual(world.tickets.get(record.id), record)
    assert.deepEqual(world.lifecycle.codes(), ['identity.succeeded.created', 'login.succeeded.invitation', 'login.succeeded.invitation'])
  })

  test('that is unknown is refused', async () => {
    assert.equal(refusalOf(await come('A'.repeat(43))), 'enrolment.ticket_unknown')
    assert.equal(refusalOf(await come('')), 'enrolment.ticket_unknown')
    assert.equal(world.logins.all().size, 0)
  })

  test('that was spent is refused', () => refuses({ state: 'used', usedAt: 1 }, 'enrolment.ticket_used'))
  test('that was taken back is refused', () => refuses({ state: 'revoked' }, 'enrolment.ticket_revoked'))
  test('of a machine is refused', () => refuses({ class: 'machine' }, 'enrolment.ticket_wrong_class'))

  test('that is expired is refused, to the millisecond', async () => {
    await refuses({ expiresAt: world.clock.now }, 'enrolment.ticket_expired')
    const { ticket } = putTicket(world, { expiresAt: world.clock.now + 1 })
    assert.ok((await come(ticket)).ok)
  })

  test('is refused where people have no Relying Party', async () => {
    world = peopleWorld({ rules: { person: null } })
    await refuses({}, 'enrolment.person_enrolment_unavailable')
  })

  test('is the actor and the target of the record of its refusal', async () => {
    const { ticket, record } = putTicket(world, { state: 'used', usedAt: 1 })
    const occasion = world.occasion()
    await come(ticket, null, occasion)
    assert.deepEqual(occasion.known, { ticket: record, credential: null, handle: null, session: null })
  })

  test('that is taken back ends its logins, and so does one that another login spent', async () => {
    const { ticket, record } = putTicket(world)
    const cookie = await cookieOf(ticket)
    assert.ok((await signedIn(cookie, world.occasion(), world)).ok)
    world.tickets.put(record.id, { ...record, state: 'used', usedAt: world.clock.now })
    assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), 'enrolment.ticket_used')
    world.tickets.put(record.id, { ...record, state: 'revoked' })
    assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), 'enrolment.ticket_revoked')
  })
})

describe('the handle of an invitation', () => {
  test('of a machine is refused', async () => {
    world.identities.records.put('bob', identityRecord('bob'))
    await refuses({}, 'enrolment.handle_taken')
  })

  test('of somebody who comes from an identity provider is refused: no invitation takes them over', async () => {
    putPerson(world, 'bob')
    await refuses({}, 'enrolment.handle_taken')
  })

  test('of somebody who is disabled is refused', async () => {
    putPerson(world, 'bob', { ...invited, state: 'disabled' })
    await refuses({}, 'login.identity_disabled')
  })

  test('that somebody else gets at this very moment is refused', async () => {
    const { ticket } = putTicket(world)
    world.identities.findOnLeader = async () => {
      const there = world.identities.records.get('bob')
      if (there === undefined) putPerson(world, 'bob')
      return null
    }
    assert.equal(refusalOf(await come(ticket)), 'enrolment.handle_taken/handle_taken')
    assert.equal(world.logins.all().size, 0)
  })

  test('is one identity after ten logins at once', async () => {
    const { ticket } = putTicket(world)
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => come(ticket)))
    for (const outcome of outcomes) assert.ok(outcome.ok, refusalOf(outcome))
    assert.equal(world.identities.records.all().size, 1)
    const handles = new Set([...world.logins.all().values()].map(({ record }) => record.handle))
    assert.deepEqual([...handles], ['bob'])
  })
})

describe('a further invitation of the same person', () => {
  const rolesNow = () => bob()?.roles.map(({ name, source, asOf }) => `${source}:${name}:${asOf}`)

  test('gives its roles in place of the earlier ones, on record', async () => {
    const earlier = world.clock.now - 60_000
    putPerson(world, 'bob', { ...invited, roles: [{ name: roleOf('reader'), source: 'assigned', asOf: earlier }] })
    const before = bob()
    await cookieOf(putTicket(world, { roles: [roleOf('writer')], displayName: 'Robert' }).ticket)
    assert.deepEqual(rolesNow(), [`assigned:writer:${world.clock.now}`])
    assert.deepEqual(bob(), { ...before, displayName: 'Robert', roles: bob()?.roles })
    assert.deepEqual(world.lifecycle.codes(), ['identity.succeeded.roles_changed', 'login.succeeded.invitation'])
    assert.equal(world.lifecycle.events[0]?.facts['rolesBefore'], 'assigned:reader')
  })

  test('with the same roles is no change on record', async () => {
    const earlier = world.clock.now - 60_000
    putPerson(world, 'bob', { ...invited, roles: [{ name: roleOf('reader'), source: 'assigned', asOf: earlier }] })
    await cookieOf(putTicket(world).ticket)
    assert.deepEqual(rolesNow(), [`assigned:reader:${world.clock.now}`])
    assert.deepEqual(world.lifecycle.codes(), ['login.succeeded.invitation'])
  })

  test('never brings back the roles of an invitation that was issued before', async () => {
    const old = putTicket(world, { roles: [roleOf('reader'), roleOf('admin')], createdAt: world.clock.now - 60_000 })
    const latest = putTicket(world, { roles: [roleOf('reader')] })
    await cookieOf(latest.ticket)
    await cookieOf(old.ticket)
    assert.deepEqual(rolesNow(), [`assigned:reader:${latest.record.createdAt}`])
    assert.ok(!world.lifecycle.codes().includes('identity.succeeded.roles_changed'))
  })

  test('keeps the devices and the user handle', async () => {
    const device = 'D'.repeat(43) as never
    const before = putPerson(world, 'bob', { ...invited, devices: [device] })
    await cookieOf(putTicket(world, { roles: [roleOf('writer')] }).ticket)
    assert.deepEqual(bob()?.devices, [device])
    assert.equal(bob()?.userHandle, before.userHandle)
  })

  test('is refused, and changes nothing, when it cannot be recorded', async () => {
    const before = putPerson(world, 'bob', invited)
    world.lifecycle.failing = () => true
    await assert.rejects(come(putTicket(world, { roles: [roleOf('writer')], createdAt: world.clock.now + 1 }).ticket), {
      name: 'AuditUnavailable',
    })
    assert.deepEqual(bob(), before)
  })
})

describe('the browser of an invitation', () => {
  test('loses the login it had, and no other', async () => {
    putPerson(world, 'alice')
    const mine = putLogin(world, 'alice')
    const elsewhere = putLogin(world, 'alice')
    const cookie = await cookieOf(putTicket(world).ticket, mine.cookie)
    assert.equal(refusalOf(await signedIn(mine.cookie, world.occasion(), world)), 'login.login_ended')
    assert.ok((await signedIn(elsewhere.cookie, world.occasion(), world)).ok)
    assert.ok((await signedIn(cookie, world.occasion(), world)).ok)
  })

  test('keeps its login when the ticket is refused', async () => {
    putPerson(world, 'alice')
    const { cookie } = putLogin(world, 'alice')
    await come('A'.repeat(43), cookie)
    assert.ok((await signedIn(cookie, world.occasion(), world)).ok)
  })

  test('signs out for good', async () => {
    const cookie = await cookieOf(putTicket(world).ticket)
    await endLogin(cookie, world.occasion(), world)
    assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), 'login.login_ended')
    assert.equal(world.logins.get(loginIdOf(cookie) ?? '')?.handle, handleOf('bob'))
  })
})
