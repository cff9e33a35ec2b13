/** Claims that come to nothing, and verifiers that are killed in between. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { ask, counting, LATER, untold, verdictOf } from '../support/claims.ts'
import { answered, userJwt, worldOf } from '../support/decision.ts'
import type { MemoryWorld } from '../support/memory-world.ts'
import { boundSig, endorsingSig, guardKey, NOW, proofSig, type Scenario, scenario } from '../support/scenario.ts'

describe('a claim that came to nothing', () => {
  const failures: [what: string, verdict: string, fail: (world: MemoryWorld) => void][] = [
    [
      'its record is not durable',
      'error.audit_unavailable',
      ({ broken }) => {
        broken.audit = true
      },
    ],
    [
      'its session cannot be activated',
      'error.store_unavailable',
      ({ sessions }) => {
        sessions.replace = () => Promise.reject(new StoreUnavailable('writing'))
      },
    ],
    [
      'it cannot be answered',
      'error.internal',
      ({ answer }) => {
        answer.grant = () => {
          throw new Error('breaking on purpose')
        }
      },
    ],
  ]
  for (const [what, verdict, fail] of failures) {
    test(`is withdrawn when ${what}, and asking again is judged anew`, async () => {
      const s = scenario()
      const world = worldOf(s)
      const sig = endorsingSig(s)
      const whole = {
        ...world,
        audit: { ...world.audit },
        sessions: { ...world.sessions },
        answer: { ...world.answer },
        broken: world.broken,
      }
      fail(whole)
      const failed = await ask(s, whole, { sig })
      assert.deepEqual([verdictOf(failed), userJwt(failed), world.guardEntries.size], [verdict, null, 0])
      world.broken.audit = false
      const again = await ask(s, world, { sig, id: 'b', now: LATER })
      assert.equal(verdictOf(again), 'granted.proof_endorsing')
      assert.equal(userJwt(again)?.exp, LATER / 1000 + 900)
    })
  }

  test('is withdrawn when the deadline passes: no record, no answer', async () => {
    const s = scenario()
    const world = worldOf(s)
    let elapsed = 0
    const { claim } = world.guard
    world.guard.claim = async (key, entry) => {
      elapsed = 4_501
      return claim(key, entry)
    }
    const decision = await ask(s, world, { sig: proofSig(s), elapsedMs: () => elapsed })
    assert.deepEqual(decision, { event: null, reply: null })
    assert.deepEqual([world.guardEntries.size, world.recorded, world.noted], [0, [], []])
  })

  test('is withdrawn when its record took too long for an answer', async () => {
    const s = scenario()
    const world = worldOf(s)
    let elapsed = 0
    const { record } = world.audit
    world.audit.record = async (event) => {
      elapsed = 5_001
      await record(event)
    }
    const decision = await ask(s, world, { sig: proofSig(s), elapsedMs: () => elapsed })
    assert.equal(verdictOf(decision), 'error.deadline_exceeded')
    assert.equal(world.guardEntries.size, 0)
  })

  test('a re-ask that fails takes nothing back: the entry is the first ask’s', async () => {
    const s = scenario()
    const world = worldOf(s)
    const sig = proofSig(s)
    await ask(s, world, { sig })
    const entries = [...world.guardEntries]
    untold(world)
    world.broken.audit = true
    assert.equal(verdictOf(await ask(s, world, { sig, id: 'b' })), 'error.audit_unavailable')
    assert.deepEqual([...world.guardEntries], entries)
  })

  test('when the guard cannot be written to, nothing is granted or recorded as granted', async () => {
    const s = scenario()
    const world = worldOf(s)
    world.guard.claim = () => Promise.reject(new StoreUnavailable('writing webauthn_guard'))
    const decision = await ask(s, world, { sig: endorsingSig(s) })
    assert.equal(verdictOf(decision), 'error.store_unavailable')
    assert.deepEqual([world.recorded, userJwt(decision)], [[], null])
    assert.equal(typeof answered(decision.reply).error, 'string')
    assert.equal(world.sessionRecords.get(s.sessionNkey.publicKey)?.record.state, 'pending')
  })
})

describe('a verifier that was killed after its claim and before its record', () => {
  /** What it leaves: a used count, a pending session, the claim; no record, no answer. */
  async function killed(s: Scenario, sig: string) {
    const world = worldOf(s)
    const { record } = world.audit
    const dies = new Promise<void>((dead) => {
      world.audit.record = () => {
        dead()
        return new Promise(() => {})
      }
    })
    void ask(s, world, { sig })
    await dies
    world.audit.record = record
    assert.deepEqual([world.recorded, world.guardEntries.has(guardKey(s))], [[], true])
    return world
  }

  test('asked again, another gives what the claim allows, on record, and no more', async () => {
    const s = counting()
    const sig = endorsingSig(s)
    const world = await killed(s, sig)
    untold(world)
    const again = await ask(s, world, { sig, id: 'b', now: LATER })
    assert.equal(verdictOf(again), 'granted.reasked')
    assert.equal(userJwt(again)?.exp, NOW / 1000 + 900)
    assert.deepEqual(
      world.recorded.map(({ id, verdict }) => [id, verdict.reason]),
      [['b', 'reasked']],
    )
    const { record } = world.credentialRecords.get(credentialKey(s.credential.id)) ?? assert.fail()
    assert.deepEqual([record.state, record.signCount], ['active', 5])
  })

  test('its session admits nobody until its owner proves again', async () => {
    const s = scenario()
    const world = await killed(s, endorsingSig(s))
    s.request = { client: { id: 8 } }
    assert.equal(verdictOf(await ask(s, world, { sig: boundSig(s), id: 'b' })), 'denied.session_pending')
    s.request = { client: { id: 9 } }
    assert.equal(verdictOf(await ask(s, world, { sig: endorsingSig(s), id: 'c', now: LATER })), 'granted.proof_endorsing')
    const session = world.sessionRecords.get(s.sessionNkey.publicKey)?.record
    assert.deepEqual([session?.state, session?.createdAt], ['active', LATER])
    s.request = { client: { id: 10 } }
    assert.equal(verdictOf(await ask(s, world, { sig: boundSig(s), id: 'd', now: LATER })), 'granted.session_bound')
  })

  test('another proof on that connection is denied', async () => {
    const s = scenario()
    const world = await killed(s, proofSig(s))
    assert.equal(verdictOf(await ask(s, world, { sig: proofSig(s), id: 'b' })), 'denied.connection_already_proven')
  })
})
