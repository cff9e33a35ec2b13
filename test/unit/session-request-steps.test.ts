import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { sessionCheckCode } from '../../src/core/protocol.ts'
import type { SessionRequestRecord } from '../../src/core/records.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { refusalOf } from '../support/people-world.ts'
import { alice, completionOf, PORT, type Someone, sessionOf, show, stateOf, tap, terminal, value } from '../support/terminal.ts'

describe('the loopback flow', () => {
  test('ends with a session that only the completion code put in force', async () => {
    const it = await alice()
    const { world } = it
    const cli = terminal(world)
    const asked = value(await cli.begin())
    assert.equal(asked.url, `https://nats.example.com/#session=${asked.request}`)
    assert.equal(asked.code, sessionCheckCode(sha256, { request: asked.request, nkey: cli.key.nkey }))
    value(await cli.possess(asked))

    const { session: shown } = value(await show(it, asked))
    assert.deepEqual([shown.host, shown.code, shown.flow, shown.nkey], ['laptop', asked.code, 'loopback', cli.key.nkey])
    assert.deepEqual([shown.roles, shown.account, shown.lifetimeSeconds], [['reader'], 'APP', 8 * 3600])
    assert.equal(shown.expiresAt, asked.expiresAt)

    const endorsed = value(await tap(world, asked, it))
    const callback = new URL(endorsed.callback ?? '')
    assert.deepEqual([callback.origin, callback.pathname], [`http://127.0.0.1:${PORT}`, '/callback'])
    assert.equal(callback.searchParams.get('request'), asked.request)
    assert.equal(sessionOf(world, cli.key.nkey)?.state, 'pending')
    assert.equal(value(await cli.poll(asked)).state, 'waiting')

    const { session } = value(await cli.complete(asked, completionOf(endorsed)))
    assert.deepEqual(session, {
      handle: 'alice',
      nkey: cli.key.nkey,
      roles: ['reader'],
      urls: world.urls,
      inboxPrefix: '_INBOX_alice',
      expiresAt: world.clock.now + 8 * 3_600_000,
    })
    assert.deepEqual(sessionOf(world, cli.key.nkey), {
      v: 1,
      nkey: cli.key.nkey,
      credential: credentialKey(it.credential.id),
      handle: 'alice',
      class: 'person',
      plain: true,
      userVerified: true,
      byCode: false,
      label: 'laptop',
      createdAt: world.clock.now,
      expiresAt: world.clock.now + 8 * 3_600_000,
      state: 'active',
      endedAt: null,
    })
    assert.deepEqual(world.lifecycle.codes(), ['session.succeeded.endorsed', 'session.succeeded.completed'])
    assert.deepEqual(value(await cli.poll(asked)), { state: 'complete', session })
  })

  test('says who endorsed what for whom in the record, and no code', async () => {
    const it = await alice()
    const cli = terminal(it.world, { host: 'build\u001b[2Jhost' })
    const asked = await cli.ask()
    const endorsed = value(await tap(it.world, asked, it))
    value(await cli.complete(asked, completionOf(endorsed)))
    const [event] = it.world.lifecycle.events
    assert.deepEqual(event?.actor, { kind: 'identity', name: 'alice' })
    assert.deepEqual(event?.target, { kind: 'session', id: cli.key.nkey })
    assert.deepEqual(event?.roles, ['reader'])
    assert.equal(event?.facts['host'], 'build\\u{1b}[2Jhost')
    assert.equal(event?.facts['device'], credentialKey(it.credential.id))
    assert.equal(event?.facts['allowedBy'], `device:${credentialKey(it.credential.id)}`)
    const trail = JSON.stringify(it.world.lifecycle.events)
    for (const secret of [completionOf(endorsed), asked.issued, asked.code]) assert.ok(!trail.includes(secret))
    assert.ok(!JSON.stringify([...it.world.sessionRequests.all()]).includes(completionOf(endorsed)))
  })

  test('gives nothing to who sent its link to somebody else: the code went to that browser', async () => {
    const it = await alice()
    const { world } = it
    const attacker = terminal(world)
    const asked = await attacker.ask()
    value(await tap(world, asked, it))
    assert.deepEqual(value(await attacker.poll(asked)), { state: 'waiting', session: null })
    const guesses = ['', 'A'.repeat(43), asked.request, asked.issued, asked.code, randomBytes(32).toString('base64url')]
    for (const guess of guesses) assert.equal(refusalOf(await attacker.complete(asked, guess)), 'session.completion_invalid')
    const { completion } = world.sessionRequests.get(asked.request) as SessionRequestRecord
    assert.equal(refusalOf(await attacker.complete(asked, completion ?? '')), 'session.completion_invalid')
    assert.equal(sessionOf(world, attacker.key.nkey)?.state, 'pending')
    assert.equal(stateOf(world, asked), 'endorsed')
  })

  test('cannot be talked into a second endorsement of the pending nkey, not even by its own person', async () => {
    const it = await alice()
    const { world } = it
    const attacker = terminal(world)
    value(await tap(world, await attacker.ask(), it))
    world.clock.now += 1
    const byCode = terminal(world, { flow: 'code', key: attacker.key })
    const again = await byCode.ask()
    assert.equal(refusalOf(await tap(world, again, it)), 'session.endorsement_refused')
    assert.equal(sessionOf(world, attacker.key.nkey)?.state, 'pending')
  })

  test('takes the completion code once', async () => {
    const it = await alice()
    const cli = terminal(it.world)
    const asked = await cli.ask()
    const code = completionOf(value(await tap(it.world, asked, it)))
    const answers = await Promise.all([cli.complete(asked, code), cli.complete(asked, code)])
    assert.deepEqual(answers.map(refusalOf).sort(), ['accepted', 'session.request_used/race'])
    assert.equal(refusalOf(await cli.complete(asked, code)), 'session.request_used')
    assert.equal(it.world.lifecycle.codes().filter((code) => code.endsWith('completed')).length, 1)
  })

  test('takes no code of another request, and none before there was a tap', async () => {
    const it = await alice()
    const { world } = it
    const [mine, other] = [terminal(world), terminal(world)]
    const [asked, elsewhere] = [await mine.ask(), await other.ask()]
    const code = completionOf(value(await tap(world, asked, it)))
    assert.equal(refusalOf(await other.complete(elsewhere, code)), 'session.request_used')
    value(await tap(world, elsewhere, it))
    assert.equal(refusalOf(await other.complete(elsewhere, code)), 'session.completion_invalid')
    assert.equal(refusalOf(await mine.complete({ ...asked, request: 'nothing' }, code)), 'session.request_unknown')
  })

  test('does not complete after ten minutes', async () => {
    const it = await alice()
    const cli = terminal(it.world)
    const asked = await cli.ask()
    const code = completionOf(value(await tap(it.world, asked, it)))
    it.world.clock.now += 600_000
    assert.equal(refusalOf(await cli.complete(asked, code)), 'session.request_expired')
    assert.equal(sessionOf(it.world, cli.key.nkey)?.state, 'pending')
  })

  const changes: Record<string, { change(it: Someone): void; refusal: string }> = {
    'its device was revoked': {
      change: ({ world, credential }) => world.credentials.put(credentialKey(credential.id), { ...credential, state: 'revoked' }),
      refusal: 'session.roles_insufficient/credential_revoked',
    },
    'the person was disabled': {
      change: ({ world, signedIn: { identity } }) => world.identities.records.put('alice', { ...identity.record, state: 'disabled' }),
      refusal: 'session.roles_insufficient/identity_disabled',
    },
    'the person lost the role': {
      change: ({ world, signedIn: { identity } }) => world.identities.records.put('alice', { ...identity.record, roles: [] }),
      refusal: 'session.roles_insufficient/roles_none',
    },
    'the session was revoked': {
      change: ({ world }) => {
        for (const [key, { record }] of world.sessions.records.all()) world.sessions.records.put(key, { ...record, state: 'revoked' })
      },
      refusal: 'session.endorsement_refused/session_over',
    },
  }
  for (const [name, { change, refusal }] of Object.entries(changes)) {
    test(`does not complete when ${name} meanwhile`, async () => {
      const it = await alice()
      const cli = terminal(it.world)
      const asked = await cli.ask()
      const code = completionOf(value(await tap(it.world, asked, it)))
      change(it)
      assert.equal(refusalOf(await cli.complete(asked, code)), refusal)
      assert.notEqual(sessionOf(it.world, cli.key.nkey)?.state, 'active')
    })
  }
})

describe('without a durable record', () => {
  test('nothing is endorsed', async () => {
    const it = await alice()
    it.world.lifecycle.failing = ({ reason }) => reason === 'endorsed'
    for (const flow of ['loopback', 'code'] as const) {
      const cli = terminal(it.world, { flow })
      const asked = await cli.ask()
      await assert.rejects(tap(it.world, asked, it), AuditUnavailable)
      assert.equal(sessionOf(it.world, cli.key.nkey)?.state, 'pending')
      assert.equal(value(await cli.poll(asked)).state, 'waiting')
      assert.equal(refusalOf(await tap(it.world, asked, it)), 'session.request_used')
    }
  })

  test('nothing is completed', async () => {
    const it = await alice()
    it.world.lifecycle.failing = ({ reason }) => reason === 'completed'
    const cli = terminal(it.world)
    const asked = await cli.ask()
    const code = completionOf(value(await tap(it.world, asked, it)))
    await assert.rejects(cli.complete(asked, code), AuditUnavailable)
    assert.equal(sessionOf(it.world, cli.key.nkey)?.state, 'pending')
    assert.equal(refusalOf(await cli.complete(asked, code)), 'session.request_used')
  })
})
