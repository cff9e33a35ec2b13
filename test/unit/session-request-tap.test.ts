import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import { credentialKey } from '../../src/core/identifiers.ts'
import { endorsementOptions, endorseSession } from '../../src/core/people/session-request-steps.ts'
import { ceremonyChallenge, connectChallenge } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { personPolicy, personRole, refusalOf } from '../support/people-world.ts'
import { alice, challengeFor, type Someone, sessionOf, show, someone, stateOf, tap, terminal, value } from '../support/terminal.ts'
import { FLAGS } from '../support/test-authenticator.ts'

describe('the tap', () => {
  async function refused(change: Parameters<typeof tap>[2]['change'], prepare: (it: Someone) => void = () => undefined) {
    const it = await alice()
    prepare(it)
    const cli = terminal(it.world)
    const asked = await cli.ask()
    const judged = await tap(it.world, asked, { ...it, change: change ?? {} })
    assert.equal(sessionOf(it.world, cli.key.nkey), undefined)
    assert.equal(stateOf(it.world, asked), 'possessed')
    return refusalOf(judged)
  }

  test('verifies the person where that is required', async () => {
    assert.equal(await refused({ flags: FLAGS.UP | FLAGS.BE | FLAGS.BS }), 'session.assertion_invalid/user_not_verified')
  })

  test('verifies the person where a role asks it, though the deployment does not', async () => {
    const rules = { person: { rpId: 'nats.example.com', origins: [], requireUserVerification: false } }
    const policy = personPolicy([personRole('reader', { require: { userVerification: true } })])
    const it = await alice({ rules, policy })
    const asked = await terminal(it.world).ask()
    const { options } = value(await endorsementOptions(asked, it.signedIn, it.world.occasion(), it.world))
    assert.equal(options.userVerification, 'required')
    const change = { flags: FLAGS.UP | FLAGS.BE | FLAGS.BS }
    assert.equal(refusalOf(await tap(it.world, asked, { ...it, change })), 'session.assertion_invalid/user_not_verified')
  })

  test('need not verify the person where nothing asks it, and the session says so', async () => {
    const rules = { person: { rpId: 'nats.example.com', origins: [], requireUserVerification: false } }
    const it = await alice({ rules })
    const cli = terminal(it.world)
    const asked = await cli.ask()
    const { options } = value(await endorsementOptions(asked, it.signedIn, it.world.occasion(), it.world))
    assert.equal(options.userVerification, 'preferred')
    value(await tap(it.world, asked, { ...it, change: { flags: FLAGS.UP | FLAGS.BE | FLAGS.BS } }))
    assert.equal(sessionOf(it.world, cli.key.nkey)?.userVerified, false)
  })

  const wrong = {
    'without presence': [{ flags: FLAGS.UV | FLAGS.BE | FLAGS.BS }, 'user_not_present'],
    'at another origin': [{ origin: 'https://nats.example.net' }, 'origin_mismatch'],
    'at an origin below ours': [{ origin: 'https://a.nats.example.com' }, 'origin_mismatch'],
    'in a frame of another site': [{ clientData: { crossOrigin: true } }, 'cross_origin'],
    'for another relying party': [{ rpId: 'example.com' }, 'rp_id_mismatch'],
    'for another person': [{ userHandle: 'AAAA' }, 'user_handle_mismatch'],
    'that registers': [{ clientData: { type: 'webauthn.create' } }, 'type_mismatch'],
    'for a challenge of its own': [{ challenge: randomBytes(32) }, 'challenge_mismatch'],
    'with a passkey that nobody enrolled': [{ credentialId: randomBytes(32).toString('base64url') }, 'credential_unknown'],
    'whose backup flag contradicts its kind': [{ flags: FLAGS.UP | FLAGS.UV | FLAGS.BS }, 'backup_flags_invalid'],
  } as const
  for (const [name, [change, check]] of Object.entries(wrong)) {
    test(`${name} is refused`, async () => assert.equal(await refused(change), `session.assertion_invalid/${check}`))
  }

  test('at an origin where people may connect, but that is not the page, is refused', async () => {
    const world = await alice({
      rules: { person: { rpId: 'nats.example.com', origins: ['https://app.nats.example.com'], requireUserVerification: true } },
    })
    const asked = await terminal(world.world).ask()
    const change = { origin: 'https://app.nats.example.com' }
    assert.equal(refusalOf(await tap(world.world, asked, { ...world, change })), 'session.assertion_invalid/origin_mismatch')
  })

  test('made for another purpose, connection or request is refused', async () => {
    const it = await alice()
    const cli = terminal(it.world)
    const [asked, other] = [await cli.ask(), await terminal(it.world).ask()]
    const { nkey } = cli.key
    const { origin } = it.world
    const issued = Buffer.from(asked.issued, 'base64url')
    const challenges = {
      signin: ceremonyChallenge(sha256, { purpose: 'signin', issued, origin, subject: '' }),
      approve: ceremonyChallenge(sha256, { purpose: 'approve', issued, origin, subject: `${nkey}\nplain` }),
      revoke: challengeFor(asked.issued, nkey, { origin, act: 'revoke' }),
      bound: ceremonyChallenge(sha256, { purpose: 'session', issued, origin, subject: `${nkey}\n` }),
      connect: connectChallenge(sha256, { nonce: asked.issued, url: 'tls://nats.example.com:4222', nkey, plain: true }),
      other: challengeFor(other.issued, nkey, { origin }),
    }
    for (const [name, challenge] of Object.entries(challenges)) {
      assert.equal(
        refusalOf(await tap(it.world, asked, { ...it, change: { challenge } })),
        'session.assertion_invalid/challenge_mismatch',
        name,
      )
    }
    assert.equal(stateOf(it.world, asked), 'possessed')
  })

  test("is with one's own device: another's is as unknown as one that nobody has", async () => {
    const it = await alice()
    const other = await someone(it.world, 'mallory')
    const asked = await terminal(it.world).ask()
    assert.equal(refusalOf(await tap(it.world, asked, { ...it, passkey: other.passkey })), 'session.assertion_invalid/credential_unknown')
    const offered = value(await endorsementOptions(asked, it.signedIn, it.world.occasion(), it.world))
    assert.deepEqual(
      offered.options.allowCredentials.map(({ id }) => id),
      [it.passkey.id],
    )
  })

  for (const [state, check] of Object.entries({
    revoked: 'credential_revoked',
    quarantined: 'credential_quarantined',
    pending: 'credential_pending',
  } as const)) {
    test(`with a device that is ${state} is refused`, async () => {
      const it = await alice()
      const asked = await terminal(it.world).ask()
      const { options } = value(await endorsementOptions(asked, it.signedIn, it.world.occasion(), it.world))
      it.world.credentials.put(credentialKey(it.credential.id), { ...it.credential, state: state as 'revoked' })
      const response = it.passkey.get(options as PublicKeyCredentialRequestOptionsJSON)
      const judged = await endorseSession({ request: asked.request, response }, it.signedIn, it.world.occasion(), it.world)
      assert.equal(refusalOf(judged), `session.assertion_invalid/${check}`)
      assert.equal(refusalOf(await show(it, asked)), 'session.roles_insufficient/no_device')
    })
  }

  test('that is no assertion is refused', async () => {
    const it = await alice()
    const asked = await terminal(it.world).ask()
    for (const response of [null, {}, [], 'x', { id: 'AA' }]) {
      const judged = await endorseSession({ request: asked.request, response }, it.signedIn, it.world.occasion(), it.world)
      assert.equal(refusalOf(judged), 'session.assertion_invalid/sig_malformed')
    }
  })

  test('with a copied device-bound key shuts the key out', async () => {
    const it = await alice()
    const { world, passkey } = it
    passkey.backupEligible = false
    passkey.backupState = false
    passkey.counter = 3
    const stored = { ...it.credential, backupEligible: false, backupState: false, signCount: 9, signCountAt: world.clock.now - 60_000 }
    world.credentials.put(credentialKey(it.credential.id), stored)
    const asked = await terminal(world).ask()
    assert.equal(refusalOf(await tap(world, asked, it)), 'session.assertion_invalid/sign_count_regression')
    assert.equal(world.credentials.get(credentialKey(it.credential.id))?.state, 'quarantined')
    assert.deepEqual(world.lifecycle.codes(), ['credential.succeeded.quarantined'])
    assert.deepEqual(world.evicted, [{ credential: it.credential.id, handle: 'alice' }])
  })

  test('moves the counter, and one assertion counts once', async () => {
    const it = await alice()
    const { world, passkey } = it
    passkey.counter = 4
    const [first, second] = [await terminal(world).ask(), await terminal(world).ask()]
    value(await tap(world, first, it))
    assert.equal(world.credentials.get(credentialKey(it.credential.id))?.signCount, 5)
    passkey.counter = 4
    assert.equal(refusalOf(await tap(world, second, it)), 'session.assertion_invalid/sign_count_race')
  })
})
