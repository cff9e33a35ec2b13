/** Who may enrol a device and how many: a fresh login, a tap, a place that is free. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { registrationsPerPersonMax } from '../../src/core/people/device-enrolment.ts'
import { activateDevice, beginDevice, registerDevice } from '../../src/core/people/device-steps.ts'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { enrol, register, signedInAs, signIn } from '../support/device-enrolment.ts'
import { softwarePasskey } from '../support/passkey.ts'
import { peopleWorld, personPolicy, putDevice, putPerson, putTicket, refusalOf, type TestPeopleWorld } from '../support/people-world.ts'

const MINUTE = 60_000

function world(enrolment: Partial<typeof DEFAULT_PERSON_ENROLMENT> = {}): TestPeopleWorld {
  const made = peopleWorld({ policy: personPolicy(undefined, { personEnrolment: { ...DEFAULT_PERSON_ENROLMENT, ...enrolment } }) })
  putPerson(made)
  return made
}

const devicesOfAlice = (made: TestPeopleWorld) => made.identities.records.get('alice')?.devices ?? []

describe('who may enrol', () => {
  const beginsWith = async (made: TestPeopleWorld, change: Parameters<typeof signIn>[2]) =>
    refusalOf(await beginDevice(await signIn(made, 'alice', change), made.occasion(), made))

  test('somebody who authenticated within five minutes', async () => {
    const made = world()
    for (const [age, outcome] of [
      [0, 'accepted'],
      [5 * MINUTE, 'accepted'],
      [5 * MINUTE + 1, 'enrolment.step_up_required/fresh_login'],
      [29 * MINUTE, 'enrolment.step_up_required/fresh_login'],
      [-2 * MINUTE, 'enrolment.step_up_required/fresh_login'],
    ] as const) {
      assert.equal(await beginsWith(made, { authenticatedAt: made.clock.now - age }), outcome, `${age} ms`)
    }
    assert.equal(await beginsWith(made, { authenticatedAt: null }), 'enrolment.step_up_required/fresh_login')
  })
  test('somebody who tapped a device of theirs that is in force, within five minutes', async () => {
    const made = world()
    const { credential } = putDevice(made, 'alice')
    putPerson(made, 'bob')
    const { credential: foreign } = putDevice(made, 'bob')
    const tap = (id: typeof credential.id, age = 0) => ({
      how: 'passkey' as const,
      authenticatedAt: made.clock.now - age,
      tapped: { credential: credentialKey(id), at: made.clock.now - age },
    })
    assert.equal(await beginsWith(made, tap(credential.id)), 'accepted')
    assert.equal(await beginsWith(made, tap(credential.id, 6 * MINUTE)), 'enrolment.step_up_required/fresh_login_or_tap')
    assert.equal(await beginsWith(made, tap(foreign.id)), 'enrolment.step_up_required/fresh_login_or_tap')
    for (const state of ['revoked', 'quarantined'] as const) {
      made.credentials.put(credentialKey(credential.id), { ...credential, state })
      assert.match(await beginsWith(made, tap(credential.id)), /^enrolment\.step_up_required/)
    }
  })
  test('with another_device: device, nobody who has a device without tapping it', async () => {
    const made = world({ anotherDevice: 'device' })
    assert.equal(await beginsWith(made, {}), 'accepted')
    const { credential } = putDevice(made, 'alice')
    assert.equal(await beginsWith(made, {}), 'enrolment.step_up_required/tap')
    const { record } = putTicket(made, { handle: credential.handle })
    assert.equal(await beginsWith(made, { how: 'invitation', ticket: record.id }), 'enrolment.step_up_required/tap')
    assert.equal(await beginsWith(made, { tapped: { credential: credentialKey(credential.id), at: made.clock.now } }), 'accepted')
  })
  test('with another_device: device, nobody who began when they had none and now has one', async () => {
    const made = world({ anotherDevice: 'device' })
    const [thief, owner] = [await signIn(made, 'alice'), await signIn(made, 'alice')]
    const early = await register(made, thief)
    const begun = await beginDevice(thief, made.occasion(), made)
    assert.ok(early.ok && begun.ok)
    assert.equal(refusalOf(await enrol(made, owner)), 'accepted')
    const late = await registerDevice(
      { ceremony: begun.value.ceremony, name: 'x', response: softwarePasskey({ origin: made.origin }).create(begun.value.options) },
      await signedInAs(made, thief.login.record),
      made.occasion(),
      made,
    )
    assert.equal(refusalOf(late), 'enrolment.step_up_required/tap')
    const { ceremony, options, passkey } = early.value
    const activated = await activateDevice({ ceremony, response: passkey.get(options) }, thief, made.occasion(), made)
    assert.equal(refusalOf(activated), 'enrolment.step_up_required/tap')
  })
  test('nobody where the deployment has no people', async () => {
    const made = peopleWorld({ rules: { person: null } })
    putPerson(made)
    assert.equal(await beginsWith(made, {}), 'enrolment.person_enrolment_unavailable')
  })
  test('nobody more often than a person may in an hour, however often they sign in', async () => {
    const made = world()
    const who = await signIn(made, 'alice')
    for (let n = 0; n < registrationsPerPersonMax; n++) assert.equal(refusalOf(await beginDevice(who, made.occasion(), made)), 'accepted')
    assert.equal(refusalOf(await beginDevice(who, made.occasion(), made)), 'enrolment.rate_limited/person')
    assert.equal(await beginsWith(made, {}), 'enrolment.rate_limited/person')
    putPerson(made, 'bob')
    assert.equal(refusalOf(await beginDevice(await signIn(made, 'bob'), made.occasion(), made)), 'accepted')
  })
})

describe('the number of devices', () => {
  test('is at most that of the policy', async () => {
    const made = world({ devicesMax: 2 })
    const who = await signIn(made, 'alice')
    for (let n = 0; n < 2; n++) assert.equal(refusalOf(await enrol(made, await signedInAs(made, who.login.record))), 'accepted')
    assert.equal(refusalOf(await enrol(made, await signedInAs(made, who.login.record))), 'enrolment.devices_full')
  })
  test('does not count devices that were revoked, and forgets them', async () => {
    const made = world({ devicesMax: 2 })
    const [gone, kept] = [putDevice(made, 'alice').credential, putDevice(made, 'alice').credential]
    made.credentials.put(credentialKey(gone.id), { ...gone, state: 'revoked' })
    const done = await enrol(made, await signIn(made, 'alice'))
    assert.ok(done.ok)
    assert.deepEqual(devicesOfAlice(made), [credentialKey(kept.id), credentialKey(done.value.credential.id)])
  })
  test('counts devices that are quarantined', async () => {
    const made = world({ devicesMax: 1 })
    putDevice(made, 'alice', { state: 'quarantined' })
    assert.equal(refusalOf(await enrol(made, await signIn(made, 'alice'))), 'enrolment.devices_full')
  })
  test('holds when twenty devices come at once', async () => {
    const made = world({ devicesMax: 3 })
    const logins = await Promise.all(Array.from({ length: 20 }, () => signIn(made, 'alice')))
    const registered = await Promise.all(logins.map((who) => register(made, who)))
    const outcomes = await Promise.all(
      registered.map(async (one, index) => {
        assert.ok(one.ok)
        const { ceremony, options, passkey } = one.value
        const who = logins[index]
        assert.ok(who)
        return refusalOf(await activateDevice({ ceremony, response: passkey.get(options) }, who, made.occasion(), made))
      }),
    )
    assert.equal(outcomes.filter((it) => it === 'accepted').length, 3)
    assert.equal(outcomes.filter((it) => it === 'enrolment.devices_full').length, 17)
    assert.equal(devicesOfAlice(made).length, 3)
    const active = [...made.credentials.all().values()].filter(({ record }) => record.state === 'active')
    assert.deepEqual(active.map(({ record }) => credentialKey(record.id)).sort(), [...devicesOfAlice(made)].sort())
    assert.equal(made.lifecycle.codes().filter((code) => code === 'enrolment.succeeded.enrolled').length, 3)
  })
  test('is not for somebody who was disabled meanwhile', async () => {
    const made = world()
    const who = await signIn(made, 'alice')
    const registered = await register(made, who)
    assert.ok(registered.ok)
    const alice = made.identities.records.get('alice')
    assert.ok(alice)
    made.identities.records.put('alice', { ...alice, state: 'disabled' })
    const { ceremony, options, passkey } = registered.value
    const activated = await activateDevice({ ceremony, response: passkey.get(options) }, who, made.occasion(), made)
    assert.equal(refusalOf(activated), 'login.identity_disabled')
  })
})
