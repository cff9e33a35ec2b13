import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { lifecycleMessage } from '../../src/audit/audit-record.ts'
import { recordBytesMax } from '../../src/audit/stream.ts'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import type { LoginReason } from '../../src/core/refusal.ts'
import { lifecycleEvent } from '../support/audit-events.ts'
import { EntityManagement, LoginAuthentication } from '../support/ocsf-schema.ts'

const origin = { source: 'nats-webauthn/test', version: '0.1.0' }

describe('records of logins', () => {
  const bodyOfLogin = (...given: Parameters<typeof lifecycleEvent>) =>
    LoginAuthentication.parse(JSON.parse(lifecycleMessage(lifecycleEvent(...given), origin).body))
  const refused = (reason: LoginReason, changes: Partial<LifecycleEvent> = {}) =>
    bodyOfLogin({ area: 'login', outcome: 'refused', reason }, changes)

  test('tell how the person came, from where and as whom', () => {
    const ways = (['idp', 'invitation', 'passkey', 'ended'] as const).map((reason) => {
      const { activity_name, auth_protocol_id, auth_protocol } = bodyOfLogin({ area: 'login', outcome: 'succeeded', reason })
      return [reason, activity_name, auth_protocol_id, auth_protocol]
    })
    assert.deepEqual(ways, [
      ['idp', 'Logon', 4, 'OpenID'],
      ['invitation', 'Logon', 99, 'One-time invitation'],
      ['passkey', 'Logon', 99, 'FIDO2/WebAuthn'],
      ['ended', 'Logoff', 99, 'Login cookie'],
    ])
    const body = bodyOfLogin({ area: 'login', outcome: 'succeeded', reason: 'idp' }, { facts: { source: '2001:db8::7' } })
    assert.deepEqual(body.user, { name: 'alice', type_id: 1, type: 'User' })
    assert.deepEqual(body.src_endpoint, { ip: '2001:db8::7' })
  })

  test('call a passkey a factor, and more than one factor only where its user was verified', () => {
    const by = (facts: LifecycleEvent['facts']) => bodyOfLogin({ area: 'login', outcome: 'succeeded', reason: 'passkey' }, { facts })
    assert.equal(by({ userVerified: true }).auth_factors?.[0]?.device.uid, 'dGhlIGNyZWRlbnRpYWw')
    assert.equal(by({ userVerified: true }).is_mfa, true)
    assert.equal(by({ userVerified: false }).is_mfa, false)
    assert.equal(by({}).is_mfa, undefined)
    assert.equal(by({ userVerified: 'true' }).is_mfa, undefined)
    for (const reason of ['idp', 'invitation'] as const) {
      const body = bodyOfLogin({ area: 'login', outcome: 'succeeded', reason }, { facts: { userVerified: true } })
      assert.deepEqual([body.auth_factors, body.is_mfa], [undefined, undefined])
    }
    assert.equal(refused('passkey_invalid', { facts: { userVerified: true } }).auth_factors, undefined)
  })

  test('know nobody before something was proven', () => {
    const body = refused('login_unknown', { handle: null, actor: { kind: 'unknown', name: '' }, facts: { count: 7, source: 'proxy' } })
    assert.deepEqual(body.user, { uid: 'unknown', type_id: 0, type: 'Unknown' })
    assert.deepEqual([body.count, body.src_endpoint], [7, { hostname: 'proxy' }])
    assert.equal(refused('login_unknown', { facts: { count: 1 } }).count, undefined)
  })

  test('are worse for what only an attack causes than for what happens every day', () => {
    assert.equal(refused('login_missing').severity_id, 2)
    assert.equal(refused('roles_none').severity_id, 3)
    for (const reason of ['signature_invalid', 'algorithm_refused', 'nonce_mismatch', 'request_used', 'login_ended'] as const) {
      assert.equal(refused(reason).severity_id, 4, reason)
    }
    assert.equal(bodyOfLogin({ area: 'login', outcome: 'failed', reason: 'internal' }).severity_id, 5)
  })

  test('say who allowed it, however many facts there are', () => {
    const facts = { ...Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`fact${i}`, i])), allowedBy: 'identity provider staff' }
    const code = { outcome: 'succeeded', reason: 'enrolled', area: 'enrolment' } as const
    for (const body of [
      bodyOfLogin({ area: 'login', outcome: 'succeeded', reason: 'idp' }, { facts }),
      EntityManagement.parse(JSON.parse(lifecycleMessage(lifecycleEvent(code, { facts }), origin).body)),
    ]) {
      assert.equal((body.unmapped['facts'] as Record<string, unknown>)['allowedBy'], 'identity provider staff')
    }
  })

  test('escape and cut what came from outside, and fit their stream', () => {
    const long = '\u{1f600}\u202e"\\'.repeat(5000)
    const facts = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${long}${i}`, long]))
    const event = lifecycleEvent(
      { area: 'login', outcome: 'refused', reason: 'token_malformed' },
      { facts: { ...facts, source: long }, detail: long, roles: Array(5000).fill(long), target: { kind: 'ticket', id: long } },
    )
    const { body } = lifecycleMessage(event, origin)
    assert(Buffer.byteLength(body) < recordBytesMax)
    assert.doesNotMatch(body, /\u202e/)
  })
})
