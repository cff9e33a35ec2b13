import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { allowedByLogin } from '../../src/core/people/allowed-by.ts'
import { removeDevice, renameDevice } from '../../src/core/people/device-steps.ts'
import { endLogin, signedIn } from '../../src/core/people/login-steps.ts'
import type { SignedIn } from '../../src/core/people/people.ts'
import { endOwnSession } from '../../src/core/people/session-end-steps.ts'
import type { CredentialRecord, LoginRecord } from '../../src/core/records.ts'
import { peopleWorld, putDevice, putLogin, putPerson, putTicket, type TestPeopleWorld } from '../support/people-world.ts'
import { handleOf, sessionRecord } from '../support/records.ts'

let world: TestPeopleWorld
let credential: CredentialRecord
beforeEach(() => {
  world = peopleWorld()
  putPerson(world, 'alice')
  ;({ credential } = putDevice(world, 'alice'))
})

async function signIn(change: Partial<LoginRecord> = {}): Promise<{ login: SignedIn; cookie: string }> {
  const { cookie } = putLogin(world, 'alice', change)
  const login = await signedIn(cookie, world.occasion(), world)
  assert.ok(login.ok)
  return { login: login.value, cookie }
}

const tapped = () => ({ credential: credentialKey(credential.id), at: world.clock.now })

describe('on whose word a step is done', () => {
  test("is the provider's after a login there, the person's own after a tap, the administrator's with an invitation", () => {
    const { record: ticket } = putTicket(world, { invitedBy: 'root' })
    const { login } = putLogin(world, 'alice')
    assert.equal(allowedByLogin(login, null), 'idp:corp')
    assert.equal(allowedByLogin({ ...login, tapped: tapped() }, null), `device:${credentialKey(credential.id)}`)
    assert.equal(allowedByLogin({ ...login, how: 'invitation', provider: null }, ticket), 'ticket:root')
  })

  test('is never nobody, nor a provider that there was not', () => {
    const { login } = putLogin(world, 'alice')
    for (const how of ['invitation', 'passkey'] as const)
      assert.equal(allowedByLogin({ ...login, how, provider: null }, null), `login:${how}`)
  })

  for (const [what, change, expected] of [
    ['a login at the provider', () => ({}), () => 'idp:corp'],
    [
      'a login by passkey',
      () => ({ how: 'passkey' as const, provider: null, tapped: tapped() }),
      () => `device:${credentialKey(credential.id)}`,
    ],
    ['a tap in a login at the provider', () => ({ tapped: tapped() }), () => `device:${credentialKey(credential.id)}`],
    ['a login by invitation', () => ({ how: 'invitation' as const, provider: null }), () => 'login:invitation'],
  ] as const) {
    test(`is in each record of what a person does to their own after ${what}`, async () => {
      const { login, cookie } = await signIn(change())
      const session = sessionRecord({ class: 'person', handle: handleOf('alice'), credential: credentialKey(credential.id) })
      await world.sessions.reserve(session)
      const { id } = credential
      assert.ok((await renameDevice({ id, name: 'new name' }, login, world.occasion(), world)).ok)
      assert.ok((await endOwnSession({ nkey: session.nkey }, login, world.occasion(), world)).ok)
      assert.ok((await endLogin(cookie, world.occasion(), world)).ok)
      assert.ok((await removeDevice({ id }, login, world.occasion(), world)).ok)
      assert.deepEqual(
        world.lifecycle.events.map(({ area, reason, facts }) => `${area}.${reason} ${facts['allowedBy']}`),
        ['credential.renamed', 'session.revoked', 'login.ended', 'credential.revoked'].map((code) => `${code} ${expected()}`),
      )
    })
  }
})
