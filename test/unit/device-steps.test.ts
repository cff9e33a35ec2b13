/** Enrolling a person's devices: begin, register, activate, and everything that must not lead to a device. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { activateDevice, beginDevice, registerDevice } from '../../src/core/people/device-steps.ts'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { AuditUnavailable, StoreUnavailable } from '../../src/core/ports.ts'
import { enrol, register, signedInAs, signIn } from '../support/device-enrolment.ts'
import { softwarePasskey } from '../support/passkey.ts'
import {
  peopleWorld,
  personPolicy,
  putDevice,
  putLogin,
  putPerson,
  putTicket,
  RP_ID,
  refusalOf,
  type TestPeopleWorld,
} from '../support/people-world.ts'
import { roleOf } from '../support/records.ts'
import { FLAGS } from '../support/test-authenticator.ts'

const MINUTE = 60_000

function world(enrolment: Partial<typeof DEFAULT_PERSON_ENROLMENT> = {}): TestPeopleWorld {
  const made = peopleWorld({ policy: personPolicy(undefined, { personEnrolment: { ...DEFAULT_PERSON_ENROLMENT, ...enrolment } }) })
  putPerson(made)
  return made
}

const devicesOfAlice = (made: TestPeopleWorld) => made.identities.records.get('alice')?.devices ?? []
const lastFacts = (made: TestPeopleWorld) => made.lifecycle.events.at(-1)?.facts ?? {}

describe('enrolling a device', () => {
  test('puts it in force, with a record of each step before its effect', async () => {
    const made = world()
    const done = await enrol(made, await signIn(made, 'alice'), { name: "Alice's laptop", options: { counter: 4 } })
    assert.ok(done.ok)
    const { credential, passkey } = done.value
    assert.deepEqual(made.credentials.get(credentialKey(credential.id)), credential)
    assert.deepEqual(devicesOfAlice(made), [credentialKey(credential.id)])
    assert.deepEqual(
      { ...credential, publicKey: '' },
      {
        v: 1,
        id: passkey.id,
        publicKey: '',
        signCount: 6,
        signCountAt: made.clock.now,
        backupEligible: true,
        backupState: true,
        transports: ['internal'],
        aaguid: '00000000-0000-0000-0000-000000000000',
        attestation: { format: 'none', trust: 'none' },
        rpId: RP_ID,
        class: 'person',
        handle: 'alice',
        userHandle: made.identities.records.get('alice')?.userHandle,
        name: "Alice's laptop",
        state: 'active',
        createdAt: made.clock.now,
        expiresAt: null,
        endedAt: null,
        enrolledBy: 'idp:corp',
        approvedBy: null,
      },
    )
    assert.deepEqual(made.lifecycle.codes(), ['enrolment.succeeded.registered', 'enrolment.succeeded.enrolled'])
    const [, enrolled] = made.lifecycle.events
    assert.deepEqual(enrolled?.actor, { kind: 'identity', name: 'alice' })
    assert.deepEqual(enrolled?.target, { kind: 'credential', id: credential.id })
    assert.deepEqual(enrolled?.roles, ['reader'])
    assert.deepEqual(enrolled?.facts, {
      source: '192.0.2.7',
      allowedBy: 'idp:corp',
      class: 'person',
      aaguid: credential.aaguid,
      attestation: 'none/none',
      rpId: RP_ID,
      signCount: 6,
      userVerified: true,
      backupEligible: true,
      backupState: true,
      name: "Alice's laptop",
    })
  })

  test('asks the browser for a discoverable, verified passkey of ours, not one that is enrolled', async () => {
    const made = world()
    const { credential } = putDevice(made, 'alice')
    const begun = await beginDevice(await signIn(made, 'alice'), made.occasion(), made)
    assert.ok(begun.ok)
    const { options } = begun.value
    const identity = made.identities.records.get('alice')
    assert.deepEqual(options.rp, { id: RP_ID, name: RP_ID })
    assert.deepEqual(options.user, { id: identity?.userHandle, name: 'alice', displayName: 'alice Example' })
    assert.deepEqual(
      options.pubKeyCredParams.map(({ alg }) => alg),
      [...made.rules.algorithms],
    )
    assert.equal(options.authenticatorSelection?.residentKey, 'required')
    assert.equal(options.authenticatorSelection?.userVerification, 'required')
    assert.equal(options.attestation, 'none')
    assert.deepEqual(options.excludeCredentials, [{ id: credential.id, type: 'public-key', transports: ['internal'] }])
  })

  test('does not ask for verification where nobody demands it, and does where a role does', async () => {
    for (const [userVerification, wanted] of [
      [false, 'preferred'],
      [true, 'required'],
    ] as const) {
      const policy = personPolicy()
      const reader = policy.roles.get(roleOf('reader'))
      assert.ok(reader)
      const roles = [{ ...reader, require: { ...reader.require, userVerification } }]
      const made = peopleWorld({
        policy: personPolicy(roles),
        rules: { person: { rpId: RP_ID, origins: [], requireUserVerification: false } },
      })
      putPerson(made)
      const who = await signIn(made, 'alice')
      const begun = await beginDevice(who, made.occasion(), made)
      assert.ok(begun.ok)
      assert.equal(begun.value.options.authenticatorSelection?.userVerification, wanted)
      const outcome = refusalOf(await enrol(made, who, { options: { userVerified: false } }))
      assert.equal(outcome, userVerification ? 'enrolment.registration_invalid/user_not_verified' : 'accepted')
    }
  })

  test('makes the first assertion a tap, by which the next device may come', async () => {
    const made = world({ anotherDevice: 'device' })
    const who = await signIn(made, 'alice')
    const first = await enrol(made, who)
    assert.ok(first.ok)
    const second = await enrol(made, await signedInAs(made, who.login.record))
    assert.ok(second.ok)
    assert.equal(second.value.credential.enrolledBy, `device:${credentialKey(first.value.credential.id)}`)
    assert.equal(devicesOfAlice(made).length, 2)
  })

  test('ends with nothing in force when its record cannot be kept, and its place is free', async () => {
    const made = world({ devicesMax: 1 })
    made.lifecycle.failing = ({ reason }) => reason === 'enrolled'
    await assert.rejects(enrol(made, await signIn(made, 'alice')), AuditUnavailable)
    const [stored] = [...made.credentials.all().values()]
    assert.equal(stored?.record.state, 'pending')
    made.lifecycle.failing = () => false
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'alice'))), 'accepted')
    assert.equal(devicesOfAlice(made).length, 1)
  })

  test('frees the place of a device that never came into force once it can no longer', async () => {
    const made = world({ devicesMax: 1 })
    const { replace } = made.credentials
    made.credentials.replace = async () => {
      throw new StoreUnavailable('writing a credential')
    }
    await assert.rejects(enrol(made, await signIn(made, 'alice')), StoreUnavailable)
    made.credentials.replace = replace
    // It may have been written all the same.
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'alice'))), 'enrolment.devices_full')
    made.clock.now += 11 * MINUTE
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'alice'))), 'accepted')
    assert.equal(devicesOfAlice(made).length, 1)
  })
})

describe('the registration', () => {
  const refusedWith = async (trial: Parameters<typeof enrol>[2]) => {
    const made = world()
    return refusalOf(await enrol(made, await signIn(made, 'alice'), trial))
  }
  test('is refused with the check that it fails', async () => {
    assert.equal(await refusedWith({ wrong: { flags: FLAGS.AT | FLAGS.UP } }), 'enrolment.registration_invalid/user_not_verified')
    assert.equal(await refusedWith({ wrong: { flags: FLAGS.AT | FLAGS.UV } }), 'enrolment.registration_invalid/user_not_present')
    const impossible = FLAGS.AT | FLAGS.UP | FLAGS.UV | FLAGS.BS
    assert.equal(await refusedWith({ wrong: { flags: impossible } }), 'enrolment.registration_invalid/backup_flags_invalid')
    assert.equal(await refusedWith({ wrong: { origin: 'https://evil.example' } }), 'enrolment.registration_invalid/origin_mismatch')
    assert.equal(await refusedWith({ wrong: { clientData: { crossOrigin: true } } }), 'enrolment.registration_invalid/cross_origin')
    assert.equal(await refusedWith({ prepare: () => ({}) }), 'enrolment.registration_invalid/response_malformed')
  })
  test('of another origin that people may connect from is refused: only this page enrols', async () => {
    const made = peopleWorld({
      rules: {
        person: { rpId: RP_ID, origins: ['https://nats.example.com', 'https://app.nats.example.com'], requireUserVerification: true },
      },
    })
    putPerson(made)
    const options = { origin: 'https://app.nats.example.com' }
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'alice'), { options })), 'enrolment.registration_invalid/origin_mismatch')
  })
  test('is refused when somebody else has the credential id', async () => {
    const made = world()
    putPerson(made, 'bob')
    const passkey = softwarePasskey({ origin: made.origin })
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'alice'), { passkey })), 'accepted')
    const stolen = softwarePasskey({ origin: made.origin })
    stolen.id = passkey.id
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'bob'), { passkey: stolen })), 'enrolment.credential_taken')
    // Revoking frees no id: it stays taken for ever, pending ones too.
    const key = [...made.credentials.all().keys()][0] ?? ''
    const stored = made.credentials.get(key)
    assert.ok(stored)
    made.credentials.put(key, { ...stored, state: 'revoked' })
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'bob'), { passkey: stolen })), 'enrolment.credential_taken')
    assert.equal(made.credentials.get(key)?.handle, 'alice')
  })
  test('is answered by a browser that has the device already with an error of its own', async () => {
    const made = world()
    const who = await signIn(made, 'alice')
    const done = await enrol(made, who)
    assert.ok(done.ok)
    await assert.rejects(enrol(made, await signedInAs(made, who.login.record), { passkey: done.value.passkey }), /InvalidStateError/)
  })
})

describe('an invitation', () => {
  function invited(change: Parameters<typeof putTicket>[1] = {}) {
    const made = world()
    putPerson(made, 'bob', { issuer: 'invitation', subject: 'bob', roles: [{ name: roleOf('reader'), source: 'assigned', asOf: 1 }] })
    const { record } = putTicket(made, change)
    const login = () => putLogin(made, 'bob', { how: 'invitation', provider: null, ticket: record.id, authenticatedAt: null }).login
    return { made, record, login }
  }
  test('is spent by the device that it enrols, and not before', async () => {
    const { made, record, login } = invited()
    const who = await signedInAs(made, login())
    const registered = await register(made, who)
    assert.ok(registered.ok)
    assert.equal(made.tickets.get(record.id)?.state, 'issued')
    const { ceremony, options, passkey } = registered.value
    const done = await activateDevice({ ceremony, response: passkey.get(options) }, who, made.occasion(), made)
    assert.ok(done.ok)
    assert.equal(done.value.credential.enrolledBy, 'ticket:admin')
    assert.deepEqual([made.tickets.get(record.id)?.state, made.tickets.get(record.id)?.usedAt], ['used', made.clock.now])
    assert.equal(lastFacts(made)['allowedBy'], 'ticket:admin')
    assert.equal(lastFacts(made)['ticket'], record.id)
  })
  test('lets the login go on by the tap of that device, for a while', async () => {
    const { made, login } = invited()
    const first = login()
    assert.equal(refusalOf(await enrol(made, await signedInAs(made, first))), 'accepted')
    assert.equal(refusalOf(await enrol(made, await signedInAs(made, first))), 'accepted')
    made.clock.now += 6 * MINUTE
    assert.equal(refusalOf(await enrol(made, await signedInAs(made, first))), 'enrolment.step_up_required/fresh_login_or_tap')
  })
  test('of which two browsers hold the link enrols one device', async () => {
    const { made, login } = invited()
    const browsers = await Promise.all([signedInAs(made, login()), signedInAs(made, login())])
    const outcomes = await Promise.all(browsers.map(async (who) => refusalOf(await enrol(made, who))))
    assert.deepEqual(outcomes.sort(), ['accepted', 'enrolment.ticket_used/race'])
    const states = [...made.credentials.all().values()].map(({ record }) => record.state)
    assert.deepEqual(states.sort(), ['active', 'pending'])
    assert.equal(made.lifecycle.codes().filter((code) => code === 'enrolment.succeeded.enrolled').length, 1)
    // Whoever lost may begin nothing more.
    const late = await signedInAs(made, login())
    assert.equal(refusalOf(await beginDevice(late, made.occasion(), made)), 'enrolment.ticket_used')
  })
  test('that was spent without a record is good again', async () => {
    const { made, record, login } = invited()
    made.lifecycle.failing = ({ reason }) => reason === 'enrolled'
    await assert.rejects(enrol(made, await signedInAs(made, login())), AuditUnavailable)
    assert.deepEqual(made.tickets.get(record.id), record)
    made.lifecycle.failing = () => false
    assert.equal(refusalOf(await enrol(made, await signedInAs(made, login()))), 'accepted')
    assert.equal(made.tickets.get(record.id)?.state, 'used')
  })

  test('that was revoked, or is over, enrols nothing at any step', async () => {
    for (const [change, reason] of [
      [{ state: 'revoked' as const }, 'enrolment.ticket_revoked'],
      [{ expiresAt: 1 }, 'enrolment.ticket_expired'],
      [{ class: 'machine' as const }, 'enrolment.ticket_wrong_class'],
    ] as const) {
      const { made, record, login } = invited()
      const who = await signedInAs(made, login())
      const [begun, registered] = [await beginDevice(who, made.occasion(), made), await register(made, who)]
      assert.ok(begun.ok && registered.ok)
      made.tickets.put(record.id, { ...record, ...change })
      assert.equal(refusalOf(await beginDevice(who, made.occasion(), made)), reason)
      assert.equal(
        refusalOf(await registerDevice({ ceremony: begun.value.ceremony, name: 'x', response: {} }, who, made.occasion(), made)),
        reason,
      )
      const { ceremony, options, passkey } = registered.value
      assert.equal(refusalOf(await activateDevice({ ceremony, response: passkey.get(options) }, who, made.occasion(), made)), reason)
    }
  })
  test('is kept when the device is refused', async () => {
    const { made, record, login } = invited()
    const wrong = { flags: FLAGS.AT | FLAGS.UP }
    assert.match(refusalOf(await enrol(made, await signedInAs(made, login()), { wrong })), /registration_invalid/)
    assert.equal(made.tickets.get(record.id)?.state, 'issued')
    assert.equal(refusalOf(await enrol(made, await signedInAs(made, login()))), 'accepted')
  })
})
