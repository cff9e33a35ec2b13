/** Report-only mode beside the guard and the limits: what a legacy user's own, right credentials do not get around. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AccountName } from '../../src/core/identifiers.ts'
import { parseLegacyUsers } from '../../src/core/legacy/legacy-document.ts'
import type { LegacyPort } from '../../src/core/ports.ts'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { ask, counting, LATER, untold, verdictOf } from '../support/claims.ts'
import { userJwt, worldOf } from '../support/decision.ts'
import { endorsingSig, NOW, proofSig, type Scenario, scenario } from '../support/scenario.ts'

const FILE = `users:
  - user: billing
    password: "$2b$04$${'a'.repeat(53)}"
    account: APP
    permissions: { publish: [billing.>], subscribe: [] }
  - user: reports
    password: "$2b$04$${'b'.repeat(53)}"
    account: APP
    permissions: { publish: [reports.>], subscribe: [] }
`

/** Everybody's password is right; `asked` is what was compared. */
function allRight(): { legacy: LegacyPort; asked: Parameters<LegacyPort['compare']>[0][] } {
  const parsed = parseLegacyUsers(FILE, { targetAccounts: ['APP' as AccountName] })
  assert.ok(parsed.ok)
  const asked: Parameters<LegacyPort['compare']>[0][] = []
  const compare: LegacyPort['compare'] = async (one) => {
    asked.push(one)
    return 'right'
  }
  return { asked, legacy: { users: () => parsed.users, terms: { untilMs: NOW + 86_400_000, ttlSeconds: 3600 }, compare } }
}

const password = { connect: { user: 'billing', pass: 'a' } }
/** As nats-server asks: it names the nonce only where CONNECT holds a `sig`. */
const sentWith = (sig: string) => (sig === '' ? { ...password, client: { nonce: undefined } } : password)

describe('the right password of a legacy user', () => {
  for (const [what, sig] of [
    ['no proof', ''],
    ['something that is no proof', 'x'],
  ] as const) {
    test(`and ${what} on a connection that was proven give it no second identity`, async () => {
      const s = scenario()
      const world = worldOf(s)
      world.legacy = allRight().legacy
      assert.equal(verdictOf(await ask(s, world, { sig: proofSig(s) })), 'granted.proof')
      const entries = structuredClone([...world.guardEntries])
      untold(world)
      s.request = sentWith(sig)
      const again = await ask(s, world, { sig, id: 'b' })
      assert.equal(verdictOf(again), `denied.${sig === '' ? 'sig_missing' : 'sig_malformed'}`)
      assert.deepEqual([world.recorded.length, userJwt(again)], [1, null])
      assert.deepEqual([...world.guardEntries], entries)
      // Another connection is its own.
      s.request = { ...password, client: { id: 8 } }
      const other = await ask(s, world, { sig, id: 'c' })
      assert.equal(other.event?.verdict.outcome, 'reported')
    })
  }

  test('is asked for in the turn of a host, whichever of its IPv6 addresses it comes from', async () => {
    const s = scenario()
    const world = worldOf(s)
    const { legacy, asked } = allRight()
    world.legacy = legacy
    for (const host of ['2001:db8::1', '2001:db8::ffff:2']) {
      s.request = { ...password, client: { host } }
      await ask(s, world, { sig: '' })
    }
    assert.equal(new Set(asked.map(({ source }) => source)).size, 1)
    assert.deepEqual(
      asked.map(({ name }) => name),
      ['billing', 'billing'],
    )
  })
})

/** A scenario whose connection billing was admitted on, and its world. */
async function admitted(sig = '', s = scenario()) {
  const world = worldOf(s)
  world.legacy = allRight().legacy
  s.request = sentWith(sig)
  const first = await ask(s, world, { sig, jitter: 0.4 })
  assert.equal(first.event?.verdict.outcome, 'reported')
  return { s, world, exp: userJwt(first)?.exp ?? assert.fail(), entries: structuredClone([...world.guardEntries]) }
}

describe('a connection that a legacy user was admitted on', () => {
  for (const [who, before] of [
    ['this verifier', () => {}],
    ['one that was not told', untold],
  ] as const) {
    for (const [what, sig, verdict] of [
      ['no sig', '', 'reported.sig_missing'],
      ['a sig, so that the request names the nonce', 'x', 'reported.sig_malformed'],
    ] as const) {
      test(`asked about again with ${what} at ${who}, keeps its expiry, on record`, async () => {
        const { s, world, exp, entries } = await admitted()
        before(world)
        s.request = sentWith(sig)
        for (const [id, now] of [
          ['b', LATER],
          ['c', NOW + 3_000_000],
        ] as const) {
          const again = await ask(s, world, { sig, id, now, jitter: 0.9 })
          assert.deepEqual([verdictOf(again), userJwt(again)?.exp, again.event?.grant?.expiresAt], [verdict, exp, exp])
        }
        assert.deepEqual([...world.guardEntries], entries)
        assert.deepEqual(
          world.recorded.map(({ id }) => id),
          ['a', 'b', 'c'],
        )
      })
    }

    test(`is nobody else's at ${who}: another legacy user is refused, with the right password`, async () => {
      const { s, world, entries } = await admitted()
      before(world)
      s.request = { connect: { user: 'reports', pass: 'b' }, client: { nonce: undefined } }
      const other = await ask(s, world, { sig: '', id: 'b' })
      assert.deepEqual([verdictOf(other), userJwt(other), world.recorded.length], ['denied.sig_missing', null, 1])
      assert.deepEqual([...world.guardEntries], entries)
    })

    test(`is no identity's at ${who}: a good proof that comes later is refused and endorses nothing`, async () => {
      const { s, world, entries } = await admitted()
      before(world)
      for (const request of [{}, password]) {
        s.request = request
        const proof = await ask(s, world, { sig: endorsingSig(s), id: 'b', now: LATER })
        assert.deepEqual([verdictOf(proof), userJwt(proof)], ['denied.connection_already_proven', null])
      }
      assert.equal(world.sessionRecords.get(s.sessionNkey.publicKey)?.record.state, 'pending')
      assert.deepEqual([...world.guardEntries], entries)
    })

    test(`is refused at ${who} once its time is over, though it is still there`, async () => {
      const { s, world, exp, entries } = await admitted()
      before(world)
      const late = await ask(s, world, { sig: '', id: 'b', now: exp * 1000 })
      assert.deepEqual([verdictOf(late), userJwt(late), world.recorded.length], ['denied.sig_missing', null, 1])
      assert.deepEqual([...world.guardEntries], entries)
    })

    test(`keeps its expiry at ${who} where a proof fails beside the password, each time for its own reason`, async () => {
      const s = scenario()
      const elsewhere = { ...s, nonce: 'another' }
      const { world, exp } = await admitted(proofSig(elsewhere), s)
      before(world)
      const again = await ask(s, world, { sig: proofSig(elsewhere), id: 'b', now: LATER })
      assert.deepEqual([verdictOf(again), userJwt(again)?.exp], ['reported.challenge_mismatch', exp])
    })

    test(`hides no copied key at ${who}: a count that went back still quarantines`, async () => {
      const { s, world } = await admitted('', counting())
      before(world)
      s.assertion = { signCount: 3, flags: 0 }
      s.request = {}
      assert.equal(verdictOf(await ask(s, world, { sig: proofSig(s), id: 'b' })), 'denied.sign_count_regression')
      assert.equal([...world.credentialRecords.values()][0]?.record.state, 'quarantined')
    })
  }

  test('may go to somebody else when it ended: the next one has another id', async () => {
    const { s, world } = await admitted()
    s.request = { client: { id: 8 } }
    assert.equal(verdictOf(await ask(s, world, { sig: proofSig(s), id: 'b' })), 'granted.proof')
  })
})

describe('the claim of a legacy user', () => {
  const scene = (): { s: Scenario; world: ReturnType<typeof worldOf> } => {
    const s = scenario()
    const world = worldOf(s)
    world.legacy = allRight().legacy
    s.request = sentWith('')
    return { s, world }
  }

  test('is withdrawn when its record is not durable, and asking again is judged anew', async () => {
    const { s, world } = scene()
    world.broken.audit = true
    assert.equal(verdictOf(await ask(s, world, { sig: '' })), 'error.audit_unavailable')
    assert.equal(world.guardEntries.size, 0)
    world.broken.audit = false
    assert.equal(userJwt(await ask(s, world, { sig: '', now: LATER }))?.exp, LATER / 1000 + 3600)
  })

  test('is withdrawn when the deadline passes: no record, no answer', async () => {
    const { s, world } = scene()
    let elapsed = 0
    const { claim } = world.guard
    world.guard.claim = async (key, entry) => {
      elapsed = 4_501
      return claim(key, entry)
    }
    const decision = await ask(s, world, { sig: '', elapsedMs: () => elapsed })
    assert.deepEqual(decision, { event: null, reply: null })
    assert.deepEqual([world.guardEntries.size, world.recorded, world.noted], [0, [], []])
  })

  test('is withdrawn when its record took too long for an answer', async () => {
    const { s, world } = scene()
    let elapsed = 0
    const { record } = world.audit
    world.audit.record = async (event) => {
      elapsed = 5_001
      await record(event)
    }
    assert.equal(verdictOf(await ask(s, world, { sig: '', elapsedMs: () => elapsed })), 'error.deadline_exceeded')
    assert.equal(world.guardEntries.size, 0)
  })

  test('is not taken back by a later ask that fails', async () => {
    const { s, world, entries } = await admitted()
    for (const before of [() => {}, untold]) {
      before(world)
      world.broken.audit = true
      assert.equal(verdictOf(await ask(s, world, { sig: '', id: 'b' })), 'error.audit_unavailable')
      assert.deepEqual([...world.guardEntries], entries)
    }
  })

  test('that cannot be made admits nobody, and records nobody as admitted', async () => {
    const { s, world } = scene()
    world.guard.claim = () => Promise.reject(new StoreUnavailable('writing webauthn_guard'))
    const decision = await ask(s, world, { sig: '' })
    assert.deepEqual([verdictOf(decision), decision.event?.stage], ['error.store_unavailable', 'store'])
    assert.deepEqual([world.recorded, userJwt(decision)], [[], null])
  })

  test('takes no place of an identity', async () => {
    const { s, world } = scene()
    await ask(s, world, { sig: '' })
    assert.deepEqual([...world.guardEntries.values()].flatMap((entry) => Object.keys(entry)).sort(), [
      'clientId',
      'exp',
      'iat',
      'legacy',
      'serverId',
      'v',
    ])
    assert.equal(world.connections, 0)
  })
})
