/** What administrators do about people through the admin API, on real nats-servers. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ticketId } from '../../src/core/enrolment/enrolment.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { type AdminDeployment, answerOf, errorOf, startAdminDeployment } from '../support/admin-deployment.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { credentialRecord, handleOf, identityRecord, newCredentialId, roleOf, sessionRecord } from '../support/records.ts'

for (const line of NATS_LINES) {
  describe(`administrators and people on nats-server ${line}`, () => {
    let its: AdminDeployment
    before(async () => {
      its = await startAdminDeployment(line)
    })
    after(() => its.close())
    beforeEach(() => its.reset())

    const person = (handle: string) => ({ handle: handleOf(handle), class: 'person' as const, roles: [roleOf('orders-reader')] })
    const stored = async (id: ReturnType<typeof newCredentialId>) =>
      (await its.verifier.stores.credentials.findOnLeader(credentialKey(id)))?.record ?? assert.fail('no such credential')

    test('invites a person with a link whose secret is in the fragment alone', async () => {
      const { ticket, id, url, link } = answerOf(await its.ask('invite', { ...person('alice'), displayName: 'Alice Example' }))
      assert.equal(link, `http://localhost:9465/#ticket=${ticket}`)
      assert.equal(url, 'http://localhost:9465')
      const parsed = new URL(link ?? '')
      assert.deepEqual([parsed.pathname, parsed.search, parsed.hash], ['/', '', `#ticket=${ticket}`])
      assert.equal(ticketId(ticket), id)
      const kept = await its.verifier.stores.tickets.find(id)
      assert.deepEqual(
        [kept?.record.class, kept?.record.handle, kept?.record.roles, kept?.record.displayName, kept?.record.state],
        ['person', 'alice', ['orders-reader'], 'Alice Example', 'issued'],
      )
      assert.equal(its.lastCode(), 'enrolment.succeeded.invited')
      assert.equal(its.records[0]?.facts['class'], 'person')
      assert.equal(JSON.stringify([kept, its.records]).includes(ticket), false)
    })

    test('gives a machine no link', async () => {
      const body = { handle: handleOf('orders'), class: 'machine' as const, roles: [roleOf('orders-writer')] }
      assert.equal(answerOf(await its.ask('invite', body)).link, null)
    })

    test('invites somebody who was invited before to a further device', async () => {
      const invited = { class: 'person', issuer: 'invitation', devices: [credentialKey(newCredentialId())] } as const
      await its.verifier.stores.identities.createIdentity(identityRecord('bob', { ...invited, devices: [...invited.devices] }))
      assert.notEqual(answerOf(await its.ask('invite', person('bob'))).link, null)
      assert.equal(its.records[0]?.facts['existing'], true)
    })

    test('approves a device once: the first approval stands, under the name of who gave it', async () => {
      const record = credentialRecord({ class: 'person', handle: handleOf('alice'), attestation: { format: 'packed', trust: 'mds' } })
      await its.verifier.stores.credentials.create(record)
      const { item, changed, connections } = answerOf(await its.ask('credential.approve', { id: record.id }))
      assert.deepEqual([item.approvedBy, item.state, changed, connections], ['admin', 'active', true, { kicked: 0, failed: 0 }])
      assert.equal((await stored(record.id)).approvedBy, 'admin')
      assert.equal(its.lastCode(), 'credential.succeeded.approved')
      assert.deepEqual(its.records[0]?.actor, { kind: 'administrator', name: 'admin' })
      assert.equal(its.records[0]?.facts['attestation'], 'packed/mds')
      assert.equal(answerOf(await its.ask('credential.approve', { id: record.id })).changed, false)
      assert.equal(answerOf(await its.ask('credential.show', { id: record.id })).approvedBy, 'admin')
      assert.equal(answerOf(await its.ask('credential.list', { handle: handleOf('alice') })).items[0]?.approvedBy, 'admin')
    })

    test("keeps another administrator's approval", async () => {
      const record = credentialRecord({ class: 'person', approvedBy: 'root' })
      await its.verifier.stores.credentials.create(record)
      const { item, changed } = answerOf(await its.ask('credential.approve', { id: record.id }))
      assert.deepEqual([item.approvedBy, changed], ['root', false])
    })

    test('approves a key of a machine too: its roles may ask for that', async () => {
      const record = credentialRecord({ class: 'machine' })
      await its.verifier.stores.credentials.create(record)
      assert.equal(answerOf(await its.ask('credential.approve', { id: record.id })).item.approvedBy, 'admin')
    })

    for (const state of ['pending', 'quarantined', 'revoked'] as const) {
      test(`approves no credential that is ${state}`, async () => {
        const record = credentialRecord({ class: 'person', state, endedAt: state === 'pending' ? null : 5 })
        await its.verifier.stores.credentials.create(record)
        assert.equal(errorOf(await its.ask('credential.approve', { id: record.id })), 'conflict')
        assert.equal(its.lastCode(), 'credential.refused.conflict')
        assert.equal((await stored(record.id)).approvedBy, null)
      })
    }

    test('approves no credential that is not there', async () => {
      assert.equal(errorOf(await its.ask('credential.approve', { id: newCredentialId() })), 'unknown')
      assert.equal(its.lastCode(), 'credential.refused.unknown')
    })

    test('an approval and a revocation at the same moment leave it revoked', async () => {
      const records = Array.from({ length: 10 }, () => credentialRecord({ class: 'person' }))
      for (const record of records) await its.verifier.stores.credentials.create(record)
      await Promise.all(records.flatMap(({ id }) => [its.ask('credential.approve', { id }), its.ask('credential.revoke', { id })]))
      for (const { id } of records) assert.equal((await stored(id)).state, 'revoked')
    })

    test('shows how a session was endorsed and from where', async () => {
      const record = sessionRecord({ class: 'person', plain: true, byCode: true, label: 'build-7', state: 'active' })
      await its.verifier.stores.sessions.reserve(record)
      const { plain, byCode, label } = answerOf(await its.ask('session.show', { nkey: record.nkey }))
      assert.deepEqual({ plain, byCode, label }, { plain: true, byCode: true, label: 'build-7' })
      const listed = answerOf(await its.ask('session.list', { limit: 500 })).items.find(({ nkey }) => nkey === record.nkey)
      assert.deepEqual([listed?.byCode, listed?.label], [true, 'build-7'])
    })

    test("shows a person's devices by the keys of their credentials, and not their user handle", async () => {
      const credential = credentialRecord({ class: 'person', handle: handleOf('erin') })
      await its.verifier.stores.credentials.create(credential)
      const key = credentialKey(credential.id)
      const identity = identityRecord('erin', { class: 'person', issuer: 'invitation', devices: [key], userHandle: 'c2VjcmV0LWlzaA' })
      await its.verifier.stores.identities.createIdentity(identity)
      const shown = answerOf(await its.ask('identity.show', { handle: handleOf('erin') }))
      assert.deepEqual(shown.devices, [key])
      assert.equal(JSON.stringify(shown).includes(identity.userHandle), false)
      assert.equal(answerOf(await its.ask('credential.show', { id: credential.id })).key, key)
    })

    test('takes all roles of somebody for good: no invitation that is still out brings them back', async () => {
      const invited = {
        class: 'person',
        issuer: 'invitation',
        roles: [{ name: roleOf('orders-reader'), source: 'assigned', asOf: 1 }],
      } as const
      await its.verifier.stores.identities.createIdentity(identityRecord('gil', { ...invited, roles: [...invited.roles] }))
      const [out, others] = [answerOf(await its.ask('invite', person('gil'))), answerOf(await its.ask('invite', person('hal')))]
      await its.ask('identity.roles', { handle: handleOf('nobody-at-all'), roles: [] })
      answerOf(await its.ask('identity.roles', { handle: handleOf('gil'), roles: [roleOf('orders-writer')] }))
      const standing = async ({ id }: { id: string }) => (await its.verifier.stores.tickets.find(id))?.record.state
      assert.equal(await standing(out), 'issued')
      answerOf(await its.ask('identity.roles', { handle: handleOf('gil'), roles: [] }))
      assert.deepEqual([await standing(out), await standing(others)], ['revoked', 'issued'])
      const codes = its.records.map(({ area, outcome, reason }) => `${area}.${outcome}.${reason}`)
      assert.deepEqual(codes.slice(-2), ['enrolment.succeeded.ticket_revoked', 'identity.succeeded.roles_changed'])
    })

    test('sets the assigned roles of a person, and leaves those of the identity provider with their age', async () => {
      const idp = { name: roleOf('orders-reader'), source: 'idp', asOf: 3 } as const
      const assigned = { name: roleOf('orders-writer'), source: 'assigned', asOf: 4 } as const
      const identity = { class: 'person', issuer: 'https://idp.example', subject: 'f', roles: [idp, assigned] } as const
      await its.verifier.stores.identities.createIdentity(identityRecord('fay', { ...identity, roles: [...identity.roles] }))
      const handle = handleOf('fay')
      const none = answerOf(await its.ask('identity.roles', { handle, roles: [] }))
      assert.deepEqual([none.item.roles, none.changed], [[idp], true])
      // Held from both, it lasts as long as either.
      const both = answerOf(await its.ask('identity.roles', { handle, roles: [roleOf('orders-reader')] }))
      assert.deepEqual(
        both.item.roles.map(({ name, source }) => `${source} ${name}`),
        ['idp orders-reader', 'assigned orders-reader'],
      )
      assert.equal(both.item.roles[0]?.asOf, 3)
    })
  })

  describe(`a verifier without people on nats-server ${line}`, () => {
    let its: AdminDeployment
    before(async () => {
      its = await startAdminDeployment(line, { pageOrigin: null })
    })
    after(() => its.close())

    test('invites no person, and issues no ticket', async () => {
      const body = { handle: handleOf('alice'), class: 'person' as const, roles: [roleOf('orders-reader')] }
      assert.equal(errorOf(await its.ask('invite', body)), 'not_supported')
      assert.equal(its.lastCode(), 'enrolment.refused.person_enrolment_unavailable')
      assert.equal(answerOf(await its.ask('ticket.list', {})).items.length, 0)
    })
  })
}
