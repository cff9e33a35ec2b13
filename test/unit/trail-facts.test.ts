/** The trail, read back: every record that takes something away is understood as it was made, and nothing else counts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { NatsError } from 'nats'
import { lifecycleMessage, verdictMessage } from '../../src/audit/audit-record.ts'
import { readFact } from '../../src/audit/fact-record.ts'
import { factsSince } from '../../src/audit/trail-facts.ts'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import { type AuditFact, collectFacts } from '../../src/core/backup/facts.ts'
import { claimsDigest } from '../../src/core/claims-digest.ts'
import { credentialKey, legacyName } from '../../src/core/identifiers.ts'
import { covers } from '../../src/core/policy/subjects.ts'
import { verdictEvent } from '../support/audit-events.ts'
import { handleOf, newCredentialId, newUserNkey } from '../support/records.ts'

const origin = { source: 'nats-webauthn/verifier', version: '0.1.0' }
const handle = handleOf('alice')
const BASE = {
  id: 'e0000000-0000-4000-8000-000000000000',
  at: 5,
  actor: { kind: 'administrator', name: 'admin' },
  handle,
  roles: [],
  policyHash: '',
  detail: '',
  facts: {},
} as const

function factsIn(event: Partial<LifecycleEvent> & Pick<LifecycleEvent, 'area' | 'outcome' | 'reason' | 'target'>): AuditFact[] | null {
  const { subject, body } = lifecycleMessage({ ...BASE, ...event } as LifecycleEvent, origin)
  return readFact(subject, body)
}

describe('a record of the trail', () => {
  test('tells which credential was revoked, quarantined or released', () => {
    for (const reason of ['revoked', 'quarantined', 'released'] as const) {
      const id = newCredentialId()
      assert.deepEqual(factsIn({ area: 'credential', outcome: 'succeeded', reason, target: { kind: 'credential', id } }), [
        { kind: 'credential', id, handle, became: reason, at: 5 },
      ])
    }
    const longest = Buffer.alloc(1023, 7).toString('base64url')
    const facts = factsIn({ area: 'credential', outcome: 'succeeded', reason: 'revoked', target: { kind: 'credential', id: longest } })
    assert.equal(facts?.[0]?.kind === 'credential' && facts[0].id, longest, 'an id of 1023 bytes is not cut')
  })

  test('tells which nkey was revoked, and whose identity was disabled or enabled', () => {
    const nkey = newUserNkey()
    assert.deepEqual(factsIn({ area: 'session', outcome: 'succeeded', reason: 'revoked', target: { kind: 'session', id: nkey } }), [
      { kind: 'session_revoked', nkey, at: 5 },
    ])
    for (const reason of ['disabled', 'enabled'] as const) {
      assert.deepEqual(factsIn({ area: 'identity', outcome: 'succeeded', reason, target: { kind: 'identity', id: handle } }), [
        { kind: 'identity', handle, became: reason, at: 5 },
      ])
    }
  })

  test('tells what roles and claims somebody was left with', () => {
    const facts = factsIn({
      area: 'identity',
      outcome: 'succeeded',
      reason: 'roles_changed',
      target: { kind: 'identity', id: handle },
      roles: ['reader', 'writer'],
      facts: { assigned: 'writer', claims: claimsDigest({ team: 'red' }) },
    })
    assert.deepEqual(facts, [
      {
        kind: 'held',
        handle,
        held: { roles: new Set(['reader', 'writer']), assigned: new Set(['writer']), claims: claimsDigest({ team: 'red' }) },
        at: 5,
      },
    ])
  })

  test('tells whose a handle became, and is silent where text was escaped or cut', () => {
    const created = (facts: LifecycleEvent['facts']) =>
      factsIn({ area: 'identity', outcome: 'succeeded', reason: 'created', target: { kind: 'identity', id: handle }, facts })
    const ownerIn = (facts: LifecycleEvent['facts']) => {
      const [first] = created(facts) ?? []
      return first?.kind === 'created' ? first.owner : undefined
    }
    assert.deepEqual(ownerIn({ issuer: 'https://idp.example', subject: '00u1' }), {
      class: 'person',
      issuer: 'https://idp.example',
      subject: '00u1',
    })
    assert.deepEqual(ownerIn({ class: 'machine' }), { class: 'machine', issuer: 'machine', subject: 'alice' })
    for (const subject of ['a\u202eb', 'back\\slash', 'x'.repeat(400), '']) {
      assert.equal(ownerIn({ issuer: 'https://idp.example', subject }), null, JSON.stringify(subject))
    }
    assert.equal(ownerIn({}), null)
  })

  test('of a grant tells the counter, and one of a counter that went back that a device-bound key is shut out', () => {
    const id = newCredentialId()
    const fact = (verdict: Parameters<typeof verdictEvent>[0], changes: object) => {
      const event = verdictEvent(verdict, { verified: true })
      const identity = { ...(event.identity ?? assert.fail()), credentialId: id, ...changes }
      const { subject, body } = verdictMessage({ ...event, identity }, origin)
      return readFact(subject, body)?.map(({ kind, ...rest }) => ({
        kind,
        ...('became' in rest ? { became: rest.became } : {}),
        ...('signCount' in rest ? { signCount: rest.signCount } : {}),
      }))
    }
    assert.deepEqual(fact({ outcome: 'granted', reason: 'proof' }, { signCount: 41 }), [{ kind: 'counter', signCount: 41 }])
    assert.deepEqual(fact({ outcome: 'granted', reason: 'proof' }, { signCount: 0 }), [])
    const regression = { outcome: 'denied', reason: 'sign_count_regression' } as const
    assert.deepEqual(fact(regression, { backupEligible: false }), [{ kind: 'credential', became: 'quarantined' }])
    assert.deepEqual(fact(regression, { backupEligible: true }), [], 'a synced passkey is only denied')
  })

  test('that cannot be understood is not passed over', () => {
    const target = { kind: 'credential', id: 'not an id' } as const
    assert.equal(factsIn({ area: 'credential', outcome: 'succeeded', reason: 'revoked', target }), null)
    assert.equal(factsIn({ area: 'session', outcome: 'succeeded', reason: 'revoked', target: { kind: 'session', id: 'U123' } }), null)
    assert.equal(factsIn({ area: 'identity', outcome: 'succeeded', reason: 'disabled', target: { kind: 'identity', id: 'A B' } }), null)
    for (const body of ['', '{', 'null', '{"time":-1}', '[]'])
      assert.equal(readFact('audit.webauthn.credential.succeeded.revoked', body), null)
    assert.equal(readFact('audit.webauthn.connection.granted.proof', '{}'), null)
  })
})

describe('the facts of a trail', () => {
  const collected = (...facts: AuditFact[]) => {
    const { add, facts: all } = collectFacts()
    for (const fact of facts) add(fact)
    return all
  }
  const id = newCredentialId()
  const became = (state: 'revoked' | 'quarantined' | 'released', at: number): AuditFact => ({
    kind: 'credential',
    id,
    handle,
    became: state,
    at,
  })

  test('keep a revocation whatever follows, and of quarantines the last word', () => {
    const known = (...facts: AuditFact[]) => collected(...facts).credentials.get(credentialKey(id))
    assert.equal(known(became('revoked', 1), became('released', 2))?.revokedAt, 1)
    assert.deepEqual(known(became('quarantined', 1), became('released', 2))?.hold, { on: false, at: 2 })
    assert.deepEqual(known(became('released', 1), became('quarantined', 2))?.hold, { on: true, at: 2 })
    const counter = (signCount: number): AuditFact => ({ kind: 'counter', id, signCount, at: signCount })
    assert.deepEqual(known(counter(3), counter(9), counter(5))?.counter, { signCount: 9, at: 9 })
  })

  test('keep what claims were, through changes that do not say', () => {
    const held = (claims: string | null): AuditFact => ({
      kind: 'held',
      handle,
      held: { roles: new Set(), assigned: new Set(), claims },
      at: 1,
    })
    assert.equal(collected(held('a'), held(null)).identities.get(handle)?.held?.claims, 'a')
    assert.equal(collected(held('a'), held('b')).identities.get(handle)?.held?.claims, 'b')
  })

  test('say nobody of a handle that two were about to get', () => {
    const owner = (subject: string) => ({ class: 'person', issuer: 'https://idp.example', subject }) as const
    const created = (subject: string | null): AuditFact => ({
      kind: 'created',
      handle,
      owner: subject === null ? null : owner(subject),
      at: 1,
    })
    assert.deepEqual(collected(created('one'), created('one')).identities.get(handle)?.owner, owner('one'))
    assert.equal(collected(created('one'), created('two')).identities.get(handle)?.owner, null)
    assert.equal(collected(created('one'), created('two'), created('one')).identities.get(handle)?.owner, null)
    assert.equal(collected(created('one'), created(null)).identities.get(handle)?.owner, null)
    assert.equal(collected(created(null), created('one')).identities.get(handle)?.owner, null)
  })
})

describe('of a trail that is read back', () => {
  for (const outcome of ['denied', 'reported'] as const) {
    test(`a counter that went back counts, where that was ${outcome}`, async () => {
      const verdict =
        outcome === 'denied'
          ? { outcome, reason: 'sign_count_regression' as const }
          : { outcome, reason: 'sign_count_regression' as const, legacy: { name: legacyName('billing'), kind: 'password' as const } }
      const event = verdictEvent(verdict, { verified: true })
      const identity = event.identity ?? assert.fail()
      const { subject, body } = verdictMessage({ ...event, identity: { ...identity, backupEligible: false } }, origin)
      const stored = { seq: 1, subject, time: new Date(5), timestamp: new Date(5).toISOString(), string: () => body }
      // A stream of one record, read as JetStream reads: by a subject and from a sequence.
      const getMessage = async (_: string, { seq, next_by_subj: filter }: { seq: number; next_by_subj?: string }) => {
        if (seq <= 1 && (filter === undefined || covers(filter, subject))) return stored
        const notFound = new NatsError('no message found', '404')
        notFound.api_error = { code: 404, err_code: 10_037, description: 'no message found' }
        throw notFound
      }
      const info = async () => ({ state: { first_seq: 1, last_seq: 1 } })
      const connection = { jetstreamManager: async () => ({ streams: { info, getMessage } }) }
      const position = { stream: 'WEBAUTHN_AUDIT', sequence: 1, storedAt: stored.timestamp }
      const { facts, gap } = await factsSince(connection as never, position)
      assert.equal(gap, null)
      assert.deepEqual(
        facts.map((fact) => fact.kind === 'credential' && [fact.id, fact.became]),
        [[identity.credentialId, 'quarantined']],
      )
    })
  }
})
