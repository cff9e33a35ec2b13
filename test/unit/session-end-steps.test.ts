import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createSessionKey } from '../../src/client/session-key.ts'
import { issueCeremony } from '../../src/core/enrolment/ceremony.ts'
import { parseUserNkey } from '../../src/core/identifiers.ts'
import { beginSessionEnd, finishSessionEnd } from '../../src/core/people/session-end-steps.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import type { SessionRecord } from '../../src/core/records.ts'
import { peopleWorld, refusalOf, type TestPeopleWorld } from '../support/people-world.ts'
import { sessionRecord } from '../support/records.ts'
import { challengeFor, possession, value } from '../support/terminal.ts'

function inForce(change: Partial<SessionRecord> = {}) {
  const world = peopleWorld()
  const key = createSessionKey()
  const nkey = parseUserNkey(key.nkey) ?? assert.fail()
  const session = sessionRecord({
    nkey,
    state: 'active',
    plain: true,
    createdAt: world.clock.now,
    expiresAt: world.clock.now + 60_000,
    ...change,
  })
  world.sessions.records.put(nkey, session)
  return { world, key, nkey, session }
}

const begin = async (world: TestPeopleWorld, nkey: string) => value(await beginSessionEnd({ nkey }, world.occasion(), world))
const finish = (world: TestPeopleWorld, ceremony: string, signature: string) =>
  finishSessionEnd({ ceremony, signature }, world.occasion(), world)

/** Ends the session of `key`, signing with `signer` for `origin`. */
async function end(
  world: TestPeopleWorld,
  key = createSessionKey(),
  { signer = key, origin = world.origin, act = 'revoke' as 'plain' | 'revoke' } = {},
) {
  const { ceremony, issued } = await begin(world, key.nkey)
  return finish(world, ceremony, possession(signer, challengeFor(issued, key.nkey, { origin, act })))
}

describe('ending a session by its key', () => {
  test('is on record, revokes it for good and closes its connections', async () => {
    const { world, key, nkey, session } = inForce()
    assert.deepEqual(value(await end(world, key)), { ended: true })
    assert.deepEqual(world.sessions.records.get(nkey), { ...session, state: 'revoked', endedAt: world.clock.now })
    assert.ok(world.sessions.tombstones.has(nkey))
    assert.deepEqual(world.evicted, [{ session: nkey, handle: 'orders' }])
    assert.deepEqual(world.lifecycle.codes(), ['session.succeeded.revoked'])
    const [event] = world.lifecycle.events
    assert.deepEqual([event?.actor, event?.target.id, event?.facts['by']], [{ kind: 'identity', name: 'orders' }, nkey, 'nkey'])
    assert.equal(event?.facts['allowedBy'], `session:${nkey}`)
  })

  test('ends a session that waits for its terminal, too', async () => {
    const { world, key, nkey } = inForce({ state: 'pending' })
    assert.deepEqual(value(await end(world, key)), { ended: true })
    assert.equal(world.sessions.records.get(nkey)?.state, 'revoked')
  })

  for (const [name, change] of Object.entries({ revoked: { state: 'revoked' }, expired: { expiresAt: 1 } } as const)) {
    test(`is nothing when it is ${name} already`, async () => {
      const { world, key } = inForce(change)
      assert.deepEqual(value(await end(world, key)), { ended: false })
      assert.deepEqual([world.lifecycle.codes(), world.evicted], [[], []])
    })
  }

  test('is nothing for a key that never had one', async () => {
    assert.deepEqual(value(await end(peopleWorld())), { ended: false })
  })

  test("is for who has the key: a stranger's signature ends nothing", async () => {
    const { world, key, nkey } = inForce()
    assert.equal(refusalOf(await end(world, key, { signer: createSessionKey() })), 'session.possession_invalid')
    assert.equal(world.sessions.records.get(nkey)?.state, 'active')
    assert.deepEqual([world.lifecycle.codes(), world.evicted], [[], []])
  })

  test("does not take another session's ceremony", async () => {
    const { world, key, nkey } = inForce()
    const own = createSessionKey()
    const { ceremony, issued } = await begin(world, own.nkey)
    assert.equal(
      refusalOf(await finish(world, ceremony, possession(key, challengeFor(issued, key.nkey, { ...world, act: 'revoke' })))),
      'session.possession_invalid',
    )
    assert.equal(world.sessions.records.get(nkey)?.state, 'active')
  })

  test('takes a signature once', async () => {
    const { world, key } = inForce()
    const { ceremony, issued } = await begin(world, key.nkey)
    const signature = possession(key, challengeFor(issued, key.nkey, { ...world, act: 'revoke' }))
    value(await finish(world, ceremony, signature))
    assert.equal(refusalOf(await finish(world, ceremony, signature)), 'session.request_used/used')
    const fresh = await begin(world, key.nkey)
    assert.equal(refusalOf(await finish(world, fresh.ceremony, signature)), 'session.possession_invalid')
  })

  test('does not take what the key signed for a login, or for another verifier', async () => {
    const { world, key } = inForce()
    assert.equal(refusalOf(await end(world, key, { act: 'plain' })), 'session.possession_invalid')
    assert.equal(refusalOf(await end(world, key, { origin: 'https://nats.example.net' })), 'session.possession_invalid')
  })

  test('does not take a ceremony that was begun for something else, is late, or was made up', async () => {
    const { world, key } = inForce()
    const owner = { ticket: null, login: null }
    const signin = await issueCeremony(world.signins, { purpose: 'signin', subject: '', owner }, world.occasion())
    assert.equal(refusalOf(await finish(world, signin.id, 'A'.repeat(86))), 'session.request_unknown/purpose')
    assert.equal(refusalOf(await finish(world, 'nothing', 'A'.repeat(86))), 'session.request_unknown/unknown')
    const { ceremony, issued } = await begin(world, key.nkey)
    world.clock.now += 300_000
    const signature = possession(key, challengeFor(issued, key.nkey, { ...world, act: 'revoke' }))
    assert.equal(refusalOf(await finish(world, ceremony, signature)), 'session.request_expired/expired')
  })

  test('is not begun for what is no user nkey', async () => {
    const world = peopleWorld()
    for (const nkey of ['', 'U', 'nkey\nplain']) {
      assert.equal(refusalOf(await beginSessionEnd({ nkey }, world.occasion(), world)), 'enrolment.request_malformed/schema')
    }
  })

  test('wins against another write to the session', async () => {
    const { world, key, nkey, session } = inForce({ state: 'pending' })
    const { ceremony, issued } = await begin(world, key.nkey)
    const { findOnLeader } = world.sessions
    // It is activated at the very moment after it was read.
    world.sessions.findOnLeader = async (asked) => {
      const found = await findOnLeader(asked)
      world.sessions.records.put(nkey, { ...session, state: 'active' })
      return found
    }
    const signature = possession(key, challengeFor(issued, key.nkey, { ...world, act: 'revoke' }))
    assert.deepEqual(value(await finish(world, ceremony, signature)), { ended: true })
    assert.equal(world.sessions.records.get(nkey)?.state, 'revoked')
  })

  test('ends nothing without a durable record', async () => {
    const { world, key, nkey } = inForce()
    world.lifecycle.failing = () => true
    await assert.rejects(end(world, key), AuditUnavailable)
    assert.equal(world.sessions.records.get(nkey)?.state, 'active')
  })
})
