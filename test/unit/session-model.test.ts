/** Sessions through the journey, in any order of steps: what was revoked stays revoked, and resuming moves no end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { run, userJwt, worldOf } from '../support/decision.ts'
import type { MemoryWorld } from '../support/memory-world.ts'
import { boundSig, endorsingSig, fixed, NOW, plainSig, type Scenario, scenario } from '../support/scenario.ts'
import { testKey } from '../support/test-authenticator.ts'

const sessionMs = 24 * 3_600_000
const ttlSeconds = 900
const KEYS = [testKey(-8), testKey(-8)] as const

interface Kept {
  owner: number
  plain: boolean
  expiresAt: number
  revoked: boolean
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ act: fc.constant('endorse' as const), who: fc.constantFrom(0, 1), plain: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant('resume' as const), form: fc.constantFrom('bound' as const, 'plain' as const) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('revoke' as const) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: sessionMs }) }) },
)

/** Two machines that want the same nkey, in one world. */
function twoMachines(): { who: [Scenario, Scenario]; world: MemoryWorld } {
  const who = KEYS.map((key, i) => {
    const s = scenario('machine', key)
    const id = Buffer.from(fixed(`model ${i}`)).toString('base64url')
    Object.assign(s.credential, { id, handle: `machine-${i}` })
    Object.assign(s.identity, { handle: `machine-${i}`, subject: `machine-${i}` })
    return s
  }) as [Scenario, Scenario]
  const world = worldOf(who[0])
  const other = worldOf(who[1])
  for (const [key, stored] of other.credentialRecords) world.credentialRecords.set(key, stored)
  for (const [key, record] of other.identityRecords) world.identityRecords.set(key, record)
  return { who, world }
}

function expectedResume(kept: Kept | null, form: 'bound' | 'plain', now: number): string {
  if (kept === null) return 'session_unknown'
  if (kept.revoked) return 'session_revoked'
  if (kept.expiresAt <= now) return 'session_expired'
  return form === 'plain' && !kept.plain ? 'session_not_plain' : `session_${form}`
}

test('whatever the steps, a session does what its last endorsement said, and nothing after it was revoked', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const { who, world } = twoMachines()
      const nkey = who[0].sessionNkey.publicKey
      let kept = null as Kept | null
      let now = NOW
      for (const [i, one] of steps.entries()) {
        if (one.act === 'wait') {
          now += one.ms
          continue
        }
        if (one.act === 'revoke') {
          const stored = world.sessionRecords.get(nkey)
          if (stored === undefined || kept === null) continue
          assert.equal(await world.sessions.replace(stored, { ...stored.record, state: 'revoked', endedAt: now }), true)
          kept = { ...kept, revoked: true }
          continue
        }
        const before = world.sessionRecords.get(nkey)
        const asking = who[one.act === 'endorse' ? one.who : kept?.owner === 1 ? 1 : 0]
        const s: Scenario = { ...asking, nonce: `nonce-${i}`, plain: one.act === 'endorse' && one.plain }
        s.request = { now: Math.floor(now / 1000), client: { id: i } }
        const sig = one.act === 'endorse' ? endorsingSig(s) : one.form === 'bound' ? boundSig(s) : plainSig(s)
        const decision = await run(s, world, { sig, id: `step-${i}`, now })
        const exp = userJwt(decision)?.exp ?? 0
        const reason = decision.event?.verdict.reason
        if (one.act === 'resume') {
          assert.equal(reason, expectedResume(kept, one.form, now))
          // Resuming reads: it writes nothing, and never outlives the session.
          assert.equal(world.sessionRecords.get(nkey), before)
          assert.ok(exp <= Math.floor((kept?.expiresAt ?? 0) / 1000))
        } else if (kept !== null && (kept.revoked || kept.owner !== one.who)) {
          assert.equal(reason, 'endorsement_refused')
          assert.equal(world.sessionRecords.get(nkey), before)
        } else {
          assert.equal(reason, 'proof_endorsing')
          kept = { owner: one.who, plain: one.plain, expiresAt: now + sessionMs, revoked: false }
          const record = world.sessionRecords.get(nkey)?.record
          assert.deepEqual([record?.state, record?.plain, record?.expiresAt], ['active', one.plain, kept.expiresAt])
        }
        assert.ok(exp <= Math.floor(now / 1000) + ttlSeconds)
      }
      const last = world.sessionRecords.get(nkey)?.record
      assert.equal(last?.state ?? null, kept === null ? null : kept.revoked ? 'revoked' : 'active')
    }),
    { numRuns: 60 },
  )
})
