/** A connection is claimed once, by whichever verifier is asked first; what a second one does that was not told of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { ask, counting, LATER, untold, verdictOf } from '../support/claims.ts'
import { userJwt, worldOf } from '../support/decision.ts'
import { boundSig, endorsedSession, endorsingSig, NOW, proofSig, scenario } from '../support/scenario.ts'

describe('asked again, a verifier that was not told of the first ask', () => {
  for (const [form, sigOf] of [
    ['a proof', proofSig],
    ['an endorsing proof', endorsingSig],
    ['a bound resume', boundSig],
  ] as const) {
    test(`answers ${form} with the first expiry, on record, and writes nothing twice`, async () => {
      const s = scenario()
      if (sigOf === boundSig) s.sessions.push(endorsedSession(s))
      const world = worldOf(s)
      const sig = sigOf(s)
      const first = await ask(s, world, { sig })
      const [entries, sessions] = [structuredClone([...world.guardEntries]), structuredClone([...world.sessionRecords])]
      untold(world)
      const again = await ask(s, world, { sig, id: 'b', now: LATER, jitter: 0.7 })
      assert.equal(verdictOf(again), 'granted.reasked')
      assert.equal(userJwt(again)?.exp, userJwt(first)?.exp)
      assert.deepEqual([[...world.guardEntries], [...world.sessionRecords]], [entries, sessions])
      assert.deepEqual(
        world.recorded.map(({ id }) => id),
        ['a', 'b'],
      )
    })
  }

  test('denies another proof on that connection, and records no grant', async () => {
    const s = scenario()
    const world = worldOf(s)
    await ask(s, world, { sig: proofSig(s) })
    untold(world)
    const other = await ask(s, world, { sig: proofSig(s), id: 'b' })
    assert.equal(verdictOf(other), 'denied.connection_already_proven')
    assert.deepEqual([world.recorded.length, userJwt(other)], [1, null])
  })

  for (const [age, later] of [
    ['a moment', NOW],
    ['longer than a race takes', LATER],
  ] as const) {
    test(`neither denies nor quarantines for the count that the first ask used ${age} ago`, async () => {
      const s = counting()
      const world = worldOf(s)
      const sig = proofSig(s)
      await ask(s, world, { sig })
      untold(world)
      const again = await ask(s, world, { sig, id: 'b', now: later })
      assert.equal(verdictOf(again), 'granted.reasked')
      const { record, revision } = world.credentialRecords.get(credentialKey(s.credential.id)) ?? assert.fail()
      assert.deepEqual([record.state, record.signCount, revision], ['active', 5, 2])
    })
  }

  test('does not deny for a count that it did not know to be used until it was to be stored', async () => {
    const s = counting()
    const world = worldOf(s)
    const sig = proofSig(s)
    const stale = world.credentialRecords.get(credentialKey(s.credential.id)) ?? assert.fail()
    await ask(s, world, { sig })
    untold(world)
    world.credentials.find = async () => stale
    assert.equal(verdictOf(await ask(s, world, { sig, id: 'b' })), 'granted.reasked')
    assert.equal(world.credentialRecords.get(credentialKey(s.credential.id))?.revision, 2)
  })

  test('still denies where the credential was revoked meanwhile', async () => {
    const s = counting()
    const world = worldOf(s)
    const sig = proofSig(s)
    const key = credentialKey(s.credential.id)
    const stale = world.credentialRecords.get(key) ?? assert.fail()
    await ask(s, world, { sig })
    untold(world)
    world.credentials.find = async () => stale
    const there = world.credentialRecords.get(key) ?? assert.fail()
    world.credentialRecords.set(key, { record: { ...there.record, state: 'revoked', endedAt: NOW }, revision: 3 })
    assert.equal(verdictOf(await ask(s, world, { sig, id: 'b' })), 'denied.credential_revoked')
  })

  test('needs no second place where connections are limited', async () => {
    const s = scenario()
    s.identity.roles = [{ name: 'one-connection' as never, source: 'assigned', asOf: NOW }]
    const world = worldOf(s)
    const sig = proofSig(s)
    await ask(s, world, { sig })
    untold(world)
    world.guard.connectionsOf = () => 1
    assert.equal(verdictOf(await ask(s, world, { sig, id: 'b' })), 'granted.reasked')
    s.request = { client: { id: 8 } }
    assert.equal(verdictOf(await ask(s, world, { sig, id: 'c' })), 'denied.connection_limit')
  })

  test('denies the connection that was claimed after the last place was, records no grant and leaves no claim', async () => {
    const s = scenario()
    s.identity.roles = [{ name: 'one-connection' as never, source: 'assigned', asOf: NOW }]
    const world = worldOf(s)
    assert.equal(verdictOf(await ask(s, world, { sig: proofSig(s) })), 'granted.proof')
    const entries = [...world.guardEntries]
    untold(world)
    world.guard.connectionsOf = () => 0
    s.request = { client: { id: 8 } }
    const late = await ask(s, world, { sig: endorsingSig(s), id: 'b' })
    assert.equal(verdictOf(late), 'denied.connection_limit')
    assert.deepEqual([userJwt(late), [...world.guardEntries], world.recorded.length], [null, entries, 1])
    assert.equal(world.sessionRecords.get(s.sessionNkey.publicKey)?.record.state, 'pending')
  })

  test('refuses, and leaves no claim, where it is not told in time who was before it', async () => {
    const s = scenario()
    s.identity.roles = [{ name: 'one-connection' as never, source: 'assigned', asOf: NOW }]
    const world = worldOf(s)
    const { claim } = world.guard
    world.guard.claim = async (key, entry) => ({
      ...(await claim(key, entry)),
      isAmong: () => Promise.reject(new StoreUnavailable('watching webauthn_guard')),
    })
    const decision = await ask(s, world, { sig: proofSig(s) })
    assert.equal(verdictOf(decision), 'error.store_unavailable')
    assert.deepEqual([userJwt(decision), world.guardEntries.size, world.recorded], [null, 0, []])
  })

  test('waits for nobody where connections are not limited, nor when it was asked before', async () => {
    const s = scenario()
    const limited = scenario()
    limited.identity.roles = [{ name: 'one-connection' as never, source: 'assigned', asOf: NOW }]
    for (const [one, isLimited] of [
      [s, false],
      [limited, true],
    ] as const) {
      const world = worldOf(one)
      const { claim } = world.guard
      let waited = 0
      world.guard.claim = async (key, entry) => {
        const claimed = await claim(key, entry)
        return { ...claimed, isAmong: (max) => claimed.isAmong(max).finally(() => waited++) }
      }
      const sig = proofSig(one)
      await ask(one, world, { sig })
      assert.equal(waited, isLimited ? 1 : 0)
      untold(world)
      assert.equal(verdictOf(await ask(one, world, { sig, id: 'b' })), 'granted.reasked')
      assert.equal(waited, isLimited ? 1 : 0)
    }
  })

  test('denies and quarantines a count that nobody used on this connection', async () => {
    const s = counting()
    const world = worldOf(s)
    const sig = proofSig(s)
    await ask(s, world, { sig })
    untold(world)
    s.request = { client: { id: 8 } }
    assert.equal(verdictOf(await ask(s, world, { sig, id: 'b' })), 'denied.sign_count_race')
    assert.equal(verdictOf(await ask(s, world, { sig, id: 'c', now: LATER })), 'denied.sign_count_regression')
    assert.equal(world.credentialRecords.get(credentialKey(s.credential.id))?.record.state, 'quarantined')
  })

  test('does not answer when the leader cannot be asked', async () => {
    const s = counting()
    const world = worldOf(s)
    const sig = proofSig(s)
    await ask(s, world, { sig })
    world.guard.find = async (_, from) => {
      if (from === 'leader') throw new StoreUnavailable('reading webauthn_guard')
      return null
    }
    const again = await ask(s, world, { sig, id: 'b', now: LATER })
    assert.equal(verdictOf(again), 'error.store_unavailable')
    assert.equal(world.credentialRecords.get(credentialKey(s.credential.id))?.record.state, 'active')
  })
})
