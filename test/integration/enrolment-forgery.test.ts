import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { ticketId } from '../../src/core/enrolment/enrolment.ts'
import { type CredentialId, credentialKey } from '../../src/core/identifiers.ts'
import { MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import {
  challengeFor,
  type EnrolmentService,
  MACHINE_RP_ID,
  type MachineChange,
  machine,
  machineRules,
  recordedRefusal,
  refuses,
  startEnrolmentService,
  subjectOf,
  verdictOf,
} from '../support/enrolment-service.ts'
import { b64u, FLAGS, testAssertion, testKey } from '../support/test-authenticator.ts'
import { MACHINE_FLAGS, testRegistration } from '../support/test-registration.ts'

let service: EnrolmentService
beforeEach(async () => {
  service = await startEnrolmentService()
})
afterEach(() => service.stop())

describe('a registration', () => {
  test('that answers the possession challenge is refused', async () => {
    const ticket = service.invite()
    const orders = machine(service, ticket)
    const begun = await orders.begin()
    const challenge = challengeFor('enrol-possession', begun.body.issued, service.origin, subjectOf(ticket))
    assert.equal(
      verdictOf(await machine(service, ticket, { registration: { challenge } }).register(begun)),
      '422 registration_invalid/challenge_mismatch',
    )
  })
  const challenges: Record<string, (issued: string, ticket: string) => Uint8Array> = {
    'the bare issued bytes': (issued) => Buffer.from(issued, 'base64url'),
    "another verifier's address": (issued, ticket) => challengeFor('enrol', issued, 'https://verifier.evil.example', subjectOf(ticket)),
    'another ticket': (issued) => challengeFor('enrol', issued, service.origin, subjectOf('another')),
    'the ticket itself in place of its hash': (issued, ticket) => challengeFor('enrol', issued, service.origin, ticket),
  }
  for (const [name, make] of Object.entries(challenges)) {
    test(`over ${name} is refused`, async () => {
      const ticket = service.invite()
      const begun = await machine(service, ticket).begin()
      const challenge = make(begun.body.issued, ticket)
      assert.equal(
        verdictOf(await machine(service, ticket, { registration: { challenge } }).register(begun)),
        '422 registration_invalid/challenge_mismatch',
      )
    })
  }
  test('that claims a user is refused', () =>
    refuses(
      service,
      { registration: { flags: MACHINE_FLAGS | FLAGS.UP } },
      '422 registration_invalid/flags_mismatch',
      'registration_invalid/flags_mismatch',
    ))
  test('from a web page is refused', () =>
    refuses(service, { registration: { origin: 'https://machines.nats.test' } }, '422 registration_invalid/origin_mismatch'))
  test('for another relying party is refused', () =>
    refuses(service, { registration: { rpId: 'nats.test' } }, '422 registration_invalid/rp_id_mismatch'))
  test('without attestation is refused', () =>
    refuses(service, { registration: { fmt: 'none', statement: () => new Map() } }, '422 registration_invalid/attestation_refused'))
  test('with an algorithm that is not allowed is refused', async () => {
    await service.stop()
    const rules = { ...machineRules(), algorithms: [-8] }
    service = await startEnrolmentService({ rules })
    await refuses(service, {}, '422 registration_invalid/algorithm_refused')
  })

  test('of a credential id that the same machine has is refused, whatever became of that one', async () => {
    const orders = machine(service, service.invite())
    await orders.enrol()
    const stored = service.credentials.get(credentialKey(orders.credentialId as CredentialId))
    assert.ok(stored)
    for (const state of ['pending', 'active', 'quarantined', 'revoked'] as const) {
      service.credentials.put(credentialKey(stored.id), { ...stored, state })
      const again = machine(service, service.invite(), { registration: { credentialId: orders.credentialId } })
      assert.equal(verdictOf(await again.enrol()), '409 credential_taken')
      assert.deepEqual(service.credentials.get(credentialKey(stored.id)), { ...stored, state })
    }
  })
  test('of a credential id that another machine has is refused', async () => {
    const orders = machine(service, service.invite())
    await orders.enrol()
    const billing = machine(service, service.invite({ handle: 'billing' as never }), {
      registration: { credentialId: orders.credentialId },
    })
    assert.equal(verdictOf(await billing.enrol()), '409 credential_taken')
    assert.equal(service.identities.records.get('billing'), undefined)
    assert.equal(await recordedRefusal(service), 'credential_taken')
  })
  test('of one credential id by two machines at the same moment succeeds once', async () => {
    const credentialId = b64u(randomBytes(32))
    const answers = await Promise.all(
      ['a', 'b'].map((handle) => machine(service, service.invite({ handle: handle as never }), { registration: { credentialId } }).enrol()),
    )
    assert.deepEqual(answers.map(verdictOf).sort(), ['200', '409 credential_taken'])
  })
})

describe('the proof of possession', () => {
  const invalid: Record<string, [MachineChange['assertion'], string]> = {
    'by another key': [{ key: testKey(-7) }, 'signature_invalid'],
    'by a key of another algorithm': [{ key: testKey(-8) }, 'signature_invalid'],
    'of another credential': [{ credentialId: b64u(randomBytes(32)) }, 'credential_unknown'],
    'over another challenge': [{ challenge: randomBytes(32) }, 'challenge_mismatch'],
    'for another relying party': [{ rpId: 'nats.test' }, 'rp_id_mismatch'],
    'from a web page': [{ origin: 'https://machines.nats.test' }, 'origin_mismatch'],
    'with a user present': [{ flags: FLAGS.BE | FLAGS.UP }, 'machine_flags_mismatch'],
    'with a user verified': [{ flags: FLAGS.BE | FLAGS.UV }, 'machine_flags_mismatch'],
    'by a key that stopped being copyable': [{ flags: 0 }, 'backup_eligibility_changed'],
    'of another user': [{ userHandle: b64u(randomBytes(32)) }, 'user_handle_mismatch'],
    'that is a registration': [{ clientData: { type: 'webauthn.create' } }, 'type_mismatch'],
    'in a page of another origin': [{ clientData: { crossOrigin: true } }, 'cross_origin'],
    'with a member twice': [{ clientDataText: '{"type":"webauthn.get","type":"webauthn.get"}' }, 'assertion_malformed'],
  }
  for (const [name, [assertion, check]] of Object.entries(invalid)) {
    test(`${name} is refused`, () =>
      refuses(service, { assertion: assertion ?? {} }, `422 possession_invalid/${check}`, `possession_invalid/${check}`))
  }

  test('with the challenge of the registration is refused', async () => {
    const ticket = service.invite()
    const orders = machine(service, ticket)
    const begun = await orders.begin()
    const registered = await orders.register(begun)
    const { key, credentialId } = orders
    const challenge = challengeFor('enrol', begun.body.issued, service.origin, subjectOf(ticket))
    const response = testAssertion({ key, credentialId, challenge, rpId: MACHINE_RP_ID, origin: MACHINE_ORIGIN, flags: FLAGS.BE })
    const answer = await service.post('/v1/enrol/activate', { ticket, ceremony: registered.body.ceremony, response })
    assert.equal(verdictOf(answer), '422 possession_invalid/challenge_mismatch')
  })

  test('that is the registration itself is refused', async () => {
    const ticket = service.invite()
    const orders = machine(service, ticket)
    const registered = await orders.register(await orders.begin())
    const { key, credentialId } = orders
    const response = testRegistration({ key, credentialId, challenge: randomBytes(32), rpId: MACHINE_RP_ID })
    const answer = await service.post('/v1/enrol/activate', { ticket, ceremony: registered.body.ceremony, response })
    assert.equal(verdictOf(answer), '422 possession_invalid/sig_malformed')
  })

  test('of a counter that stands still is refused', () =>
    refuses(service, { registration: { signCount: 5 }, assertion: { signCount: 5 } }, '422 possession_invalid/sign_count_race'))

  test('keeps the counter of a key that has one', async () => {
    const orders = machine(service, service.invite(), { registration: { signCount: 5 }, assertion: { signCount: 6 } })
    assert.equal(verdictOf(await orders.enrol()), '200')
    assert.equal(service.credentials.get(credentialKey(orders.credentialId as CredentialId))?.signCount, 6)
  })

  test('of a credential that an administrator revoked meanwhile is refused', async () => {
    const orders = machine(service, service.invite())
    const registered = await orders.register(await orders.begin())
    const pending = service.credentials.get(credentialKey(orders.credentialId as CredentialId))
    assert.ok(pending)
    service.credentials.put(credentialKey(pending.id), { ...pending, state: 'revoked' })
    assert.equal(verdictOf(await orders.activate(registered)), '422 possession_invalid/credential_not_pending')
    assert.equal(await recordedRefusal(service), 'possession_invalid/credential_not_pending')
  })

  test('leaves the ticket unspent when it is refused', async () => {
    const ticket = service.invite()
    await machine(service, ticket, { assertion: { key: testKey(-7) } }).enrol()
    assert.equal(service.tickets.get(ticketId(ticket))?.state, 'issued')
    assert.equal(verdictOf(await machine(service, ticket).enrol()), '200')
  })
})
