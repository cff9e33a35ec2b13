/** What a decision leaves behind: records, the guard, the grant's end, the answer. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { testNkey } from '../support/authorization-request.ts'
import { answered, run, userJwt, worldOf } from '../support/decision.ts'
import { boundSig, endorsedSession, endorsingSig, NOW, plainSig, proofSig, type Scenario, scenario } from '../support/scenario.ts'

describe('a counter that went back', () => {
  const regressed = (backupEligible: boolean) => {
    const s = scenario()
    Object.assign(s.credential, { signCount: 9, backupEligible })
    s.assertion = { signCount: 8, ...(backupEligible ? {} : { flags: 0 }) }
    return s
  }

  test('quarantines a device-bound credential, and not a synced one', async () => {
    for (const [backupEligible, state] of [
      [false, 'quarantined'],
      [true, 'active'],
    ] as const) {
      const s = regressed(backupEligible)
      const world = worldOf(s)
      const { event } = await run(s, world, { sig: proofSig(s) })
      assert.equal(event?.verdict.reason, 'sign_count_regression')
      assert.equal(world.credentialRecords.get(credentialKey(s.credential.id))?.record.state, state)
    }
  })

  test('is a race, and quarantines nothing, where the count is seconds old', async () => {
    const s = regressed(false)
    s.credential.signCountAt = NOW - 9_999
    const world = worldOf(s)
    const { event } = await run(s, world, { sig: proofSig(s) })
    assert.equal(event?.verdict.reason, 'sign_count_race')
    assert.equal(world.credentialRecords.get(credentialKey(s.credential.id))?.record.state, 'active')
  })
})

describe('what is kept of a grant', () => {
  test('a connection is remembered once, with its session: asked about again it keeps its entry', async () => {
    const s = scenario()
    s.sessions.push(endorsedSession(s))
    const world = worldOf(s)
    const sig = boundSig(s)
    assert.equal((await run(s, world, { sig })).event?.verdict.reason, 'session_bound')
    const [entry] = [...world.guardEntries.values()]
    assert.ok(entry !== undefined && 'session' in entry)
    assert.deepEqual([entry.session, entry.exp], [s.sessionNkey.publicKey, NOW / 1000 + 900])
    assert.equal((await run(s, world, { sig, id: 'b', now: NOW + 4_000 })).event?.verdict.reason, 'reasked')
    assert.deepEqual([...world.guardEntries.values()], [entry])
  })

  test('a resume does not slide its session', async () => {
    const s = scenario()
    const session = endorsedSession(s)
    s.sessions.push(session)
    const world = worldOf(s)
    for (const sig of [boundSig(s), plainSig(s)]) {
      world.guardEntries.clear()
      await run(s, world, { sig })
      assert.deepEqual(world.sessionRecords.get(session.nkey), { record: session, revision: 1 })
    }
  })

  test('a proof without resume, or where the role demands proofs, stores no session', async () => {
    const s = scenario()
    s.nkey = s.sessionNkey.publicKey
    const world = worldOf(s)
    await run(s, world, { sig: proofSig(s) })
    world.guardEntries.clear()
    s.identity.roles = [{ name: 'proof-each-time' as never, source: 'assigned', asOf: NOW }]
    assert.equal((await run(s, world, { sig: endorsingSig(s), id: 'b' })).event?.verdict.reason, 'proof_endorsing')
    assert.equal(world.recorded.length, 2)
    assert.equal(world.sessionRecords.size, 0)
  })

  test('a first count is stored, and where there is none nothing is written', async () => {
    for (const [signCount, revision] of [
      [5, 2],
      [0, 1],
    ] as const) {
      const s = scenario()
      s.assertion = { signCount }
      const world = worldOf(s)
      await run(s, world, { sig: proofSig(s) })
      const stored = world.credentialRecords.get(credentialKey(s.credential.id))
      assert.deepEqual([stored?.record.signCount, stored?.revision], [signCount, revision])
    }
  })
})

describe('a grant ends with whatever ends first', () => {
  const now = NOW / 1000
  const cases: [what: string, expected: number, change: (s: Scenario) => void][] = [
    ['the time of its role', now + 900, () => {}],
    ['its session', now + 60, (s) => s.sessions.splice(0, 1, endorsedSession(s, { expiresAt: NOW + 60_999 }))],
    ['its credential', now + 30, (s) => Object.assign(s.credential, { expiresAt: NOW + 30_000 })],
  ]
  for (const [what, expected, change] of cases) {
    test(what, async () => {
      const s = scenario()
      s.sessions.push(endorsedSession(s))
      change(s)
      const decision = await run(s, worldOf(s), { sig: boundSig(s) })
      assert.equal(userJwt(decision)?.exp, expected)
      assert.equal(decision.event?.grant?.expiresAt, expected)
    })
  }

  test('never more than a second less than the rest of it, whatever the clock says', async () => {
    const s = scenario()
    s.policy = s.policy.replace('ttl: 15m', 'ttl: 2s')
    for (const [lateMs, jitter, expected] of [
      [0, 0, 2],
      [950, 0, 2],
      [950, 0.99, 2],
      [100, 0.99, 1],
    ] as const) {
      const decision = await run(s, worldOf(s), { sig: proofSig(s), now: NOW + lateMs, jitter })
      assert.equal((userJwt(decision)?.exp ?? 0) - now, expected)
    }
  })

  test('up to a tenth of it early by the jitter, and never on a re-ask', async () => {
    const s = scenario()
    const world = worldOf(s)
    const sig = proofSig(s)
    assert.equal(userJwt(await run(s, world, { sig, jitter: 0.5 }))?.exp, now + 855)
    assert.equal(userJwt(await run(s, world, { sig, jitter: 0.99 }))?.exp, now + 855)
  })
})

describe('the answer to a denial', () => {
  test('is signed with its reason for a genuine request, and empty for any other', async () => {
    const s = scenario()
    const { reply } = await run(s, worldOf(s), { sig: '' })
    assert.deepEqual(answered(reply), { error: 'denied: sig_missing', type: 'authorization_response', version: 2 })
    s.request = { signer: testNkey('N') }
    assert.deepEqual((await run(s, worldOf(s), { sig: proofSig(s) })).reply, new Uint8Array(0))
  })
})
