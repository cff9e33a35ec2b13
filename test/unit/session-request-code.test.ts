import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import { createSessionKey } from '../../src/client/session-key.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { requestIdOfCode } from '../../src/core/people/session-request.ts'
import {
  beginSessionRequest,
  endorsementOptions,
  endorseSession,
  refuseSessionRequest,
} from '../../src/core/people/session-request-steps.ts'
import { peopleWorld, personPolicy, personRole, refusalOf } from '../support/people-world.ts'
import { alice, challengeFor, sessionOf, show, someone, stateOf, tap, terminal, value } from '../support/terminal.ts'

describe('the code flow', () => {
  test('is in force with the tap, for roles that allow it', async () => {
    const it = await alice({}, ['reader', 'writer'])
    const { world } = it
    const cli = terminal(world, { flow: 'code' })
    const asked = await cli.ask()
    assert.equal(asked.url, 'https://nats.example.com/#code')
    assert.ok(!JSON.stringify([...world.sessionRequests.all()]).includes(asked.code))
    const { session: shown } = value(await show(it, { code: ` ${asked.code.toLowerCase().replace('-', '')} ` }))
    assert.deepEqual([shown.request, shown.code, shown.roles], [asked.request, asked.code, ['reader']])
    assert.equal(value(await cli.poll(asked)).state, 'waiting')
    assert.deepEqual(value(await tap(world, shown, it)), { callback: null })
    const answer = value(await cli.poll(asked))
    assert.equal(answer.state, 'complete')
    assert.deepEqual(answer.session?.roles, ['reader'])
    assert.deepEqual([sessionOf(world, cli.key.nkey)?.byCode, sessionOf(world, cli.key.nkey)?.state], [true, 'active'])
    assert.deepEqual(world.lifecycle.codes(), ['session.succeeded.endorsed'])
  })

  for (const roles of [['writer'], ['admin'], ['writer', 'admin']]) {
    test(`is refused to who holds ${roles} alone`, async () => {
      const it = await alice({}, roles)
      it.world.credentials.put(credentialKey(it.credential.id), { ...it.credential, approvedBy: 'admin' })
      const asked = await terminal(it.world, { flow: 'code' }).ask()
      assert.equal(refusalOf(await show(it, { code: asked.code })), 'session.code_refused')
      assert.equal(refusalOf(await tap(it.world, asked, it)), 'session.code_refused')
    })
  }

  test('is refused for a privileged role that says it allows it', async () => {
    const policy = personPolicy([personRole('root', { loginByCode: true, privileged: true })])
    const it = await alice({ policy }, ['root'])
    const asked = await terminal(it.world, { flow: 'code' }).ask()
    assert.equal(refusalOf(await show(it, { code: asked.code })), 'session.code_refused')
  })

  test('is refused at the tap too, whatever the page was told before', async () => {
    const it = await alice({}, ['writer'])
    const cli = terminal(it.world, { flow: 'code' })
    const asked = await cli.ask()
    const options = {
      challenge: Buffer.from(challengeFor(asked.issued, cli.key.nkey, it.world)).toString('base64url'),
      rpId: 'nats.example.com',
    }
    const response = it.passkey.get(options)
    assert.equal(
      refusalOf(await endorseSession({ request: asked.request, response }, it.signedIn, it.world.occasion(), it.world)),
      'session.code_refused',
    )
    assert.equal(sessionOf(it.world, cli.key.nkey), undefined)
  })

  test('shows nothing by a link: the code must be typed', async () => {
    const it = await alice()
    const asked = await terminal(it.world, { flow: 'code' }).ask()
    assert.equal(refusalOf(await show(it, { request: asked.request })), 'session.request_unknown/flow')
  })

  test('tells nothing of a guessed code where guesses are not counted: not to strangers who poll, not to who taps or refuses', async () => {
    const it = await alice()
    const { world, signedIn } = it
    const cli = terminal(world, { flow: 'code' })
    const asked = await cli.ask()
    const guessed = requestIdOfCode(asked.code)
    assert.notEqual(asked.request, guessed)
    for (const request of [guessed, `${guessed}${'A'.repeat(20)}`, `${asked.request}A`]) {
      assert.equal(refusalOf(await cli.poll({ request })), 'session.request_unknown')
      assert.equal(refusalOf(await cli.possess({ request, issued: asked.issued })), 'session.request_unknown')
      assert.equal(refusalOf(await show(it, { request })), 'session.request_unknown')
      assert.equal(refusalOf(await endorsementOptions({ request }, signedIn, world.occasion(), world)), 'session.request_unknown')
      assert.equal(refusalOf(await endorseSession({ request, response: {} }, signedIn, world.occasion(), world)), 'session.request_unknown')
      assert.equal(refusalOf(await refuseSessionRequest({ request }, signedIn, world.occasion(), world)), 'session.request_unknown')
    }
    assert.equal(stateOf(world, asked), 'possessed')
    assert.match(asked.request, /^[A-Za-z0-9_-]{63}$/)
  })

  test('shows no loopback request, and nothing for a code that nobody was given', async () => {
    const it = await alice()
    const asked = await terminal(it.world).ask()
    for (const code of [asked.code, 'BCDF-GHJK']) assert.equal(refusalOf(await show(it, { code })), 'session.request_unknown')
    for (const code of [asked.request, '', 'AAAA-AAAA']) assert.equal(refusalOf(await show(it, { code })), 'session.request_unknown/code')
  })

  test('has nothing to complete', async () => {
    const it = await alice()
    const cli = terminal(it.world, { flow: 'code' })
    const asked = await cli.ask()
    assert.equal(refusalOf(await cli.complete(asked, 'A'.repeat(43))), 'session.request_used')
    value(await tap(it.world, asked, it))
    assert.equal(refusalOf(await cli.complete(asked, 'A'.repeat(43))), 'session.request_used')
  })
})

describe('one request', () => {
  test('is endorsed once, by one of two people who race for it', async () => {
    const it = await alice()
    const { world } = it
    const other = await someone(world, 'mallory')
    const cli = terminal(world)
    const asked = await cli.ask()
    const answers = await Promise.all([tap(world, asked, it), tap(world, asked, other)])
    assert.deepEqual(answers.map(refusalOf).sort(), ['accepted', 'session.request_used/race'])
    const winner = answers[0]?.ok === true ? 'alice' : 'mallory'
    assert.equal(sessionOf(world, cli.key.nkey)?.handle, winner)
    assert.equal(stateOf(world, asked), 'endorsed')
    assert.equal(world.lifecycle.events[0]?.handle, winner)
  })

  test('is endorsed once by one person', async () => {
    const it = await alice()
    const asked = await terminal(it.world).ask()
    value(await tap(it.world, asked, it))
    assert.equal(refusalOf(await tap(it.world, asked, it)), 'session.request_used')
    assert.equal(refusalOf(await show(it, asked)), 'session.request_used')
    assert.equal(refusalOf(await refuseSessionRequest(asked, it.signedIn, it.world.occasion(), it.world)), 'session.request_used')
  })

  test('is over after ten minutes, at every step', async () => {
    const it = await alice()
    const cli = terminal(it.world)
    const [unproven, asked] = [value(await cli.begin()), await cli.ask()]
    const { options } = value(await endorsementOptions(asked, it.signedIn, it.world.occasion(), it.world))
    const response = it.passkey.get(options as PublicKeyCredentialRequestOptionsJSON)
    it.world.clock.now += 600_000
    const occasion = it.world.occasion()
    const answers = [
      await cli.possess(unproven),
      await cli.poll(asked),
      await show(it, asked),
      await endorsementOptions(asked, it.signedIn, occasion, it.world),
      await endorseSession({ request: asked.request, response }, it.signedIn, occasion, it.world),
      await refuseSessionRequest(asked, it.signedIn, occasion, it.world),
    ]
    for (const judged of answers) assert.equal(refusalOf(judged), 'session.request_expired')
  })

  test('is over when the person says no, and the terminal is told', async () => {
    const it = await alice()
    const cli = terminal(it.world)
    const asked = await cli.ask()
    value(await refuseSessionRequest(asked, it.signedIn, it.world.occasion(), it.world))
    assert.deepEqual(value(await cli.poll(asked)), { state: 'refused', session: null })
    for (const judged of [await tap(it.world, asked, it), await show(it, asked), await cli.complete(asked, 'A'.repeat(43))]) {
      assert.equal(refusalOf(judged), 'session.refused_by_person')
    }
    assert.deepEqual(it.world.lifecycle.codes(), ['session.refused.refused_by_person'])
    assert.deepEqual(it.world.lifecycle.events[0]?.actor, { kind: 'identity', name: 'alice' })
  })

  test('that nobody made is unknown to all', async () => {
    const it = await alice()
    const cli = terminal(it.world)
    const nothing = { request: 'nothing', issued: randomBytes(32).toString('base64url'), url: '', code: '', expiresAt: 0 }
    for (const judged of [await cli.poll(nothing), await cli.possess(nothing), await show(it, nothing), await tap(it.world, nothing, it)]) {
      assert.equal(refusalOf(judged), 'session.request_unknown')
    }
  })

  test('needs a deployment with people, and a port exactly in the loopback flow', async () => {
    const { nkey } = createSessionKey()
    const machines = peopleWorld({ rules: { person: null } })
    const refusal = await beginSessionRequest({ nkey, flow: 'code', host: 'h', port: null }, machines.occasion(), machines)
    assert.equal(refusalOf(refusal), 'enrolment.person_enrolment_unavailable')
    const world = peopleWorld()
    for (const [flow, port] of [
      ['loopback', null],
      ['code', 4711],
    ] as const) {
      const judged = await beginSessionRequest({ nkey, flow, host: 'h', port }, world.occasion(), world)
      assert.equal(refusalOf(judged), 'enrolment.request_malformed/schema')
    }
  })
})
