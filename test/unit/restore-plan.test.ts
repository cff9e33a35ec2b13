/** A restore as a whole: whose a handle is afterwards, what is written first, and what is left alone. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AuditFact, collectFacts } from '../../src/core/backup/facts.ts'
import { emptyState, type KeptState, planRestore, type RestorePlan } from '../../src/core/backup/restore-plan.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import type { CredentialRecord, IdentityRecord } from '../../src/core/records.ts'
import { subjectKey } from '../../src/core/subject-key.ts'
import { credentialRecord, handleOf, identityRecord, newCredentialId, newUserNkey } from '../support/records.ts'

const PROVIDER = { class: 'person', issuer: 'https://idp.example' } as const

function stateOf(...records: (CredentialRecord | IdentityRecord)[]): KeptState {
  const state = emptyState()
  for (const record of records) {
    if ('publicKey' in record) state.credentials.set(credentialKey(record.id), { record, revision: 4 })
    else {
      state.identities.set(record.handle, { record, revision: 4 })
      state.subjects.set(subjectKey(record), { record: { v: 1, handle: record.handle }, revision: 5 })
    }
  }
  return state
}

function plan(from: { backup?: KeptState; live?: KeptState; facts?: AuditFact[]; gap?: boolean }): RestorePlan {
  const { add, facts } = collectFacts()
  for (const fact of from.facts ?? []) add(fact)
  return planRestore({
    backup: from.backup ?? emptyState(),
    live: from.live ?? emptyState(),
    facts,
    gap: from.gap ?? false,
    userHandle: () => 'dXNlcg',
  })
}

const written = ({ writes }: RestorePlan, key: string) => writes.find((write) => write.key === key)
const person = (handle: string, subject: string, changes: Partial<IdentityRecord> = {}) =>
  identityRecord(handle, { ...PROVIDER, subject, ...changes })
const created = (handle: string, subject: string): AuditFact => ({
  kind: 'created',
  handle: handleOf(handle),
  owner: { ...PROVIDER, subject },
  at: 9,
})

describe('the plan of a restore', () => {
  test('writes tombstones, then identities, then credentials', () => {
    const nkey = newUserNkey()
    const backup = stateOf(credentialRecord(), identityRecord('orders'))
    const { writes } = plan({ backup, facts: [{ kind: 'session_revoked', nkey, at: 1 }] })
    assert.deepEqual(
      writes.map(({ bucket }) => bucket),
      ['webauthn_revoked_nkeys', 'webauthn_identities', 'webauthn_identities', 'webauthn_credentials'],
    )
  })

  test('ends the credentials of somebody whose handle is another’s by now', () => {
    const credential = credentialRecord({ handle: handleOf('alice') })
    const done = plan({ backup: stateOf(credential, person('alice', 'one')), live: stateOf(person('alice', 'two')) })
    const record = written(done, credentialKey(credential.id))?.record
    assert.equal(record !== undefined && 'state' in record && record.state, 'revoked')
    assert.equal(written(done, 'alice'), undefined)
    assert.deepEqual(done.conflicts, [{ bucket: 'webauthn_identities', key: 'alice' }])
  })

  test('ends a credential whose identity is not in the backup', () => {
    const credential = credentialRecord()
    const record = written(plan({ backup: stateOf(credential) }), credentialKey(credential.id))?.record
    assert.equal(record !== undefined && 'state' in record && record.state, 'revoked')
  })

  test('leaves a person with one handle: the one that they had', () => {
    const backup = stateOf(person('alice', 'one'))
    const done = plan({ backup, facts: [created('alice-2', 'one')] })
    const spent = written(done, 'alice-2')?.record
    assert.deepEqual(spent !== undefined && 'issuer' in spent && { issuer: spent.issuer, state: spent.state }, {
      issuer: 'restore',
      state: 'disabled',
    })
    assert.deepEqual(written(done, subjectKey({ ...PROVIDER, subject: 'one' }))?.record, { v: 1, handle: 'alice' })
  })

  test('keeps a handle that was given since, with its index, and without roles', () => {
    const done = plan({ facts: [created('bob', 'two')] })
    const record = written(done, 'bob')?.record
    assert.deepEqual(record !== undefined && 'roles' in record && { roles: record.roles, devices: record.devices, state: record.state }, {
      roles: [],
      devices: [],
      state: 'active',
    })
    assert.deepEqual(written(done, subjectKey({ ...PROVIDER, subject: 'two' }))?.record, { v: 1, handle: 'bob' })
    assert.ok(done.writes.every(({ action }) => action === 'reserved'))
  })

  test('gives no handle twice, whatever the order of the trail', () => {
    const done = plan({ facts: [created('bob', 'two'), created('bob', 'three'), created('bob-2', 'three')] })
    const record = written(done, 'bob')?.record
    assert.equal(record !== undefined && 'issuer' in record && record.issuer, 'restore')
    assert.deepEqual(written(done, subjectKey({ ...PROVIDER, subject: 'three' }))?.record, { v: 1, handle: 'bob-2' })
    assert.equal(written(done, subjectKey({ ...PROVIDER, subject: 'two' })), undefined)
  })

  test('writes over the revision that it saw, a deletion included, and never over what it cannot read', () => {
    const [identity, credential] = [identityRecord('orders'), credentialRecord()]
    const live = stateOf(identity)
    const key = credentialKey(credential.id)
    live.blanks.set(`webauthn_credentials/${key}`, { revision: 7, undecodable: false })
    assert.equal(written(plan({ backup: stateOf(identity, credential), live }), key)?.revision, 7)
    live.blanks.set(`webauthn_credentials/${key}`, { revision: 8, undecodable: true })
    const done = plan({ backup: stateOf(identity, credential), live })
    assert.equal(written(done, key), undefined)
    assert.deepEqual(done.conflicts, [{ bucket: 'webauthn_credentials', key }])
    const narrowed = plan({ live: stateOf(identity), facts: [{ kind: 'identity', handle: identity.handle, became: 'disabled', at: 1 }] })
    assert.deepEqual(
      narrowed.writes.map(({ revision, action }) => ({ revision, action })),
      [{ revision: 4, action: 'narrowed' }],
    )
  })

  test('with a gap holds what comes out of the backup, and nothing that is live', () => {
    const [lost, there] = [credentialRecord(), credentialRecord()]
    const identity = identityRecord('orders')
    const done = plan({ backup: stateOf(identity, lost, there), live: stateOf(identity, there), gap: true })
    assert.deepEqual(
      done.writes.map(({ key, action }) => ({ key, action })),
      [{ key: credentialKey(lost.id), action: 'held' }],
    )
  })

  test('has nothing to write once it is done', () => {
    const id = newCredentialId()
    const facts: AuditFact[] = [created('bob', 'two'), { kind: 'credential', id, handle: handleOf('bob'), became: 'revoked', at: 1 }]
    const backup = stateOf(credentialRecord(), identityRecord('orders'))
    const { writes } = plan({ backup, facts })
    const live = stateOf(...writes.map(({ record }) => record).filter((record) => 'handle' in record && 'state' in record))
    assert.deepEqual(plan({ backup, live, facts }).writes, [])
  })
})
