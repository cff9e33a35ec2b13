/** Report-only mode beside the guard and the limits: what a legacy user's own, right credentials do not get around. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AccountName } from '../../src/core/identifiers.ts'
import { parseLegacyUsers } from '../../src/core/legacy/legacy-document.ts'
import type { LegacyPort } from '../../src/core/ports.ts'
import { ask, verdictOf } from '../support/claims.ts'
import { userJwt, worldOf } from '../support/decision.ts'
import { NOW, proofSig, scenario } from '../support/scenario.ts'

const FILE = `users:
  - user: billing
    password: "$2b$04$${'a'.repeat(53)}"
    account: APP
    permissions: { publish: [billing.>], subscribe: [] }
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
      s.request = password
      const again = await ask(s, world, { sig, id: 'b' })
      assert.equal(verdictOf(again), `denied.${sig === '' ? 'sig_missing' : 'sig_malformed'}`)
      assert.deepEqual([world.recorded.length, userJwt(again)], [1, null])
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
