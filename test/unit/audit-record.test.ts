import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { lifecycleMessage, streamOf, verdictMessage } from '../../src/audit/audit-record.ts'
import { encodeHeaderValue } from '../../src/audit/cloudevent.ts'
import { identityUid } from '../../src/audit/ocsf-common.ts'
import { recordBytesMax, STREAM_AREAS } from '../../src/audit/stream.ts'
import type { IdentityFacts, VerdictEvent } from '../../src/core/audit-event.ts'
import { DENIALS } from '../../src/core/denial.ts'
import { type CredentialId, legacyName, type RoleName } from '../../src/core/identifiers.ts'
import { ALL_LIFECYCLE_CODES, ALL_VERDICTS, lifecycleEvent, unverifiedDenial, verdictEvent } from '../support/audit-events.ts'
import { Authentication, EntityManagement, LoginAuthentication } from '../support/ocsf-schema.ts'

const origin = { source: 'nats-webauthn/test', version: '0.1.0' }
const bodyOf = (event: VerdictEvent) => Authentication.parse(JSON.parse(verdictMessage(event, origin).body))
const identityOf = (changes: Partial<IdentityFacts>) => {
  const { identity } = verdictEvent({ outcome: 'granted', reason: 'proof' })
  assert(identity !== null)
  return { ...identity, ...changes }
}

describe('records of verdicts', () => {
  for (const verdict of ALL_VERDICTS) {
    test(`${verdict.outcome} ${verdict.reason} is an OCSF Authentication event with its reason as code`, () => {
      const admitted = verdict.outcome === 'granted' || verdict.outcome === 'reported'
      for (const verified of verdict.outcome === 'granted' ? [true] : [true, false]) {
        const event = verdictEvent(verdict, { verified })
        const message = verdictMessage(event, origin)
        const area = verified || admitted ? 'connection' : 'request'
        assert.equal(message.subject, `audit.webauthn.${area}.${verdict.outcome}.${verdict.reason}`)
        assert((STREAM_AREAS[message.stream] as readonly string[]).includes(area))
        const body = bodyOf(event)
        assert.equal(body.status_code, verdict.reason)
        assert.equal(body.status_id, admitted ? 1 : 2)
        assert.equal(body.metadata.log_name, message.subject)
        assert.equal(body.metadata.uid, message.id)
      }
    })
  }

  test('severity comes from the registry', () => {
    const expected = { notice: 2, warning: 3, alert: 4 }
    for (const verdict of ALL_VERDICTS) {
      const want = verdict.outcome === 'granted' ? 1 : verdict.outcome === 'error' ? 5 : expected[DENIALS[verdict.reason].severity]
      assert.equal(bodyOf(verdictEvent(verdict)).severity_id, want)
    }
  })

  test('what report-only mode let pass names the legacy user, how it signed in, and what would have been refused', () => {
    const legacy = { name: legacyName('billing'), kind: 'password' as const }
    const event = verdictEvent({ outcome: 'reported', reason: 'credential_revoked', legacy }, { verified: false, stage: 'record' })
    const message = verdictMessage(event, origin)
    const body = bodyOf(event)
    assert.equal(message.stream, 'WEBAUTHN_AUDIT')
    assert.deepEqual(body.user, { name: 'legacy:billing', uid: 'legacy|legacy:billing', type_id: 99, type: 'Legacy user' })
    assert.equal(body.auth_protocol, 'NATS password')
    // The device that was refused is no factor of this login, but it is told.
    assert.deepEqual([body.auth_factors, body.is_mfa, body.session], [undefined, undefined, undefined])
    assert.deepEqual(body.unmapped['legacy'], { user: 'legacy:billing', kind: 'password' })
    assert.equal((body.unmapped['webauthn'] as { credential_id: string }).credential_id, 'dGhlIGNyZWRlbnRpYWw')
    assert.equal(Object.fromEntries(message.headers)['ce-subject'], 'legacy:billing')
  })

  test('a grant tells who, with which device, on which connection, and what was granted', () => {
    const body = bodyOf(verdictEvent({ outcome: 'granted', reason: 'proof' }))
    assert.deepEqual(body.user, {
      name: 'alice',
      uid: 'https://idp.example|00u1',
      full_name: 'Alice Example',
      type_id: 1,
      type: 'User',
      groups: [{ name: 'orders-reader', type: 'role' }],
    })
    assert.deepEqual(body.src_endpoint, { ip: '192.0.2.7', name: 'dashboard' })
    assert.equal(body.auth_factors?.[0]?.factor_type_id, 10)
    assert.equal(body.is_mfa, true)
    assert.deepEqual(body.unmapped['webauthn'], {
      credential_id: 'dGhlIGNyZWRlbnRpYWw',
      aaguid: '08987058-cadc-4b81-b6e1-30de50dcbe96',
      class: 'person',
      sign_count: 7,
      flags: { up: true, uv: true, be: false, bs: false },
      session_nkey: null,
    })
    const nats = body.unmapped['nats'] as Record<string, unknown>
    assert.deepEqual(
      [nats['client_id'], nats['account'], nats['url'], nats['client_type']],
      [12, 'APP', 'wss://nats.example:443', 'websocket'],
    )
  })

  test('a resumed session names its nkey and its end, and is not called a WebAuthn factor', () => {
    const event = verdictEvent({ outcome: 'granted', reason: 'session_bound' })
    assert(event.grant !== null)
    const body = bodyOf({
      ...event,
      identity: identityOf({ sessionNkey: 'UABC', userVerified: null }),
      grant: { ...event.grant, sessionExpiresAt: 1_800_000_000 },
    })
    assert.deepEqual(body.session, { uid: 'UABC', is_remote: true, expiration_time: 1_800_000_000_000 })
    assert.equal(body.auth_factors?.[0]?.factor_type_id, 99)
    assert.equal(body.is_mfa, undefined)
  })

  test('an unidentified request has the user `unknown`, which no identity can have', () => {
    assert.equal(bodyOf(unverifiedDenial('192.0.2.7')).user.uid, 'unknown')
    assert.equal(bodyOf(unverifiedDenial('192.0.2.7', { connection: null })).src_endpoint, undefined)
  })

  test('a coalesced record counts, and tells nothing that is true of only one of its verdicts', () => {
    const at = Date.UTC(2026, 10, 22)
    const body = bodyOf(verdictEvent({ outcome: 'denied', reason: 'challenge_mismatch' }, { count: 40, firstAt: at, lastAt: at + 900 }))
    assert.deepEqual([body.count, body.start_time, body.end_time], [40, at, at + 900])
    assert.equal(body.user.uid, 'unknown')
    assert.equal(body.auth_factors, undefined)
    assert.deepEqual(body.src_endpoint, { ip: '192.0.2.7' })
    assert.equal('webauthn' in body.unmapped, false)
    assert.equal('client_id' in (body.unmapped['nats'] as object), false)
  })

  test('an error after a grant record has another id, so it is no duplicate, and points at the grant', () => {
    const grant = verdictEvent({ outcome: 'granted', reason: 'proof' })
    const late: VerdictEvent = {
      ...grant,
      verdict: { outcome: 'error', reason: 'deadline_exceeded' },
      stage: 'answer',
      correlates: grant.id,
      grant: null,
    }
    assert.notEqual(verdictMessage(late, origin).id, verdictMessage(grant, origin).id)
    assert.equal(bodyOf(late).metadata.correlation_uid, verdictMessage(grant, origin).id)
    const unacknowledged: VerdictEvent = {
      ...late,
      verdict: { outcome: 'error', reason: 'audit_unavailable' },
      stage: 'record',
      correlates: null,
    }
    assert.equal(bodyOf(unacknowledged).metadata.correlation_uid, grant.id)
    assert.equal(streamOf(unacknowledged), 'WEBAUTHN_AUDIT')
  })

  test('text from outside cannot forge a line, reorder text or steer a terminal', () => {
    const evil = 'x\n2026 granted\r\u001b[2J\u009b31m\u202e\u2028\u0000\\u{a}'
    const event = verdictEvent({ outcome: 'denied', reason: 'challenge_mismatch' })
    assert(event.connection !== null)
    const { body } = verdictMessage(
      {
        ...event,
        connection: { ...event.connection, clientName: evil, clientHost: evil, serverName: evil },
        identity: identityOf({ displayName: evil }),
      },
      origin,
    )
    const values: string[] = []
    JSON.parse(body, (_, value: unknown) => {
      if (typeof value === 'string') values.push(value)
      return value
    })
    for (const value of values) assert.doesNotMatch(value, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
  })

  test('any record fits its stream, whatever the facts are', () => {
    const long = '\u{1f600}\u202e"\\'.repeat(5000)
    const event = verdictEvent({ outcome: 'granted', reason: 'proof' })
    assert(event.connection !== null && event.grant !== null)
    const huge: VerdictEvent = {
      ...event,
      connection: {
        ...event.connection,
        clientName: long,
        clientHost: long,
        serverName: long,
        serverId: long,
        cluster: long,
        clientType: long,
        userNkey: long,
        url: long,
      },
      identity: identityOf({ displayName: long, issuer: long, subject: long, credentialId: 'A'.repeat(1364) as CredentialId }),
      grant: { ...event.grant, roles: Array.from({ length: 5000 }, (_, i) => `${'r'.repeat(58)}${i}` as RoleName) },
    }
    assert(Buffer.byteLength(verdictMessage(huge, origin).body) < recordBytesMax)
    const facts = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${long}${i}`, long]))
    const lifecycle = lifecycleEvent(
      { area: 'enrolment', outcome: 'refused', reason: 'rate_limited' },
      {
        facts,
        detail: long,
        roles: Array(5000).fill(long),
        actor: { kind: 'unknown', name: long },
        target: { kind: 'ticket', id: long },
      },
    )
    assert(Buffer.byteLength(lifecycleMessage(lifecycle, origin).body) < recordBytesMax)
  })
})

describe('the uid of a user', () => {
  test('differs whenever issuer or subject differ', () => {
    const part = fc.string({ unit: fc.constantFrom('|', '%', '7', 'c', 'C', ' ', '\n', 'é', '\ud800', 'u'), maxLength: 6 })
    fc.assert(
      fc.property(part, part, part, part, (issuer, subject, issuer2, subject2) => {
        assert.equal(identityUid(issuer, subject) === identityUid(issuer2, subject2), issuer === issuer2 && subject === subject2)
      }),
      { numRuns: 5000 },
    )
  })

  test('of a pair that is too long is a hash that no other pair is spelled as', () => {
    const uid = identityUid('https://idp.example', 'x'.repeat(5000))
    assert.match(uid, /^sha256:[0-9a-f]{64}$/)
    assert.notEqual(uid, identityUid('https://idp.example', `${'x'.repeat(4999)}y`))
    assert.match(identityUid('sha256:00', ''), /\|/)
  })
})

describe('records of everything else', () => {
  for (const code of ALL_LIFECYCLE_CODES) {
    const [kind, schema] =
      code.area === 'login' ? (['Authentication', LoginAuthentication] as const) : (['Entity Management', EntityManagement] as const)
    test(`${code.area} ${code.outcome} ${code.reason} is an OCSF ${kind} event in the stream of the grants`, () => {
      const message = lifecycleMessage(lifecycleEvent(code), origin)
      assert.equal(message.stream, 'WEBAUTHN_AUDIT')
      assert((STREAM_AREAS.WEBAUTHN_AUDIT as readonly string[]).includes(code.area))
      assert.equal(message.subject, `audit.webauthn.${code.area}.${code.outcome}.${code.reason}`)
      const body = schema.parse(JSON.parse(message.body))
      const headers = Object.fromEntries(message.headers)
      assert.equal(headers['ce-dataschema'], `https://schema.ocsf.io/1.8.0/classes/${kind.toLowerCase().replace(' ', '_')}`)
      assert.equal(body.status_code, code.reason)
      assert.equal(body.status_id, code.outcome === 'succeeded' ? 1 : 2)
    })
  }

  test('enrolling, revoking, quarantining and reloading have their own activities', () => {
    const activity = (code: Parameters<typeof lifecycleEvent>[0]) =>
      JSON.parse(lifecycleMessage(lifecycleEvent(code), origin).body).activity_name
    assert.equal(activity({ area: 'enrolment', outcome: 'succeeded', reason: 'enrolled' }), 'Enroll')
    assert.equal(activity({ area: 'credential', outcome: 'succeeded', reason: 'revoked' }), 'Unenroll')
    assert.equal(activity({ area: 'credential', outcome: 'succeeded', reason: 'quarantined' }), 'Suspend')
    assert.equal(activity({ area: 'credential', outcome: 'succeeded', reason: 'approved' }), 'Enable')
    assert.equal(activity({ area: 'session', outcome: 'succeeded', reason: 'endorsed' }), 'Create')
    assert.equal(activity({ area: 'session', outcome: 'succeeded', reason: 'completed' }), 'Activate')
    assert.equal(activity({ area: 'policy', outcome: 'succeeded', reason: 'loaded' }), 'Update')
  })

  test('every kind of actor is recorded', () => {
    for (const kind of ['administrator', 'identity', 'verifier', 'ticket', 'unknown'] as const) {
      const message = lifecycleMessage(
        lifecycleEvent({ area: 'session', outcome: 'succeeded', reason: 'revoked' }, { actor: { kind, name: 'someone' } }),
        origin,
      )
      EntityManagement.parse(JSON.parse(message.body))
    }
  })
})

describe('CloudEvents headers', () => {
  test('are the required attributes and those we add, each once', () => {
    const event = verdictEvent({ outcome: 'granted', reason: 'proof' })
    const headers = Object.fromEntries(verdictMessage(event, origin).headers)
    assert.deepEqual(headers, {
      'ce-id': event.id,
      'ce-source': 'nats-webauthn/test',
      'ce-specversion': '1.0',
      'ce-type': 'nats-webauthn.connection.granted.proof',
      'ce-time': '2026-11-22T04:26:00.000Z',
      'ce-datacontenttype': 'application/json',
      'ce-dataschema': 'https://schema.ocsf.io/1.8.0/classes/authentication',
      'ce-subject': 'alice',
    })
  })

  test('percent-encode what the binding says and nothing else', () => {
    assert.equal(encodeHeaderValue('a b"c%d!~€\n'), 'a%20b%22c%25d!~%E2%82%AC%0A')
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = encodeHeaderValue(text)
        assert.match(encoded, /^[\x21\x23-\x7e]*$/)
        assert.equal(decodeURIComponent(encoded), text)
      }),
    )
  })
})
