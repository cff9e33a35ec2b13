/** What administrators do through the admin API, on real nats-servers. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { ticketId } from '../../src/core/enrolment/enrolment.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import type { Link } from '../../src/nats/connection.ts'
import { type AdminDeployment, answerOf, errorOf, startAdminDeployment } from '../support/admin-deployment.ts'
import { linkTo, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import {
  credentialRecord,
  guardEntry,
  handleOf,
  identityRecord,
  newCredentialId,
  newGuardKey,
  newUserNkey,
  roleOf,
  sessionRecord,
} from '../support/records.ts'

for (const line of NATS_LINES) {
  describe(`admin operations on nats-server ${line}`, () => {
    let its: AdminDeployment
    before(async () => {
      its = await startAdminDeployment(line)
    })
    after(() => its.close())
    beforeEach(() => its.reset())

    const invitation = { handle: handleOf('orders'), class: 'machine' as const, roles: [roleOf('orders-writer')] }

    test('invites a machine: the ticket is shown once and only its hash is kept', async () => {
      const { ticket, id, expiresAt, url } = answerOf(await its.ask('invite', { ...invitation, roles: [...invitation.roles] }))
      assert.equal(ticketId(ticket), id)
      assert.equal(url, 'http://localhost:9465')
      assert.ok(expiresAt > Date.now() + 3_500_000 && expiresAt <= Date.now() + 3_600_000)
      const stored = await its.verifier.stores.tickets.find(id)
      assert.deepEqual(
        [stored?.record.handle, stored?.record.roles, stored?.record.invitedBy, stored?.record.state],
        ['orders', ['orders-writer'], 'admin', 'issued'],
      )
      assert.equal(JSON.stringify(stored).includes(ticket), false)
      assert.equal(JSON.stringify(its.records).includes(ticket), false)
      const [event] = its.records
      assert.equal(its.lastCode(), 'enrolment.succeeded.invited')
      assert.deepEqual(event?.actor, { kind: 'administrator', name: 'admin' })
      assert.deepEqual(event?.target, { kind: 'ticket', id })
      assert.equal(event?.policyHash, 'policy-hash')
    })

    test('takes back an unused ticket once and for all, and not a used one', async () => {
      const first = answerOf(await its.ask('invite', { ...invitation, roles: [...invitation.roles] }))
      const taken = answerOf(await its.ask('ticket.revoke', { id: first.id }))
      assert.deepEqual([taken.changed, taken.item.state], [true, 'revoked'])
      assert.equal(answerOf(await its.ask('ticket.revoke', { id: first.id })).changed, false)
      const second = answerOf(await its.ask('invite', { ...invitation, roles: [...invitation.roles] }))
      const stored = (await its.verifier.stores.tickets.find(second.id)) ?? assert.fail()
      await its.verifier.stores.tickets.replace(second.id, stored, { ...stored.record, state: 'used', usedAt: 1 })
      assert.equal(errorOf(await its.ask('ticket.revoke', { id: second.id })), 'conflict')
      assert.equal(errorOf(await its.ask('ticket.revoke', { id: credentialKey(newCredentialId()) })), 'unknown')
      const listed = answerOf(await its.ask('ticket.list', { limit: 500 }))
      assert.deepEqual(
        listed.items
          .filter(({ id }) => id === first.id || id === second.id)
          .map(({ state }) => state)
          .sort(),
        ['revoked', 'used'],
      )
    })

    test('shows a credential without its key, and records the reading', async () => {
      const record = credentialRecord()
      await its.verifier.stores.credentials.create(record)
      const shown = answerOf(await its.ask('credential.show', { id: record.id }))
      assert.equal(shown.key, credentialKey(record.id))
      assert.equal(JSON.stringify(shown).includes(record.publicKey), false)
      assert.equal(its.lastCode(), 'admin.succeeded.read')
      assert.equal(errorOf(await its.ask('credential.show', { id: newCredentialId() })), 'unknown')
      assert.equal(its.lastCode(), 'credential.refused.unknown')
    })

    test('lists page by page, each item once, and by handle and state', async () => {
      const handle = handleOf('lister')
      const made = Array.from({ length: 25 }, (_, i) => credentialRecord({ handle, state: i % 5 === 0 ? 'quarantined' : 'active' }))
      for (const record of made) await its.verifier.stores.credentials.create(record)
      const seen: string[] = []
      let cursor: string | null = null
      do {
        const page: { items: { id: string }[]; cursor: string | null; complete: boolean } = answerOf(
          await its.ask('credential.list', { handle, limit: 7, cursor }),
        )
        assert.ok(page.items.length <= 7 && page.complete)
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.cursor
      } while (cursor !== null)
      assert.deepEqual(seen.sort(), made.map(({ id }) => id as string).sort())
      assert.equal(answerOf(await its.ask('credential.list', { handle, state: 'quarantined' })).items.length, 5)
    })

    test('revokes a credential before all else that writes it', async () => {
      const record = credentialRecord()
      const { credentials } = its.verifier.stores
      await credentials.create(record)
      let going = true
      let moved = 0
      // A verifier that keeps moving the counter, as verdicts do: it gives up when the record is no longer active.
      const mover = (async () => {
        let current = (await credentials.findOnLeader(credentialKey(record.id))) ?? assert.fail()
        while (going) {
          const other = await credentials.replace(current, { ...current.record, signCount: current.record.signCount + 1 })
          if (other === null) moved++
          current = other ?? (await credentials.findOnLeader(credentialKey(record.id))) ?? assert.fail()
          if (current.record.state !== 'active') return
        }
      })()
      await until('the counter moves', () => moved > 5)
      const { item, changed } = answerOf(await its.ask('credential.revoke', { id: record.id }))
      assert.deepEqual([item.state, changed], ['revoked', true])
      going = false
      await mover
      assert.equal((await credentials.findOnLeader(credentialKey(record.id)))?.record.state, 'revoked')
      assert.equal(its.lastCode(), 'credential.succeeded.revoked')
      assert.equal(answerOf(await its.ask('credential.revoke', { id: record.id })).changed, false)
      assert.equal(errorOf(await its.ask('credential.release', { id: record.id })), 'conflict')
      assert.equal(its.lastCode(), 'credential.refused.conflict')
      assert.equal((await credentials.findOnLeader(credentialKey(record.id)))?.record.state, 'revoked')
    })

    test('releases a quarantined credential, and no pending one', async () => {
      const quarantined = credentialRecord({ state: 'quarantined', endedAt: 5 })
      const pending = credentialRecord({ state: 'pending' })
      for (const record of [quarantined, pending]) await its.verifier.stores.credentials.create(record)
      assert.equal(answerOf(await its.ask('credential.release', { id: quarantined.id })).item.state, 'active')
      assert.equal(its.lastCode(), 'credential.succeeded.released')
      assert.equal(errorOf(await its.ask('credential.release', { id: pending.id })), 'conflict')
    })

    test('revokes a session and keeps it as a tombstone', async () => {
      const stored = await its.verifier.stores.sessions.reserve(sessionRecord())
      const { nkey } = stored.record
      assert.equal(answerOf(await its.ask('session.revoke', { nkey })).item.state, 'revoked')
      assert.equal(its.lastCode(), 'session.succeeded.revoked')
      assert.equal((await its.verifier.stores.sessions.reserve(sessionRecord({ nkey }))).record.state, 'revoked')
      assert.equal(errorOf(await its.ask('session.revoke', { nkey: newUserNkey() })), 'unknown')
      assert.equal(answerOf(await its.ask('session.show', { nkey })).state, 'revoked')
      assert.ok(answerOf(await its.ask('session.list', { state: 'revoked' })).items.some((item) => item.nkey === nkey))
    })

    test('disables, enables and gives roles to an identity, keeping the roles of its identity provider', async () => {
      const handle = handleOf('carol')
      const idp = { name: roleOf('staff'), source: 'idp', asOf: 3 } as const
      await its.verifier.stores.identities.createIdentity(identityRecord('carol', { roles: [idp] }))
      assert.equal(answerOf(await its.ask('identity.disable', { handle })).item.state, 'disabled')
      assert.equal((await its.verifier.stores.identities.find(handle))?.state, 'disabled')
      assert.equal(answerOf(await its.ask('identity.enable', { handle })).item.state, 'active')
      const given = answerOf(await its.ask('identity.roles', { handle, roles: [roleOf('orders-reader'), roleOf('orders-reader')] }))
      assert.deepEqual(
        given.item.roles.map(({ name, source }) => `${source} ${name}`),
        ['idp staff', 'assigned orders-reader'],
      )
      assert.equal(its.lastCode(), 'identity.succeeded.roles_changed')
      assert.equal(answerOf(await its.ask('identity.roles', { handle, roles: [roleOf('orders-reader')] })).changed, false)
      assert.equal(errorOf(await its.ask('identity.roles', { handle, roles: [roleOf('root')] })), 'role_unknown')
      assert.equal(errorOf(await its.ask('identity.disable', { handle: handleOf('nobody') })), 'unknown')
      assert.ok(answerOf(await its.ask('identity.list', {})).items.some((item) => item.handle === handle))
      assert.equal(answerOf(await its.ask('identity.show', { handle })).state, 'active')
    })

    test('closes the connections of what it revokes, and one that was let in meanwhile', async () => {
      const record = credentialRecord({ handle: handleOf('kicked') })
      await its.verifier.stores.credentials.create(record)
      const victims = [await linkTo(its.deployment, 'admin'), await linkTo(its.deployment, 'admin')]
      const bystander = await linkTo(its.deployment, 'admin')
      const gone = victims.map(
        (victim) =>
          new Promise<void>((resolve) =>
            victim.onChange((connected) => {
              if (!connected) resolve()
            }),
          ),
      )
      const admit = async (link: Link) => {
        const { server_id: serverId, client_id: clientId } = link.nats.info ?? assert.fail('no INFO')
        await its.verifier.stores.guard.claim(
          newGuardKey(),
          guardEntry({ serverId, clientId, credential: credentialKey(record.id), handle: record.handle }),
        )
      }
      await admit(victims[0] ?? assert.fail())
      const { connections } = answerOf(await its.ask('credential.revoke', { id: record.id }))
      assert.deepEqual(connections, { kicked: 1, failed: 0 })
      assert.equal(its.lastCode(), 'connection.succeeded.kicked')
      await admit(victims[1] ?? assert.fail())
      await Promise.all(gone)
      assert.equal(bystander.isConnected(), true)
      for (const link of [...victims, bystander]) await link.drain()
    })
  })
}
