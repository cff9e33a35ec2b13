/** Who may ask the admin API what, and what it refuses, on real nats-servers. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { createInbox } from 'nats'
import { credentialKey } from '../../src/core/identifiers.ts'
import { type AdminDeployment, answerOf, errorOf, startAdminDeployment } from '../support/admin-deployment.ts'
import { until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { credentialRecord, handleOf, identityRecord, roleOf } from '../support/records.ts'

for (const line of NATS_LINES) {
  describe(`admin API on nats-server ${line}`, () => {
    let its: AdminDeployment
    before(async () => {
      its = await startAdminDeployment(line)
    })
    after(() => its.close())
    beforeEach(() => its.reset())

    const invitation = { handle: handleOf('orders'), class: 'machine' as const, roles: [roleOf('orders-writer')] }

    test('issues no ticket when it cannot be recorded', async () => {
      const tickets = answerOf(await its.ask('ticket.list', {})).items.length
      its.audit.works = false
      assert.equal(errorOf(await its.ask('invite', { ...invitation, roles: [...invitation.roles] })), 'audit_unavailable')
      its.audit.works = true
      assert.equal(answerOf(await its.ask('ticket.list', {})).items.length, tickets)
    })

    for (const [what, body, code, recorded] of [
      ['a role that the policy does not have', { roles: ['root'] }, 'role_unknown', 'admin.refused.request_malformed'],
      ['no roles', { roles: [] }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a bad handle', { handle: 'Orders.>' }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a handle that is too long', { handle: 'a'.repeat(65) }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a validity over seven days', { expiresInSeconds: 604_801 }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a validity that is no number', { expiresInSeconds: '1h' }, 'request_malformed', 'admin.refused.request_malformed'],
      ['an unknown member', { admin: true }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a display name with control characters', { displayName: 'a\u0000b' }, 'request_malformed', 'admin.refused.request_malformed'],
      ['a class that is none', { class: 'robot' }, 'request_malformed', 'admin.refused.request_malformed'],
      [
        'a person and a role that the policy does not have',
        { class: 'person', roles: ['root'] },
        'role_unknown',
        'admin.refused.request_malformed',
      ],
      [
        'a person and roles of machines alone',
        { class: 'person', roles: ['machines-only'] },
        'role_wrong_class',
        'admin.refused.request_malformed',
      ],
      ['a person and no roles', { class: 'person', roles: [] }, 'request_malformed', 'admin.refused.request_malformed'],
    ] as const) {
      test(`refuses to invite with ${what}`, async () => {
        const answer = await its.askRaw('invite', JSON.stringify({ ...invitation, ...body }))
        assert.equal(answer.error?.code, code)
        assert.equal(its.lastCode(), recorded)
        assert.equal(its.records.length, 1)
      })
    }

    for (const [what, operation, payload, code] of [
      ['no JSON', 'invite', '{', 'request_malformed'],
      ['a list', 'invite', '[]', 'request_malformed'],
      ['bytes that are no UTF-8', 'invite', Uint8Array.of(0xff), 'request_malformed'],
      ['a repeated member', 'credential.revoke', '{"id":"AAAA","id":"BBBB"}', 'request_malformed'],
      ['deep nesting', 'status', `${'{"a":'.repeat(50)}1${'}'.repeat(50)}`, 'request_malformed'],
      ['an id that is no id', 'credential.revoke', '{"id":"*"}', 'request_malformed'],
      ['an nkey that is no nkey', 'session.revoke', '{"nkey":"UABC"}', 'request_malformed'],
      ['too many bytes', 'status', `{"a":"${'x'.repeat(20_000)}"}`, 'request_oversized'],
      ['an unknown operation', 'credential.destroy', '{}', 'operation_unknown'],
      ["the name of an object's own member", 'constructor', '{}', 'operation_unknown'],
      ['no operation that is one', 'invite.now', '{}', 'operation_unknown'],
    ] as const) {
      test(`refuses ${what}`, async () => {
        assert.equal((await its.askRaw(operation, payload)).error?.code, code)
        assert.equal(its.lastCode(), 'admin.refused.request_malformed')
        assert.equal(its.failures.length, 0)
      })
    }

    test('refuses to invite under the handle of a person or of a disabled machine', async () => {
      const { identities } = its.verifier.stores
      await identities.createIdentity(identityRecord('bob', { class: 'person', issuer: 'https://idp.example', subject: 'bob' }))
      await identities.createIdentity(identityRecord('retired', { state: 'disabled' }))
      const roles = [...invitation.roles]
      assert.equal(errorOf(await its.ask('invite', { ...invitation, roles, handle: handleOf('bob') })), 'handle_taken')
      assert.equal(its.lastCode(), 'enrolment.refused.handle_taken')
      assert.equal(errorOf(await its.ask('invite', { ...invitation, roles, handle: handleOf('retired') })), 'conflict')
    })

    test('refuses to invite a person under the handle of a machine, of a person of an identity provider, or of a disabled person', async () => {
      const { identities } = its.verifier.stores
      const person = { class: 'person', issuer: 'invitation' } as const
      await identities.createIdentity(identityRecord('press', {}))
      await identities.createIdentity(identityRecord('dora', { class: 'person', issuer: 'https://idp.example', subject: 'dora' }))
      await identities.createIdentity(identityRecord('gone', { ...person, state: 'disabled' }))
      // Its subject is what makes an identity somebody: the same handle with another one is somebody else.
      await identities.createIdentity(identityRecord('twin', { ...person, subject: 'other' }))
      for (const [handle, code, reason] of [
        ['press', 'handle_taken', 'handle_taken'],
        ['dora', 'handle_taken', 'handle_taken'],
        ['twin', 'handle_taken', 'handle_taken'],
        ['gone', 'conflict', 'identity_disabled'],
      ] as const) {
        const body = { handle: handleOf(handle), class: 'person' as const, roles: [...invitation.roles] }
        assert.equal(errorOf(await its.ask('invite', body)), code, handle)
        assert.equal(its.lastCode(), `enrolment.refused.${reason}`, handle)
      }
    })

    test('does not approve what it cannot record', async () => {
      const record = credentialRecord({ class: 'person' })
      await its.verifier.stores.credentials.create(record)
      its.audit.works = false
      assert.equal(errorOf(await its.ask('credential.approve', { id: record.id })), 'audit_unavailable')
      assert.equal((await its.verifier.stores.credentials.findOnLeader(credentialKey(record.id)))?.record.approvedBy, null)
    })

    for (const [what, payload] of [
      ['an id that is no id', '{"id":"*"}'],
      ['no id', '{}'],
      ['the name of somebody else who approves', '{"id":"AAAAAAAAAAAAAAAAAAAAAA","approvedBy":"root"}'],
    ] as const) {
      test(`refuses to approve with ${what}`, async () => {
        assert.equal((await its.askRaw('credential.approve', payload)).error?.code, 'request_malformed')
        assert.equal(its.lastCode(), 'admin.refused.request_malformed')
      })
    }

    test('shows nothing when the reading cannot be recorded', async () => {
      its.audit.works = false
      assert.equal(errorOf(await its.ask('credential.list', {})), 'audit_unavailable')
      assert.equal(errorOf(await its.ask('status', {})), 'audit_unavailable')
    })

    test('does not revoke what it cannot record', async () => {
      const record = credentialRecord()
      await its.verifier.stores.credentials.create(record)
      its.audit.works = false
      assert.equal(errorOf(await its.ask('credential.revoke', { id: record.id })), 'audit_unavailable')
      assert.equal((await its.verifier.stores.credentials.findOnLeader(credentialKey(record.id)))?.record.state, 'active')
    })

    test('tells its status', async () => {
      const status = answerOf(await its.ask('status', {}))
      assert.deepEqual(
        [status.version, status.ready, status.policyHash, status.roles],
        ['0.1.0', true, 'policy-hash', ['machines-only', 'orders-reader', 'orders-writer']],
      )
      assert.ok(status.credentials.active > 0)
    })

    test("serves nobody under another administrator's name: nats-server refuses to publish", async () => {
      const refusals = its.events.filter(({ kind }) => kind === 'failed').length
      its.admin.nats.publish('nats-webauthn.admin.root.status', '{}', { reply: createInbox('_INBOX_admin') })
      await until('the server refused', () => its.events.filter(({ kind }) => kind === 'failed').length > refusals)
      assert.equal(its.records.length, 0)
    })

    for (const reply of ['$KV.webauthn_credentials.x', '_INBOX_verifier.x.1', 'audit.webauthn.x', '_INBOX_administrator.x']) {
      test(`is no tool to publish to ${reply}`, async () => {
        const heard: string[] = []
        const watched = its.verifier.link.nats.subscribe('_INBOX_verifier.x.1', { callback: (_, message) => heard.push(message.subject) })
        its.admin.nats.publish('nats-webauthn.admin.admin.status', '{}', { reply })
        await until('it was recorded', () => its.records.length > 0)
        assert.equal(its.lastCode(), 'admin.refused.request_malformed')
        // Requests are worked on one after the other, so this one comes after an answer to the last.
        answerOf(await its.ask('status', {}))
        assert.deepEqual(heard, [])
        watched.unsubscribe()
      })
    }
  })
}
