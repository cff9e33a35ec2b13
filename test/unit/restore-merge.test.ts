/** What a restore writes, for any backup, live record and trail: never more than the live record or the trail allows. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { CredentialFacts, IdentityFacts } from '../../src/core/backup/facts.ts'
import { mergeCredential, mergeIdentity, mergeTombstone } from '../../src/core/backup/merge.ts'
import { claimsDigest } from '../../src/core/claims-digest.ts'
import type { CredentialRecord, IdentityRecord, Tombstone } from '../../src/core/records.ts'
import { credentialRecord, handleOf, identityRecord, newUserNkey, roleOf } from '../support/records.ts'

const CREDENTIAL = credentialRecord()
const runs = { numRuns: 2_000 }

const credential: fc.Arbitrary<CredentialRecord> = fc
  .record({
    state: fc.constantFrom('pending', 'active', 'quarantined', 'revoked'),
    signCount: fc.integer({ min: 0, max: 9 }),
    endedAt: fc.option(fc.integer({ min: 1, max: 9 })),
    expiresAt: fc.option(fc.integer({ min: 1, max: 9 })),
    approvedBy: fc.option(fc.constantFrom('ann', 'bob')),
  })
  .map((changes) => ({ ...CREDENTIAL, ...changes }))
const hold = fc.option(fc.record({ on: fc.boolean(), at: fc.integer({ min: 1, max: 9 }) }))
const credentialFacts: fc.Arbitrary<CredentialFacts> = fc.record({
  id: fc.constant(CREDENTIAL.id),
  handle: fc.option(fc.constant(CREDENTIAL.handle)),
  revokedAt: fc.option(fc.integer({ min: 1, max: 9 })),
  hold,
  counter: fc.option(fc.record({ signCount: fc.integer({ min: 1, max: 9 }), at: fc.integer({ min: 1, max: 9 }) })),
})
const credentialSources = fc.record({
  backup: fc.option(credential),
  live: fc.option(credential),
  facts: fc.option(credentialFacts),
  gap: fc.boolean(),
})

const ROLES = ['reader', 'writer', 'boss'] as const
const roles = fc.uniqueArray(
  fc.record({ name: fc.constantFrom(...ROLES).map(roleOf), source: fc.constantFrom('idp', 'assigned'), asOf: fc.constant(1) }),
  {
    selector: ({ name, source }) => `${source}:${name}`,
  },
) satisfies fc.Arbitrary<IdentityRecord['roles']>
const claims = fc.constantFrom({}, { team: 'red' }, { team: 'blue' }) satisfies fc.Arbitrary<IdentityRecord['claims']>
const identity: fc.Arbitrary<IdentityRecord> = fc
  .record({ state: fc.constantFrom('active', 'disabled'), roles, claims })
  .map((changes) => identityRecord('orders', changes))
const names = fc.uniqueArray(fc.constantFrom(...ROLES)).map((list) => new Set<string>(list))
const identityFacts: fc.Arbitrary<IdentityFacts> = fc.record({
  at: fc.constant(1),
  owner: fc.option(fc.constant({ class: 'machine', issuer: 'machine', subject: 'orders' })),
  hold,
  held: fc.option(fc.record({ roles: names, assigned: names, claims: fc.option(claims.map(claimsDigest)) })),
})
const identitySources = fc.record({
  backup: fc.option(identity),
  live: fc.option(identity),
  facts: fc.option(identityFacts),
  gap: fc.boolean(),
})
const shell = { handle: handleOf('orders'), isFree: () => true, userHandle: () => 'dXNlcg' }

/** How much a state lets in: the less, the more final. */
const POWER = { revoked: 0, quarantined: 1, pending: 1, active: 2, disabled: 0 } as const

describe('a restored credential', () => {
  test('is never more than the live one', () => {
    fc.assert(
      fc.property(credentialSources, (sources) => {
        const merged = mergeCredential(sources)
        const { live } = sources
        if (live === null) return
        assert.ok(merged !== null)
        assert.ok(POWER[merged.state] <= POWER[live.state])
        assert.ok(merged.signCount >= live.signCount)
        assert.equal(merged.approvedBy, live.approvedBy)
        assert.ok(live.expiresAt === null || (merged.expiresAt !== null && merged.expiresAt <= live.expiresAt))
      }),
      runs,
    )
  })

  test('is never more than the backup and the trail left of it', () => {
    fc.assert(
      fc.property(credentialSources, (sources) => {
        const merged = mergeCredential(sources)
        const { backup, live, facts, gap } = sources
        if (merged === null) return
        if (facts?.revokedAt != null || backup?.state === 'revoked' || live?.state === 'revoked') assert.equal(merged.state, 'revoked')
        if (facts?.hold?.on === true) assert.notEqual(merged.state, 'active')
        assert.ok(
          merged.signCount >= Math.max(backup?.signCount ?? 0, live === null && backup === null ? 0 : (facts?.counter?.signCount ?? 0)),
        )
        if (live !== null) return
        assert.ok(backup !== null || merged.state === 'revoked')
        if (gap || backup?.state === 'quarantined') assert.notEqual(merged.state, 'active')
      }),
      runs,
    )
  })

  test('stays what it is when it is restored again', () => {
    fc.assert(
      fc.property(credentialSources, (sources) => {
        const merged = mergeCredential(sources)
        if (merged !== null) assert.deepEqual(mergeCredential({ ...sources, live: merged }), merged)
      }),
      runs,
    )
  })

  test('is the live one where nothing was taken away', () => {
    fc.assert(
      fc.property(credential, fc.boolean(), (live, gap) => {
        assert.deepEqual(mergeCredential({ backup: live, live, facts: null, gap }), live)
        assert.deepEqual(mergeCredential({ backup: null, live, facts: null, gap }), live)
      }),
      runs,
    )
  })

  test("of two backups is the same in either order's end state, wherever it stood", () => {
    fc.assert(
      fc.property(credential, credential, fc.option(credentialFacts), (one, other, facts) => {
        const both = (first: CredentialRecord, second: CredentialRecord) => {
          const live = mergeCredential({ backup: first, live: null, facts, gap: false })
          return mergeCredential({ backup: second, live, facts, gap: false })
        }
        const [forth, back] = [both(one, other), both(other, one)]
        assert.equal(forth?.state === 'revoked', back?.state === 'revoked')
        assert.equal(forth?.signCount, back?.signCount)
        assert.equal(forth?.expiresAt, back?.expiresAt)
      }),
      runs,
    )
  })

  test('is not released by the trail: only an administrator lets go what comes out of a backup', () => {
    const facts = { id: CREDENTIAL.id, handle: CREDENTIAL.handle, revokedAt: null, hold: { on: false, at: 2 }, counter: null }
    const held = { ...CREDENTIAL, state: 'quarantined', endedAt: 1 } as const
    assert.equal(mergeCredential({ backup: held, live: null, facts, gap: false })?.state, 'quarantined')
    assert.equal(mergeCredential({ backup: held, live: CREDENTIAL, facts, gap: false })?.state, 'active', 'a live record that was released')
    assert.equal(
      mergeCredential({ backup: held, live: CREDENTIAL, facts: null, gap: false })?.state,
      'quarantined',
      'one that nobody released',
    )
  })

  test('of another key under the same id is left alone', () => {
    const live = { ...CREDENTIAL, publicKey: 'b3RoZXI' }
    assert.deepEqual(mergeCredential({ backup: { ...CREDENTIAL, state: 'revoked', signCount: 7 }, live, facts: null, gap: false }), live)
  })

  test('that was enrolled and revoked since is ended under a key that nobody has, and one that was not revoked is not there', () => {
    const facts = { id: CREDENTIAL.id, handle: CREDENTIAL.handle, revokedAt: 5, hold: null, counter: null }
    const ended = mergeCredential({ backup: null, live: null, facts, gap: false })
    assert.deepEqual(
      { state: ended?.state, endedAt: ended?.endedAt, publicKey: ended?.publicKey },
      { state: 'revoked', endedAt: 5, publicKey: 'oA' },
    )
    assert.equal(mergeCredential({ backup: null, live: null, facts: { ...facts, revokedAt: null }, gap: false }), null)
  })
})

describe('a restored identity', () => {
  test('has no role, claim or life that the live one, or the trail, has not', () => {
    fc.assert(
      fc.property(identitySources, (sources) => {
        const merged = mergeIdentity(sources, shell)
        const { backup, live, facts, gap } = sources
        if (merged === null) return
        const base = live ?? backup
        for (const role of merged.roles) assert.ok(base?.roles.some(({ name, source }) => name === role.name && source === role.source))
        const held = facts?.held ?? null
        if (held !== null)
          for (const { name, source } of merged.roles) assert.ok(held.roles.has(name) && (source === 'idp' || held.assigned.has(name)))
        if (held?.claims != null) assert.ok(Object.keys(merged.claims).length === 0 || claimsDigest(merged.claims) === held.claims)
        if (live?.state === 'disabled' || facts?.hold?.on === true) assert.equal(merged.state, 'disabled')
        if (live === null && (backup?.state === 'disabled' || (gap && backup !== null))) assert.equal(merged.state, 'disabled')
      }),
      runs,
    )
  })

  test('stays what it is when it is restored again', () => {
    fc.assert(
      fc.property(identitySources, (sources) => {
        const merged = mergeIdentity(sources, shell)
        if (merged !== null) assert.deepEqual(mergeIdentity({ ...sources, live: merged }, shell), merged)
      }),
      runs,
    )
  })

  test('is the live one where nothing was taken away', () => {
    fc.assert(
      fc.property(identity, (live) => {
        assert.deepEqual(mergeIdentity({ backup: live, live, facts: null, gap: true }, shell), live)
      }),
      runs,
    )
  })

  test('does not come over somebody else who has the handle now', () => {
    const live = identityRecord('orders', { issuer: 'https://idp.example', subject: 'other', class: 'person' })
    const backup = identityRecord('orders', { state: 'disabled' })
    assert.deepEqual(mergeIdentity({ backup, live, facts: null, gap: false }, shell), live)
  })

  test('whose owner the trail does not tell is nobody, for ever', () => {
    const facts: IdentityFacts = { at: 1, owner: null, hold: null, held: null }
    const merged = mergeIdentity({ backup: null, live: null, facts, gap: false }, shell)
    assert.deepEqual(
      { state: merged?.state, issuer: merged?.issuer, roles: merged?.roles },
      { state: 'disabled', issuer: 'restore', roles: [] },
    )
    const taken = { ...facts, owner: { class: 'person', issuer: 'https://idp.example', subject: 'one' } } as const
    assert.equal(
      mergeIdentity({ backup: null, live: null, facts: taken, gap: false }, { ...shell, isFree: () => false })?.issuer,
      'restore',
    )
  })
})

describe('a restored tombstone', () => {
  test('is there if anybody ever wrote it', () => {
    const nkey = newUserNkey()
    const stone = (revokedAt: number): Tombstone => ({ v: 1, nkey, revokedAt })
    const merge = (backup: Tombstone | null, live: Tombstone | null, facts: number | null) =>
      mergeTombstone(nkey, { backup, live, facts, gap: false })
    assert.deepEqual(merge(stone(1), null, null), stone(1))
    assert.deepEqual(merge(stone(1), stone(2), 3), stone(2))
    assert.deepEqual(merge(null, null, 3), stone(3))
    assert.equal(merge(null, null, null), null)
  })
})
