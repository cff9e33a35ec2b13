/** What people do to the devices and sessions they have, and cannot do to those of others. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { removeDevice, renameDevice } from '../../src/core/people/device-steps.ts'
import { devicesOf, whatIsNeeded } from '../../src/core/people/device-view.ts'
import { endOwnSession } from '../../src/core/people/session-end-steps.ts'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import type { CredentialRecord } from '../../src/core/records.ts'
import { refusalRow } from '../../src/core/refusal.ts'
import { enrol, signedInAs, signIn } from '../support/device-enrolment.ts'
import { peopleWorld, personPolicy, putDevice, putPerson, refusalOf, type TestPeopleWorld } from '../support/people-world.ts'
import { handleOf, newCredentialId, newUserNkey, sessionRecord } from '../support/records.ts'

function twoPeople() {
  const world = peopleWorld()
  putPerson(world, 'alice')
  putPerson(world, 'bob')
  return { world, own: putDevice(world, 'alice').credential, foreign: putDevice(world, 'bob').credential }
}

const stateOf = (world: TestPeopleWorld, { id }: CredentialRecord) => world.credentials.get(credentialKey(id))

describe('renaming a device', () => {
  test('changes its name, on record', async () => {
    const { world, own } = twoPeople()
    const done = await renameDevice({ id: own.id, name: 'work laptop' }, await signIn(world, 'alice'), world.occasion(), world)
    assert.equal(refusalOf(done), 'accepted')
    assert.deepEqual(stateOf(world, own), { ...own, name: 'work laptop' })
    assert.deepEqual(world.lifecycle.codes(), ['credential.succeeded.renamed'])
    assert.deepEqual(world.lifecycle.events[0]?.facts, {
      source: '192.0.2.7',
      allowedBy: 'idp:corp',
      aaguid: own.aaguid,
      name: 'work laptop',
      before: 'laptop',
    })
  })
  test('to the name it has changes nothing', async () => {
    const { world, own } = twoPeople()
    await renameDevice({ id: own.id, name: own.name }, await signIn(world, 'alice'), world.occasion(), world)
    assert.deepEqual(world.lifecycle.codes(), [])
  })
  test('is not for devices of others, those that are gone, or those that never were', async () => {
    const { world, own, foreign } = twoPeople()
    const who = await signIn(world, 'alice')
    const rename = async (id: CredentialRecord['id']) => renameDevice({ id, name: 'mine' }, who, world.occasion(), world)
    const [others, nobodys] = [await rename(foreign.id), await rename(newCredentialId())]
    assert.equal(refusalOf(others), 'credential.unknown')
    assert.deepEqual(others, nobodys)
    assert.ok(!others.ok && refusalRow(others.refusal).status === 404)
    assert.deepEqual(stateOf(world, foreign), foreign)
    world.credentials.put(credentialKey(own.id), { ...own, state: 'revoked' })
    assert.equal(refusalOf(await rename(own.id)), 'credential.conflict')
    assert.deepEqual(world.lifecycle.codes(), [])
  })
  test('and a tap at the same time both count', async () => {
    const { world, own } = twoPeople()
    const who = await signIn(world, 'alice')
    const [renamed] = await Promise.all([
      renameDevice({ id: own.id, name: 'new' }, who, world.occasion(), world),
      world.credentials.find(credentialKey(own.id)).then((stored) => {
        assert.ok(stored)
        return world.credentials.replace(credentialKey(own.id), stored, { ...stored.record, signCount: 9 })
      }),
    ])
    assert.equal(refusalOf(renamed), 'accepted')
    assert.deepEqual([stateOf(world, own)?.name, stateOf(world, own)?.signCount], ['new', 9])
  })
})

describe('removing a device', () => {
  test('revokes it for ever, on record, and closes its connections', async () => {
    const { world, own } = twoPeople()
    const done = await removeDevice({ id: own.id }, await signIn(world, 'alice'), world.occasion(), world)
    assert.deepEqual(done, { ok: true, value: { kicked: 1, failed: 0 } })
    assert.deepEqual(stateOf(world, own), { ...own, state: 'revoked', endedAt: world.clock.now })
    assert.deepEqual(world.evicted, [{ credential: own.id, handle: 'alice' }])
    const [event] = world.lifecycle.events
    assert.deepEqual(world.lifecycle.codes(), ['credential.succeeded.revoked'])
    assert.deepEqual(
      [event?.actor, event?.target],
      [
        { kind: 'identity', name: 'alice' },
        { kind: 'credential', id: own.id },
      ],
    )
    assert.deepEqual(event?.facts, { source: '192.0.2.7', allowedBy: 'idp:corp', aaguid: own.aaguid, name: 'laptop', changed: true })
  })
  test('takes it out of the list, makes room, and ends what its tap allowed', async () => {
    const { world, own } = twoPeople()
    const tapped = { credential: credentialKey(own.id), at: world.clock.now }
    const who = await signIn(world, 'alice', { how: 'passkey', provider: null, tapped })
    const needs = async () => {
      const again = await signedInAs(world, who.login.record)
      return whatIsNeeded(again, await devicesOf(again.identity.record, world), world.policy(), new Date(world.clock.now)).needs
    }
    assert.equal(await needs(), 'nothing')
    await removeDevice({ id: own.id }, who, world.occasion(), world)
    assert.deepEqual(await devicesOf(who.identity.record, world), [])
    assert.equal(await needs(), 'fresh_login')
    assert.equal(refusalOf(await enrol(world, await signIn(world, 'alice'))), 'accepted')
  })
  test('again closes what may have been left open', async () => {
    const { world, own } = twoPeople()
    const who = await signIn(world, 'alice')
    for (let n = 0; n < 2; n++) assert.equal(refusalOf(await removeDevice({ id: own.id }, who, world.occasion(), world)), 'accepted')
    assert.equal(world.evicted.length, 2)
    assert.equal(world.lifecycle.events[1]?.facts['changed'], false)
  })
  test('is not for devices of others, nor those that never were', async () => {
    const { world, foreign } = twoPeople()
    const who = await signIn(world, 'alice')
    const others = await removeDevice({ id: foreign.id }, who, world.occasion(), world)
    assert.equal(refusalOf(others), 'credential.unknown')
    assert.deepEqual(others, await removeDevice({ id: newCredentialId() }, who, world.occasion(), world))
    assert.deepEqual(stateOf(world, foreign), foreign)
    assert.deepEqual([world.evicted, world.lifecycle.codes()], [[], []])
  })
  test('takes a tap with another_device: device, or a stolen login would clear the way for a device of its own', async () => {
    const personEnrolment = { ...DEFAULT_PERSON_ENROLMENT, anotherDevice: 'device' as const }
    const world = peopleWorld({ policy: personPolicy(undefined, { personEnrolment }) })
    putPerson(world, 'alice')
    const [first, second] = [putDevice(world, 'alice').credential, putDevice(world, 'alice').credential]
    const removeBy = async (change: Parameters<typeof signIn>[2], { id }: CredentialRecord) =>
      refusalOf(await removeDevice({ id }, await signIn(world, 'alice', change), world.occasion(), world))
    const tapOf = ({ id }: CredentialRecord, ageMs = 0) => ({ tapped: { credential: credentialKey(id), at: world.clock.now - ageMs } })

    assert.equal(await removeBy({}, first), 'enrolment.step_up_required/tap')
    assert.equal(await removeBy(tapOf(first, 301_000), first), 'enrolment.step_up_required/tap')
    world.credentials.put(credentialKey(first.id), { ...first, state: 'quarantined' })
    assert.equal(await removeBy({}, first), 'enrolment.step_up_required/tap')
    assert.equal(await removeBy(tapOf(first), first), 'enrolment.step_up_required/tap')
    assert.deepEqual([world.evicted, world.lifecycle.codes()], [[], []])
    assert.equal(refusalOf(await enrol(world, await signIn(world, 'alice'))), 'enrolment.step_up_required/tap')

    assert.equal(await removeBy(tapOf(second), first), 'accepted')
    assert.equal(await removeBy(tapOf(second), second), 'accepted')
    assert.equal(await removeBy({}, second), 'accepted')
  })
  test('is not done without its record', async () => {
    const { world, own } = twoPeople()
    world.lifecycle.failing = () => true
    await assert.rejects(removeDevice({ id: own.id }, await signIn(world, 'alice'), world.occasion(), world), AuditUnavailable)
    assert.deepEqual([stateOf(world, own), world.evicted], [own, []])
  })
})

describe('ending a session', () => {
  function withSessions() {
    const { world, own } = twoPeople()
    const session = sessionRecord({
      handle: handleOf('alice'),
      class: 'person',
      credential: credentialKey(own.id),
      state: 'active',
      label: 'build host',
      plain: true,
    })
    const others = sessionRecord({ handle: handleOf('bob'), class: 'person', state: 'active' })
    for (const it of [session, others]) world.sessions.records.put(it.nkey, it)
    return { world, session, others }
  }
  test('revokes its nkey for ever, on record, and closes its connections', async () => {
    const { world, session } = withSessions()
    const done = await endOwnSession({ nkey: session.nkey }, await signIn(world, 'alice'), world.occasion(), world)
    assert.deepEqual(done, { ok: true, value: { kicked: 1, failed: 0 } })
    assert.deepEqual(world.sessions.records.get(session.nkey), { ...session, state: 'revoked', endedAt: world.clock.now })
    assert.ok(world.sessions.tombstones.has(session.nkey))
    assert.deepEqual(world.evicted, [{ session: session.nkey, handle: 'alice' }])
    assert.deepEqual(world.lifecycle.codes(), ['session.succeeded.revoked'])
    const [event] = world.lifecycle.events
    assert.deepEqual(event?.target, { kind: 'session', id: session.nkey })
    assert.deepEqual(event?.facts, {
      source: '192.0.2.7',
      allowedBy: 'idp:corp',
      device: session.credential,
      label: 'build host',
      plain: true,
    })
  })
  test('is done although the session changes meanwhile', async () => {
    const { world, session } = withSessions()
    const who = await signIn(world, 'alice')
    const { revoke } = world.sessions
    let moved = false
    world.sessions.revoke = async (stored, next) => {
      if (!moved) world.sessions.records.put(session.nkey, { ...session, label: 'moved' })
      moved = true
      return revoke(stored, next)
    }
    assert.equal(refusalOf(await endOwnSession({ nkey: session.nkey }, who, world.occasion(), world)), 'accepted')
    assert.deepEqual(
      [world.sessions.records.get(session.nkey)?.state, world.sessions.records.get(session.nkey)?.label],
      ['revoked', 'moved'],
    )
  })
  test('is not for sessions of others, nor those that never were', async () => {
    const { world, others } = withSessions()
    const who = await signIn(world, 'alice')
    const foreign = await endOwnSession({ nkey: others.nkey }, who, world.occasion(), world)
    assert.equal(refusalOf(foreign), 'session.unknown')
    assert.deepEqual(foreign, await endOwnSession({ nkey: newUserNkey() }, who, world.occasion(), world))
    assert.equal(world.sessions.records.get(others.nkey)?.state, 'active')
    assert.deepEqual([world.evicted, world.lifecycle.codes()], [[], []])
  })
  test('is not done without its record', async () => {
    const { world, session } = withSessions()
    world.lifecycle.failing = () => true
    await assert.rejects(endOwnSession({ nkey: session.nkey }, await signIn(world, 'alice'), world.occasion(), world), AuditUnavailable)
    assert.equal(world.sessions.records.get(session.nkey)?.state, 'active')
  })
})
