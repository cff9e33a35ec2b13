import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { enrolMachine } from '../../src/client/enrol.ts'
import { generateFileKey } from '../../src/client/software-authenticator.ts'
import { machineUserHandle, ticketId } from '../../src/core/enrolment/enrolment.ts'
import { type CredentialId, credentialKey } from '../../src/core/identifiers.ts'
import type { IdentityRecord } from '../../src/core/records.ts'
import {
  type EnrolmentService,
  MACHINE_RP_ID,
  machine,
  NATS_URLS,
  roles,
  startEnrolmentService,
  ticketRecord,
  verdictOf,
} from '../support/enrolment-service.ts'
import { b64u } from '../support/test-authenticator.ts'

let service: EnrolmentService
beforeEach(async () => {
  service = await startEnrolmentService()
})
afterEach(() => service.stop())

const credentialOf = (id: string) => service.credentials.get(credentialKey(id as CredentialId))

function heldRoles(...names: string[]): IdentityRecord['roles'] {
  return roles(...names).map((name) => ({ name, source: 'assigned', asOf: 1 }))
}

function machineIdentity(change: Partial<IdentityRecord> = {}): IdentityRecord {
  const { handle } = ticketRecord('', 0)
  return {
    v: 1,
    handle,
    class: 'machine',
    issuer: 'machine',
    subject: handle,
    displayName: 'Orders service',
    roles: heldRoles('orders-writer'),
    claims: {},
    userHandle: 'AA',
    devices: [],
    state: 'active',
    createdAt: 1,
    ...change,
  }
}

describe('a machine with a ticket', () => {
  for (const alg of [-7, -8] as const) {
    test(`is enrolled with the SDK and a key of algorithm ${alg}`, async () => {
      const ticket = service.invite()
      const key = generateFileKey(alg)
      const enrolled = await enrolMachine({ url: service.base, ticket, key })
      const { handle } = ticketRecord('', 0)
      const { credentialId } = enrolled
      assert.deepEqual(enrolled, {
        credentialId,
        rpId: MACHINE_RP_ID,
        userHandle: machineUserHandle(handle),
        handle: 'orders',
        urls: NATS_URLS,
        inboxPrefix: '_INBOX_orders',
        roles: ['orders-writer'],
      })
      assert.deepEqual(credentialOf(credentialId), {
        v: 1,
        id: credentialId,
        publicKey: b64u(key.publicKeyCose),
        signCount: 0,
        signCountAt: service.clock.now,
        backupEligible: true,
        backupState: false,
        transports: [],
        aaguid: '00000000-0000-0000-0000-000000000000',
        attestation: { format: 'packed', trust: 'self' },
        rpId: MACHINE_RP_ID,
        class: 'machine',
        handle: 'orders',
        userHandle: machineUserHandle(handle),
        name: 'orders',
        state: 'active',
        createdAt: service.clock.now,
        expiresAt: null,
        endedAt: null,
        enrolledBy: 'admin',
        approvedBy: null,
      })
      assert.deepEqual(service.tickets.get(ticketId(ticket)), {
        ...ticketRecord(ticket, service.clock.now),
        state: 'used',
        usedAt: service.clock.now,
      })
      assert.deepEqual(
        service.identities.records.get('orders')?.roles.map(({ name, source }) => [name, source]),
        [['orders-writer', 'assigned']],
      )
      assert.deepEqual(service.lifecycle.codes(), [
        'enrolment.succeeded.registered',
        'identity.succeeded.created',
        'enrolment.succeeded.enrolled',
      ])
    })
  }

  test('is enrolled by the protocol alone', async () => {
    const orders = machine(service, service.invite())
    const begun = await orders.begin()
    assert.equal(begun.status, 200)
    assert.deepEqual([begun.body.class, begun.body.handle, begun.body.roles], ['machine', 'orders', ['orders-writer']])
    assert.equal(begun.body.expiresAt, service.clock.now + 300_000)
    assert.equal(begun.body.options.rp.id, MACHINE_RP_ID)
    assert.deepEqual(
      begun.body.options.pubKeyCredParams.map(({ alg }: { alg: number }) => alg),
      [-7, -8, -257],
    )
    const registered = await orders.register(begun)
    assert.equal(registered.status, 200)
    assert.deepEqual(registered.body.options.allowCredentials, [{ id: orders.credentialId, type: 'public-key' }])
    assert.equal(credentialOf(orders.credentialId)?.state, 'pending')
    const activated = await orders.activate(registered)
    assert.equal(activated.status, 200)
    assert.deepEqual(Object.keys(activated.body), ['credential', 'urls', 'inboxPrefix'])
    assert.equal(credentialOf(orders.credentialId)?.state, 'active')
  })

  test('is on record with what the security team asks: who, which key, by whom, from where', async () => {
    const ticket = service.invite()
    const orders = machine(service, ticket)
    assert.equal((await orders.enrol()).status, 200)
    const event = service.lifecycle.events.at(-1)
    assert.ok(event)
    assert.deepEqual(event.actor, { kind: 'ticket', name: ticketId(ticket) })
    assert.deepEqual(event.target, { kind: 'credential', id: orders.credentialId })
    assert.deepEqual([event.handle, event.roles, event.policyHash], ['orders', ['orders-writer'], 'policy-hash'])
    assert.deepEqual([event.facts['source'], event.facts['invitedBy'], event.facts['attestation']], ['127.0.0.1', 'admin', 'packed/self'])
  })
})

describe('a further key of the same machine', () => {
  test('leaves the identity alone when the roles are the same', async () => {
    await machine(service, service.invite()).enrol()
    const before = service.identities.records.get('orders')
    service.clock.now += 1000
    assert.equal((await machine(service, service.invite()).enrol()).status, 200)
    assert.deepEqual(service.identities.records.get('orders'), before)
    assert.equal(service.lifecycle.codes().filter((code) => code.startsWith('identity.')).length, 1)
    assert.equal([...service.credentials.all().values()].filter(({ record }) => record.state === 'active').length, 2)
  })

  test('gives the identity exactly the roles of the new invitation, on record before it is done', async () => {
    service.identities.records.put('orders', machineIdentity({ roles: heldRoles('orders-reader', 'orders-writer') }))
    const answer = await machine(service, service.invite({ roles: roles('orders-admin') })).enrol()
    assert.deepEqual(answer.body.credential.roles, ['orders-admin'])
    assert.deepEqual(
      service.identities.records.get('orders')?.roles.map(({ name }) => name),
      ['orders-admin'],
    )
    assert.deepEqual(service.lifecycle.codes(), [
      'enrolment.succeeded.registered',
      'identity.succeeded.roles_changed',
      'enrolment.succeeded.enrolled',
    ])
  })

  test('may be enrolled at the same moment as another, by a ticket of its own', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => machine(service, service.invite()).enrol()))
    assert.deepEqual(answers.map(verdictOf), Array(8).fill('200'))
    assert.equal(service.identities.records.all().size, 1)
  })

  test('is refused while the identity is disabled', async () => {
    service.identities.records.put('orders', machineIdentity({ state: 'disabled' }))
    assert.equal(verdictOf(await machine(service, service.invite()).enrol()), '403 identity_disabled')
  })
})

describe('a handle', () => {
  test('of a person is refused to a machine', async () => {
    service.identities.records.put('orders', machineIdentity({ class: 'person', issuer: 'https://idp.example', subject: '42' }))
    assert.equal(verdictOf(await machine(service, service.invite()).enrol()), '409 handle_taken')
    assert.equal(service.credentials.all().size, 0)
  })

  test('that a person takes in the last moment admits no machine', async () => {
    const orders = machine(service, service.invite())
    const registered = await orders.register(await orders.begin())
    const { createIdentity } = service.identities
    service.identities.createIdentity = async (record) => {
      service.identities.records.put('orders', machineIdentity({ class: 'person', issuer: 'https://idp.example', subject: '42' }))
      return createIdentity(record)
    }
    assert.equal(verdictOf(await orders.activate(registered)), '409 handle_taken')
    assert.equal(credentialOf(orders.credentialId)?.state, 'pending')
  })
})

describe('when records cannot be written', () => {
  test('nothing is registered that could be activated', async () => {
    service.lifecycle.failing = ({ outcome }) => outcome === 'succeeded'
    assert.equal(verdictOf(await machine(service, service.invite()).enrol()), '503 unavailable')
    assert.deepEqual(
      [...service.credentials.all().values()].map(({ record }) => record.state),
      ['pending'],
    )
    assert.equal(service.identities.records.all().size, 0)
  })
  for (const reason of ['created', 'enrolled']) {
    test(`nothing is activated: ${reason}`, async () => {
      service.lifecycle.failing = (event) => event.reason === reason
      const orders = machine(service, service.invite())
      assert.equal(verdictOf(await orders.enrol()), '503 unavailable')
      assert.equal(credentialOf(orders.credentialId)?.state, 'pending')
      assert.equal(service.identities.records.all().size, reason === 'created' ? 0 : 1)
    })
  }
  test('roles are not changed', async () => {
    service.identities.records.put('orders', machineIdentity({ roles: heldRoles('orders-reader') }))
    service.lifecycle.failing = (event) => event.reason === 'roles_changed'
    assert.equal(verdictOf(await machine(service, service.invite()).enrol()), '503 unavailable')
    assert.deepEqual(service.identities.records.get('orders')?.roles, heldRoles('orders-reader'))
  })
  test('refusals are answered all the same', async () => {
    service.lifecycle.failing = () => true
    assert.equal(verdictOf(await machine(service, 'no such ticket').enrol()), '403 ticket_invalid')
  })
})

test('a credential that was revoked while its owner proved possession is not activated', async () => {
  const orders = machine(service, service.invite())
  const registered = await orders.register(await orders.begin())
  const { record } = service.lifecycle
  service.lifecycle.record = async (event) => {
    await record(event)
    const pending = credentialOf(orders.credentialId)
    if (event.reason === 'enrolled' && pending) service.credentials.put(credentialKey(pending.id), { ...pending, state: 'revoked' })
  }
  assert.equal(verdictOf(await orders.activate(registered)), '500 internal')
  assert.equal(credentialOf(orders.credentialId)?.state, 'revoked')
})
