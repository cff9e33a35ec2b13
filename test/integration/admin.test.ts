/** The admin API from an administrator's own connection, on real nats-servers. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createInbox } from 'nats'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import { ticketId } from '../../src/core/enrolment.ts'
import { credentialKey, parseAccountName } from '../../src/core/identifiers.ts'
import type { Policy, Role } from '../../src/core/policy.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { type AdminApi, serveAdminApi } from '../../src/nats/admin.ts'
import { adminRequest } from '../../src/nats/admin-client.ts'
import type { AdminOperation, AdminReply, AdminRequest } from '../../src/nats/admin-protocol.ts'
import type { Link, LinkEvent } from '../../src/nats/connection.ts'
import { createKicker, type Kicker } from '../../src/nats/kicker.ts'
import { createSystem } from '../../src/nats/system.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { linkTo, openVerifier, type TestVerifier, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { credentialRecord, guardEntry, handleOf, identityRecord, newCredentialId, newGuardKey, newUserNkey, roleOf, sessionRecord } from '../support/records.ts'

function policyOf(...names: string[]): Policy {
  const roles = names.map((name): Role => ({
    name: roleOf(name), account: known(parseAccountName('APP')), publish: { allow: [], deny: [] }, subscribe: { allow: [], deny: [] },
    allowResponses: null, ttlSeconds: 900, sessionSeconds: null, plainSessions: false, limits: { connections: null },
    require: { class: null, userVerification: false, deviceBound: false, aaguids: null, clientTypes: null, sourceCidrs: null, timeWindows: null },
  }))
  return { roles: new Map(roles.map((role) => [role.name, role])), hash: 'policy-hash' }
}

function known<T>(value: T | null): T {
  return value ?? assert.fail()
}

for (const line of NATS_LINES) {
  describe(`admin API on nats-server ${line}`, () => {
    let deployment: Deployment
    let verifier: TestVerifier
    let system: Link
    let admin: Link
    let api: AdminApi
    let kicker: Kicker
    const adminEvents: LinkEvent[] = []
    const failures: unknown[] = []
    let records: LifecycleEvent[] = []
    let auditWorks = true

    before(async () => {
      deployment = await startDeployment({ line })
      verifier = await openVerifier(deployment)
      system = await linkTo(deployment, 'verifierSys')
      admin = await linkTo(deployment, 'admin', (event) => adminEvents.push(event))
      const { stores } = verifier
      kicker = createKicker({ guard: stores.guard, system: createSystem(system), againAfterMs: 200, onFailure: (cause) => failures.push(cause) })
      api = serveAdminApi({
        link: verifier.link,
        onFailure: (cause) => failures.push(cause),
        world: {
          stores,
          kicker,
          lifecycle: {
            record: async (event) => {
              if (!auditWorks) throw new AuditUnavailable('recording')
              records.push(event)
            },
          },
          policy: () => policyOf('orders-writer', 'orders-reader'),
          enrolmentUrl: 'http://localhost:9465',
          version: '0.1.0',
          isReady: () => stores.isHealthy(),
        },
      })
      await verifier.link.nats.flush()
    })
    after(async () => {
      await api.stop()
      kicker.stop()
      for (const link of [admin, system]) await link.drain()
      await verifier.close()
      await deployment.stop()
    })
    beforeEach(() => {
      records = []
      auditWorks = true
      failures.length = 0
    })

    const ask = <O extends AdminOperation>(operation: O, body: AdminRequest<O>) => adminRequest(admin, 'admin', operation, body)
    const lastCode = () => records.map(({ area, outcome, reason }) => `${area}.${outcome}.${reason}`).at(-1)
    const askRaw = async (operation: string, payload: string | Uint8Array) =>
      (await admin.nats.request(`nats-webauthn.admin.admin.${operation}`, payload, { timeout: 5_000 })).json() as { error?: { code: string; message: string } }

    const invitation = { handle: handleOf('orders'), class: 'machine', roles: [roleOf('orders-writer')] } as const

    test('invites a machine: the ticket is shown once and only its hash is kept', async () => {
      const { ticket, id, expiresAt, url } = answerOf(await ask('invite', { ...invitation, roles: [...invitation.roles] }))
      assert.equal(ticketId(ticket), id)
      assert.equal(url, 'http://localhost:9465')
      assert.ok(expiresAt > Date.now() + 3_500_000 && expiresAt <= Date.now() + 3_600_000)
      const stored = await verifier.stores.tickets.find(id)
      assert.deepEqual([stored?.record.handle, stored?.record.roles, stored?.record.invitedBy, stored?.record.state], ['orders', ['orders-writer'], 'admin', 'issued'])
      assert.equal(JSON.stringify(stored).includes(ticket), false)
      assert.equal(JSON.stringify(records).includes(ticket), false)
      const [event] = records
      assert.equal(lastCode(), 'enrolment.succeeded.invited')
      assert.deepEqual(event?.actor, { kind: 'administrator', name: 'admin' })
      assert.deepEqual(event?.target, { kind: 'ticket', id })
      assert.equal(event?.policyHash, 'policy-hash')
    })

    test('issues no ticket when it cannot be recorded', async () => {
      auditWorks = false
      const tickets = messagesOf(await listTickets())
      assert.equal(errorOf(await ask('invite', { ...invitation, roles: [...invitation.roles] })), 'audit_unavailable')
      auditWorks = true
      assert.equal(messagesOf(await listTickets()), tickets)
    })
    const listTickets = async () => verifier.link.nats.request('$JS.API.STREAM.INFO.KV_webauthn_tickets', '{}', { timeout: 1_000 })
    const messagesOf = (message: { json(): unknown }) => (message.json() as { state: { messages: number } }).state.messages

    for (const [what, body, code, recorded] of [
      ['a role that the policy does not have', { roles: ['root'] }, 'role_unknown', 'admin.refused.request_malformed'],
      ['no roles', { roles: [] }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a bad handle', { handle: 'Orders.>' }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a handle that is too long', { handle: 'a'.repeat(65) }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a validity over seven days', { expiresInSeconds: 604_801 }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a validity that is no number', { expiresInSeconds: '1h' }, 'request_malformed', 'admin.refused.request_malformed'],
      ['an unknown member', { admin: true }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a display name with control characters', { displayName: 'a\u0000b' }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a person', { class: 'person' }, 'not_supported', 'enrolment.refused.person_enrolment_unavailable'],
    ] as const) {
      test(`refuses to invite with ${what}`, async () => {
        const answer = await askRaw('invite', JSON.stringify({ ...invitation, ...body }))
        assert.equal(answer.error?.code, code)
        assert.equal(lastCode(), recorded)
        assert.equal(records.length, 1)
      })
    }

    for (const [what, operation, payload, code] of [
      ['no JSON', 'invite', '{', 'request_malformed'],
      ['a list', 'invite', '[]', 'request_malformed'],
      ['bytes that are no UTF-8', 'invite', Uint8Array.of(0xff), 'request_malformed'],
      ['a repeated member', 'credential.revoke', '{"id":"AAAA","id":"BBBB"}', 'request_malformed'],
      ['deep nesting', 'status', '{"a":'.repeat(50) + '1' + '}'.repeat(50), 'request_malformed'],
      ['an id that is no id', 'credential.revoke', '{"id":"*"}', 'request_malformed'],
      ['an nkey that is no nkey', 'session.revoke', '{"nkey":"UABC"}', 'request_malformed'],
      ['too many bytes', 'status', `{"a":"${'x'.repeat(20_000)}"}`, 'request_oversized'],
      ['an unknown operation', 'credential.destroy', '{}', 'operation_unknown'],
      ['the name of an object\'s own member', 'constructor', '{}', 'operation_unknown'],
      ['no operation that is one', 'invite.now', '{}', 'operation_unknown'],
    ] as const) {
      test(`refuses ${what}`, async () => {
        assert.equal((await askRaw(operation, payload)).error?.code, code)
        assert.equal(lastCode(), 'admin.refused.request_malformed')
        assert.equal(failures.length, 0)
      })
    }

    test('refuses to invite under the handle of a person or of a disabled machine', async () => {
      const { identities } = verifier.stores
      await identities.createIdentity(identityRecord('bob', { class: 'person', issuer: 'https://idp.example', subject: 'bob' }))
      await identities.createIdentity(identityRecord('retired', { state: 'disabled' }))
      const roles = [...invitation.roles]
      assert.equal(errorOf(await ask('invite', { ...invitation, roles, handle: handleOf('bob') })), 'handle_taken')
      assert.equal(lastCode(), 'enrolment.refused.handle_taken')
      assert.equal(errorOf(await ask('invite', { ...invitation, roles, handle: handleOf('retired') })), 'conflict')
    })

    test('takes back an unused ticket once and for all, and not a used one', async () => {
      const first = answerOf(await ask('invite', { ...invitation, roles: [...invitation.roles] }))
      const taken = answerOf(await ask('ticket.revoke', { id: first.id }))
      assert.deepEqual([taken.changed, taken.item.state], [true, 'revoked'])
      assert.equal(answerOf(await ask('ticket.revoke', { id: first.id })).changed, false)
      const second = answerOf(await ask('invite', { ...invitation, roles: [...invitation.roles] }))
      const stored = (await verifier.stores.tickets.find(second.id)) ?? assert.fail()
      await verifier.stores.tickets.replace(second.id, stored, { ...stored.record, state: 'used', usedAt: 1 })
      assert.equal(errorOf(await ask('ticket.revoke', { id: second.id })), 'conflict')
      assert.equal(errorOf(await ask('ticket.revoke', { id: credentialKey(newCredentialId()) })), 'unknown')
      const listed = answerOf(await ask('ticket.list', { limit: 500 }))
      assert.deepEqual(listed.items.filter(({ id }) => id === first.id || id === second.id).map(({ state }) => state).sort(), ['revoked', 'used'])
    })

    test('shows a credential without its key, and records the reading', async () => {
      const record = credentialRecord()
      await verifier.stores.credentials.create(record)
      const shown = answerOf(await ask('credential.show', { id: record.id }))
      assert.equal(shown.key, credentialKey(record.id))
      assert.equal(JSON.stringify(shown).includes(record.publicKey), false)
      assert.equal(lastCode(), 'admin.succeeded.read')
      assert.equal(errorOf(await ask('credential.show', { id: newCredentialId() })), 'unknown')
      assert.equal(lastCode(), 'credential.refused.unknown')
    })

    test('shows nothing when the reading cannot be recorded', async () => {
      auditWorks = false
      assert.equal(errorOf(await ask('credential.list', {})), 'audit_unavailable')
      assert.equal(errorOf(await ask('status', {})), 'audit_unavailable')
    })

    test('lists page by page, each item once, and by handle and state', async () => {
      const handle = handleOf('lister')
      const made = Array.from({ length: 25 }, (_, i) => credentialRecord({ handle, state: i % 5 === 0 ? 'quarantined' : 'active' }))
      for (const record of made) await verifier.stores.credentials.create(record)
      const seen: string[] = []
      let cursor: string | null = null
      do {
        const page: { items: { id: string }[]; cursor: string | null; complete: boolean } = answerOf(await ask('credential.list', { handle, limit: 7, cursor }))
        assert.ok(page.items.length <= 7 && page.complete)
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.cursor
      } while (cursor !== null)
      assert.deepEqual(seen.sort(), made.map(({ id }) => id as string).sort())
      assert.equal(answerOf(await ask('credential.list', { handle, state: 'quarantined' })).items.length, 5)
    })

    test('revokes a credential before all else that writes it', async () => {
      const record = credentialRecord()
      const { credentials } = verifier.stores
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
      const { item, changed } = answerOf(await ask('credential.revoke', { id: record.id }))
      assert.deepEqual([item.state, changed], ['revoked', true])
      going = false
      await mover
      assert.equal((await credentials.findOnLeader(credentialKey(record.id)))?.record.state, 'revoked')
      assert.equal(lastCode(), 'credential.succeeded.revoked')
      assert.equal(answerOf(await ask('credential.revoke', { id: record.id })).changed, false)
      assert.equal(errorOf(await ask('credential.release', { id: record.id })), 'conflict')
      assert.equal(lastCode(), 'credential.refused.conflict')
      assert.equal((await credentials.findOnLeader(credentialKey(record.id)))?.record.state, 'revoked')
    })

    test('does not revoke what it cannot record', async () => {
      const record = credentialRecord()
      await verifier.stores.credentials.create(record)
      auditWorks = false
      assert.equal(errorOf(await ask('credential.revoke', { id: record.id })), 'audit_unavailable')
      assert.equal((await verifier.stores.credentials.findOnLeader(credentialKey(record.id)))?.record.state, 'active')
    })

    test('releases a quarantined credential, and no pending one', async () => {
      const quarantined = credentialRecord({ state: 'quarantined', endedAt: 5 })
      const pending = credentialRecord({ state: 'pending' })
      for (const record of [quarantined, pending]) await verifier.stores.credentials.create(record)
      assert.equal(answerOf(await ask('credential.release', { id: quarantined.id })).item.state, 'active')
      assert.equal(lastCode(), 'credential.succeeded.released')
      assert.equal(errorOf(await ask('credential.release', { id: pending.id })), 'conflict')
    })

    test('revokes a session and keeps it as a tombstone', async () => {
      const stored = await verifier.stores.sessions.reserve(sessionRecord())
      const { nkey } = stored.record
      assert.equal(answerOf(await ask('session.revoke', { nkey })).item.state, 'revoked')
      assert.equal(lastCode(), 'session.succeeded.revoked')
      assert.equal((await verifier.stores.sessions.reserve(sessionRecord({ nkey }))).record.state, 'revoked')
      assert.equal(errorOf(await ask('session.revoke', { nkey: newUserNkey() })), 'unknown')
      assert.equal(answerOf(await ask('session.show', { nkey })).state, 'revoked')
      assert.ok(answerOf(await ask('session.list', { state: 'revoked' })).items.some((item) => item.nkey === nkey))
    })

    test('disables, enables and gives roles to an identity, keeping the roles of its identity provider', async () => {
      const handle = handleOf('carol')
      const idp = { name: roleOf('staff'), source: 'idp', asOf: 3 } as const
      await verifier.stores.identities.createIdentity(identityRecord('carol', { roles: [idp] }))
      assert.equal(answerOf(await ask('identity.disable', { handle })).item.state, 'disabled')
      assert.equal((await verifier.stores.identities.find(handle))?.state, 'disabled')
      assert.equal(answerOf(await ask('identity.enable', { handle })).item.state, 'active')
      const given = answerOf(await ask('identity.roles', { handle, roles: [roleOf('orders-reader'), roleOf('orders-reader')] }))
      assert.deepEqual(given.item.roles.map(({ name, source }) => `${source} ${name}`), ['idp staff', 'assigned orders-reader'])
      assert.equal(lastCode(), 'identity.succeeded.roles_changed')
      assert.equal(answerOf(await ask('identity.roles', { handle, roles: [roleOf('orders-reader')] })).changed, false)
      assert.equal(errorOf(await ask('identity.roles', { handle, roles: [roleOf('root')] })), 'role_unknown')
      assert.equal(errorOf(await ask('identity.disable', { handle: handleOf('nobody') })), 'unknown')
      assert.ok(answerOf(await ask('identity.list', {})).items.some((item) => item.handle === handle))
      assert.equal(answerOf(await ask('identity.show', { handle })).state, 'active')
    })

    test('closes the connections of what it revokes, and one that was let in meanwhile', async () => {
      const record = credentialRecord({ handle: handleOf('kicked') })
      await verifier.stores.credentials.create(record)
      const victims = [await linkTo(deployment, 'admin'), await linkTo(deployment, 'admin')]
      const bystander = await linkTo(deployment, 'admin')
      const gone = victims.map((victim) => new Promise<void>((resolve) => victim.onChange((connected) => { if (!connected) resolve() })))
      const remember = (link: Link) => {
        const { server_id: serverId, client_id: clientId } = link.nats.info ?? assert.fail('no INFO')
        verifier.stores.guard.remember(newGuardKey(), guardEntry({ serverId, clientId, credential: credentialKey(record.id), handle: record.handle }))
      }
      remember(victims[0] ?? assert.fail())
      const { connections } = answerOf(await ask('credential.revoke', { id: record.id }))
      assert.deepEqual(connections, { kicked: 1, failed: 0 })
      assert.equal(lastCode(), 'connection.succeeded.kicked')
      remember(victims[1] ?? assert.fail())
      await Promise.all(gone)
      assert.equal(bystander.isConnected(), true)
      for (const link of [...victims, bystander]) await link.drain()
    })

    test('tells its status', async () => {
      const status = answerOf(await ask('status', {}))
      assert.deepEqual([status.version, status.ready, status.policyHash, status.roles], ['0.1.0', true, 'policy-hash', ['orders-reader', 'orders-writer']])
      assert.ok(status.credentials.active > 0)
    })

    test('serves nobody under another administrator\'s name: nats-server refuses to publish', async () => {
      const refusals = adminEvents.filter(({ kind }) => kind === 'failed').length
      admin.nats.publish('nats-webauthn.admin.root.status', '{}', { reply: createInbox('_INBOX_admin') })
      await until('the server refused', () => adminEvents.filter(({ kind }) => kind === 'failed').length > refusals)
      assert.equal(records.length, 0)
    })

    for (const reply of ['$KV.webauthn_credentials.x', '_INBOX_verifier.x.1', 'audit.webauthn.x', '_INBOX_administrator.x']) {
      test(`is no tool to publish to ${reply}`, async () => {
        const heard: string[] = []
        const watched = verifier.link.nats.subscribe('_INBOX_verifier.x.1', { callback: (_, message) => heard.push(message.subject) })
        admin.nats.publish('nats-webauthn.admin.admin.status', '{}', { reply })
        await until('it was recorded', () => records.length > 0)
        assert.equal(lastCode(), 'admin.refused.request_malformed')
        // Requests are worked on one after the other, so this one comes after an answer to the last.
        answerOf(await ask('status', {}))
        assert.deepEqual(heard, [])
        watched.unsubscribe()
      })
    }
  })
}

function answerOf<O extends AdminOperation>(reply: AdminReply<O>) {
  if (!reply.ok) assert.fail(`refused: ${reply.error.code}`)
  return reply.value
}

function errorOf<O extends AdminOperation>(reply: AdminReply<O>): string {
  return reply.ok ? 'none' : reply.error.code
}
