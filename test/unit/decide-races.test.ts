/** What changes in the middle of a decision: the world is written to between two of its steps. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { policyOf, run, userJwt, worldOf } from '../support/decision.ts'
import { endorsedSession, endorsingSig, NOW, POLICY, proofSig, type Scenario, scenario } from '../support/scenario.ts'

/** The same scenario on another connection of the client's. */
const onConnection = (s: Scenario, n: number): Scenario => ({ ...s, request: { client: { id: 100 + n } } })

describe('while a request is being decided', () => {
  test('another policy comes into force: the record names the one that the grant came from', async () => {
    const s = scenario()
    s.credential.signCount = 4
    s.assertion = { signCount: 5 }
    const world = worldOf(s)
    const before = world.policy()
    const after = policyOf(POLICY.replace('orders.{{user}}.>', 'other.>'))
    const { replace } = world.credentials
    world.credentials.replace = async (stored, next) => {
      world.policy = () => after
      return replace(stored, next)
    }
    const decision = await run(s, world, { sig: proofSig(s) })
    assert.deepEqual(userJwt(decision)?.nats.pub.allow, ['orders.orders.>'])
    assert.equal(world.policy().hash, after.hash)
    assert.deepEqual([decision.event?.policyHash, world.recorded[0]?.policyHash], [before.hash, before.hash])
  })

  test('requests that arrive together share the places of one connection limit', async () => {
    const s = scenario()
    s.identity.roles = [{ name: 'one-connection' as never, source: 'assigned', asOf: NOW }]
    const world = worldOf(s)
    const sig = proofSig(s)
    const decisions = await Promise.all(['a', 'b', 'c'].map((id, n) => run(onConnection(s, n), world, { sig, id })))
    const verdicts = decisions.map(({ event }) => event?.verdict.reason).sort()
    assert.deepEqual(verdicts, ['connection_limit', 'connection_limit', 'proof'])
    assert.equal(world.guardEntries.size, 1)
  })

  test('a place is given back whatever becomes of the request', async () => {
    const s = scenario()
    s.identity.roles = [{ name: 'one-connection' as never, source: 'assigned', asOf: NOW }]
    const world = worldOf(s)
    world.broken.audit = true
    const failed = await run(s, world, { sig: proofSig(s) })
    assert.equal(failed.event?.verdict.reason, 'audit_unavailable')
    assert.equal(world.guardEntries.size, 0)
    world.broken.audit = false
    const next = await run(onConnection(s, 1), world, { sig: proofSig(s), id: 'b' })
    assert.equal(next.event?.verdict.reason, 'proof')
  })

  test('the session is revoked after it was reserved: it stays revoked, and nothing is granted', async () => {
    const s = scenario()
    s.sessions.push(endorsedSession(s))
    const world = worldOf(s)
    const { record } = world.audit
    world.audit.record = async (event) => {
      await record(event)
      const there = world.sessionRecords.get(s.sessionNkey.publicKey)
      assert.ok(there)
      await world.sessions.replace(there, { ...there.record, state: 'revoked', endedAt: NOW })
    }
    const decision = await run(s, world, { sig: endorsingSig(s) })
    assert.deepEqual(decision.event?.verdict, { outcome: 'error', reason: 'store_unavailable' })
    assert.equal(decision.event?.correlates, world.recorded[0]?.id)
    assert.equal(userJwt(decision), null)
    assert.equal(world.sessionRecords.get(s.sessionNkey.publicKey)?.record.state, 'revoked')
    assert.equal(world.guardEntries.size, 0)
  })

  test('connections that endorse one nkey at once are all admitted, and another credential’s session is never taken', async () => {
    const s = scenario()
    const world = worldOf(s)
    const sig = endorsingSig(s)
    const decisions = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id, n) => run(onConnection(s, n), world, { sig, id })))
    assert.deepEqual(
      decisions.map(({ event }) => event?.verdict.reason),
      Array(5).fill('proof_endorsing'),
    )
    const there = world.sessionRecords.get(s.sessionNkey.publicKey)
    assert.equal(there?.record.state, 'active')
    world.guardEntries.clear()
    const { record } = world.audit
    world.audit.record = async (event) => {
      await record(event)
      const taken = { ...endorsedSession(s), credential: 'x'.repeat(43) as never }
      world.sessionRecords.set(s.sessionNkey.publicKey, { record: taken, revision: 99 })
    }
    const late = await run(s, world, { sig, id: 'f' })
    assert.deepEqual(late.event?.verdict, { outcome: 'error', reason: 'store_unavailable' })
    assert.equal(world.sessionRecords.get(s.sessionNkey.publicKey)?.revision, 99)
  })

  test('the credential is revoked before its counter moves: denied, and the revocation stands', async () => {
    const s = scenario()
    s.credential.signCount = 4
    s.assertion = { signCount: 5 }
    const world = worldOf(s)
    const key = credentialKey(s.credential.id)
    const { find } = world.identities
    world.identities.find = async (handle) => {
      const there = world.credentialRecords.get(key)
      assert.ok(there)
      world.credentialRecords.set(key, { record: { ...there.record, state: 'revoked', endedAt: NOW }, revision: there.revision + 1 })
      return find(handle)
    }
    const decision = await run(s, world, { sig: proofSig(s) })
    assert.deepEqual(decision.event?.verdict, { outcome: 'denied', reason: 'credential_revoked' })
    assert.deepEqual([world.recorded, userJwt(decision)], [[], null])
    assert.equal(world.credentialRecords.get(key)?.record.state, 'revoked')
  })

  test('another verifier moves the counter further: the loser is denied, and the counter does not go back', async () => {
    const s = scenario()
    s.credential.signCount = 4
    s.assertion = { signCount: 5 }
    const world = worldOf(s)
    const key = credentialKey(s.credential.id)
    const { find } = world.identities
    world.identities.find = async (handle) => {
      const there = world.credentialRecords.get(key)
      assert.ok(there)
      world.credentialRecords.set(key, { record: { ...there.record, signCount: 5 }, revision: there.revision + 1 })
      return find(handle)
    }
    const decision = await run(s, world, { sig: proofSig(s) })
    assert.deepEqual(decision.event?.verdict, { outcome: 'denied', reason: 'sign_count_race' })
    assert.equal(world.credentialRecords.get(key)?.record.signCount, 5)
  })

  test('the deadline passes in a store: dropped, without a record or an answer', async () => {
    const s = scenario()
    s.credential.signCount = 4
    s.assertion = { signCount: 5 }
    const world = worldOf(s)
    let elapsed = 0
    const { replace } = world.credentials
    world.credentials.replace = async (stored, next) => {
      elapsed = 4_501
      return replace(stored, next)
    }
    const decision = await run(s, world, { sig: proofSig(s), elapsedMs: () => elapsed })
    assert.deepEqual(decision, { event: null, reply: null })
    assert.deepEqual([world.recorded, world.noted], [[], []])
  })

  test('signing the answer fails: the record that is there already is contradicted by one that names it', async () => {
    const s = scenario()
    const world = worldOf(s)
    world.answer.grant = () => {
      throw new Error('breaking on purpose')
    }
    const decision = await run(s, world, { sig: proofSig(s) })
    assert.deepEqual(decision.event?.verdict, { outcome: 'error', reason: 'internal' })
    assert.equal(world.noted[0]?.correlates, world.recorded[0]?.id)
    assert.equal(userJwt(decision), null)
    assert.equal(world.guardEntries.size, 0)
  })
})
