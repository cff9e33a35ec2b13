import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createSessionKey } from '../../src/client/session-key.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { encodePublicNkey } from '../../src/core/nkey.ts'
import { beginSessionRequest, refuseSessionRequest } from '../../src/core/people/session-request-steps.ts'
import { refusalOf } from '../support/people-world.ts'
import { sessionRecord } from '../support/records.ts'
import { alice, sessionOf, show, stateOf, tap, terminal, value } from '../support/terminal.ts'

describe('the nkey', () => {
  test('must have signed before anybody is shown the request', async () => {
    const it = await alice()
    const asked = value(await terminal(it.world).begin())
    const unproven = 'session.request_unknown/not_possessed'
    assert.equal(refusalOf(await show(it, asked)), unproven)
    assert.equal(refusalOf(await tap(it.world, asked, it)), unproven)
    assert.equal(refusalOf(await refuseSessionRequest(asked, it.signedIn, it.world.occasion(), it.world)), unproven)
  })

  test("is nobody else's: another's key cannot be possessed", async () => {
    const it = await alice()
    const victim = createSessionKey()
    const attacker = terminal(it.world, { key: victim })
    const asked = value(await attacker.begin())
    assert.equal(refusalOf(await attacker.possess(asked, createSessionKey())), 'session.possession_invalid')
    assert.equal(stateOf(it.world, asked), 'asked')
  })

  test('signs for the verifier that was dialled: what it signed for a relay is worth nothing', async () => {
    const { world } = await alice()
    const cli = terminal(world)
    const asked = value(await cli.begin())
    assert.equal(refusalOf(await cli.possess(asked, cli.key, 'https://nats.example.net')), 'session.possession_invalid')
  })

  test('proves itself once for each request', async () => {
    const { world } = await alice()
    const cli = terminal(world)
    const asked = await cli.ask()
    assert.equal(refusalOf(await cli.possess(asked)), 'session.request_used')
    const other = value(await cli.begin())
    assert.equal(refusalOf(await cli.possess({ ...asked, request: other.request })), 'session.possession_invalid')
    const fresh = value(await cli.begin())
    const both = await Promise.all([cli.possess(fresh), cli.possess(fresh)])
    assert.deepEqual(both.map(refusalOf).sort(), ['accepted', 'session.request_used/race'])
  })

  test('is refused when one signature by it would fit everything, and when it is none', async () => {
    const { world } = await alice()
    const smallOrder = encodePublicNkey(
      'U',
      Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0)),
    )
    for (const nkey of [smallOrder, 'UABC', '', encodePublicNkey('A', randomBytes(32))]) {
      const begun = await beginSessionRequest({ nkey, flow: 'code', host: 'h', port: null }, world.occasion(), world)
      assert.equal(refusalOf(begun), 'enrolment.request_malformed/schema', nkey)
    }
  })

  for (const [what, change] of Object.entries({
    "serves another's session": { state: 'active' },
    "is reserved for another's": { state: 'pending' },
    'was revoked': { state: 'revoked' },
  } as const)) {
    test(`is not endorsed when it ${what}`, async () => {
      const it = await alice()
      const cli = terminal(it.world)
      const asked = await cli.ask()
      const session = sessionRecord({ nkey: it.world.sessionRequests.get(asked.request)?.nkey ?? assert.fail(), ...change })
      it.world.sessions.records.put(session.nkey, session)
      assert.equal(refusalOf(await tap(it.world, asked, it)), 'session.endorsement_refused')
      assert.deepEqual(sessionOf(it.world, cli.key.nkey), session)
      assert.deepEqual(it.world.lifecycle.codes(), [])
    })
  }

  test('is not endorsed when it was revoked long ago: there is a tombstone', async () => {
    const it = await alice()
    const asked = await terminal(it.world).ask()
    it.world.sessions.tombstones.add(it.world.sessionRequests.get(asked.request)?.nkey ?? assert.fail())
    assert.equal(refusalOf(await tap(it.world, asked, it)), 'session.endorsement_refused')
  })

  test("is not endorsed when it has a session of the person's own: a bound key does not become a plain one", async () => {
    const it = await alice()
    const cli = terminal(it.world)
    const asked = await cli.ask()
    const nkey = it.world.sessionRequests.get(asked.request)?.nkey ?? assert.fail()
    const session = sessionRecord({ nkey, state: 'active', credential: credentialKey(it.credential.id), handle: it.credential.handle })
    it.world.sessions.records.put(nkey, session)
    assert.equal(refusalOf(await tap(it.world, asked, it)), 'session.endorsement_refused')
    assert.equal(sessionOf(it.world, nkey)?.plain, false)
  })
})
