/** What the page shows of a person: what they hold and have now, and nothing of anybody else's. */
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { signedIn } from '../../src/core/people/login-steps.ts'
import type { PersonView } from '../../src/core/people/people.ts'
import { viewPerson } from '../../src/core/people/person-view.ts'
import { peopleWorld, putDevice, putLogin, putPerson, RP_ID, refusalOf, type TestPeopleWorld } from '../support/people-world.ts'
import { handleOf, roleOf, sessionRecord } from '../support/records.ts'

const day = 86_400_000

let world: TestPeopleWorld
beforeEach(() => {
  world = peopleWorld()
})

async function view(cookie: string): Promise<PersonView> {
  const judged = await signedIn(cookie, world.occasion(), world)
  assert.ok(judged.ok, refusalOf(judged))
  return viewPerson(judged.value, world.occasion(), world)
}

const session = (handle: string, credential: ReturnType<typeof credentialKey>, change: Parameters<typeof sessionRecord>[0] = {}) => {
  const { now } = world.clock
  const record = sessionRecord({
    handle: handleOf(handle),
    class: 'person',
    credential,
    state: 'active',
    createdAt: now,
    expiresAt: now + day,
    ...change,
  })
  world.sessions.records.put(record.nkey, record)
  return record
}

test('shows who is signed in, how, and until when', async () => {
  const { userHandle } = putPerson(world, 'alice')
  const { cookie, login } = putLogin(world, 'alice')
  const { handle, displayName, how, provider, loginExpiresAt, rpId, devices, devicesMax, sessions, ...rest } = await view(cookie)
  assert.deepEqual(
    { handle, displayName, how, provider, loginExpiresAt, rpId, devices, devicesMax, sessions },
    {
      handle: 'alice',
      displayName: 'alice Example',
      how: 'idp',
      provider: 'corp',
      loginExpiresAt: login.expiresAt,
      rpId: RP_ID,
      devices: [],
      devicesMax: 10,
      sessions: [],
    },
  )
  assert.equal(rest.userHandle, userHandle)
  assert.deepEqual(rest.enrol, { allowed: true, needs: 'nothing' })
})

test('shows which roles still count, and which the policy knows', async () => {
  const { now } = world.clock
  putPerson(world, 'alice', {
    roles: [
      { name: roleOf('reader'), source: 'idp', asOf: now - day },
      { name: roleOf('writer'), source: 'idp', asOf: now - day - 1 },
      { name: roleOf('vault'), source: 'assigned', asOf: 1 },
      { name: roleOf('gone'), source: 'idp', asOf: now },
    ],
  })
  const { roles } = await view(putLogin(world, 'alice').cookie)
  assert.deepEqual(roles, [
    { name: 'reader', source: 'idp', asOf: now - day, stale: false, known: true },
    { name: 'writer', source: 'idp', asOf: now - day - 1, stale: true, known: true },
    { name: 'vault', source: 'assigned', asOf: 1, stale: false, known: true },
    { name: 'gone', source: 'idp', asOf: now, stale: false, known: false },
  ])
})

test('shows the devices that are not removed, and which of them was tapped', async () => {
  putPerson(world, 'alice')
  const first = putDevice(world, 'alice', { name: 'laptop' }).credential
  const second = putDevice(world, 'alice', { name: 'phone' }).credential
  putDevice(world, 'alice', { name: 'lost', state: 'revoked' })
  const tapped = { credential: credentialKey(second.id), at: world.clock.now }
  const { devices } = await view(putLogin(world, 'alice', { tapped }).cookie)
  assert.deepEqual(
    devices.map(({ id, name, current }) => [id, name, current]),
    [
      [first.id, 'laptop', false],
      [second.id, 'phone', true],
    ],
  )
})

test('shows the live sessions of the person, the newest first, and nobody else of theirs', async () => {
  putPerson(world, 'alice')
  putPerson(world, 'bob')
  const key = credentialKey(putDevice(world, 'alice', { name: 'laptop' }).credential.id)
  const bobs = credentialKey(putDevice(world, 'bob').credential.id)
  const { now } = world.clock
  const older = session('alice', key, { createdAt: now - 1_000, label: 'host-1', plain: true, byCode: true })
  const newer = session('alice', key)
  session('alice', key, { state: 'pending' })
  session('alice', key, { state: 'revoked', endedAt: now })
  session('alice', key, { expiresAt: now })
  session('bob', bobs)
  const { sessions } = await view(putLogin(world, 'alice').cookie)
  assert.deepEqual(
    sessions.map(({ nkey }) => nkey),
    [newer.nkey, older.nkey],
  )
  assert.deepEqual(sessions[1], {
    nkey: older.nkey,
    label: 'host-1',
    plain: true,
    byCode: true,
    device: { id: (await view(putLogin(world, 'alice').cookie)).devices[0]?.id, name: 'laptop' },
    createdAt: older.createdAt,
    expiresAt: older.expiresAt,
  })
})

test('does not call a session live whose device was removed', async () => {
  putPerson(world, 'alice')
  const { credential } = putDevice(world, 'alice', { state: 'revoked' })
  session('alice', credentialKey(credential.id))
  assert.deepEqual((await view(putLogin(world, 'alice').cookie)).sessions, [])
})

test('shows no more than a hundred sessions', async () => {
  putPerson(world, 'alice')
  const key = credentialKey(putDevice(world, 'alice').credential.id)
  for (let i = 0; i < 101; i++) session('alice', key, { createdAt: world.clock.now - i })
  const { sessions } = await view(putLogin(world, 'alice').cookie)
  assert.equal(sessions.length, 100)
  assert.equal(sessions.at(-1)?.createdAt, world.clock.now - 99)
})
