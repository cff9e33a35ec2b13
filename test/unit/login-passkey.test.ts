/**
 * Signing in with a passkey: whose assertion is a login, and every one that is not. It is longer than 300 lines because each
 * refusal is one change of the same assertion.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { beforeEach, describe, test } from 'node:test'
import { issueCeremony } from '../../src/core/enrolment/ceremony.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { loginIdOf } from '../../src/core/people/login.ts'
import { beginPasskeyLogin, finishPasskeyLogin, signedIn } from '../../src/core/people/login-steps.ts'
import type { CeremonyRecord, CredentialRecord } from '../../src/core/records.ts'
import { type Passkey, softwarePasskey } from '../support/passkey.ts'
import {
  ORIGIN,
  peopleWorld,
  personPolicy,
  personRole,
  putDevice,
  putLogin,
  putPerson,
  RP_ID,
  refusalOf,
  type TestPeopleWorld,
} from '../support/people-world.ts'
import { handleOf } from '../support/records.ts'
import { type AssertionInput, b64u, FLAGS, testKey } from '../support/test-authenticator.ts'

let world: TestPeopleWorld
let passkey: Passkey
let credential: CredentialRecord
beforeEach(() => {
  world = peopleWorld()
  putPerson(world, 'alice')
  ;({ passkey, credential } = putDevice(world, 'alice'))
})

async function begin() {
  const begun = await beginPasskeyLogin({}, world.occasion(), world)
  assert.ok(begun.ok, refusalOf(begun))
  return begun.value
}

const finish = (request: { ceremony: string; response: unknown }, occasion = world.occasion(), loginCookie: string | null = null) =>
  finishPasskeyLogin({ ...request, loginCookie }, occasion, world)

/** A whole sign-in, with `change` in what the authenticator says. */
async function signIn(change: Partial<AssertionInput> = {}, device: Passkey = passkey, occasion = world.occasion()) {
  const { ceremony, options } = await begin()
  return finish({ ceremony, response: device.get(options, change) }, occasion)
}

async function refuses(judged: Promise<Awaited<ReturnType<typeof signIn>>>, refusal: string): Promise<void> {
  assert.equal(refusalOf(await judged), refusal)
  assert.equal(world.logins.all().size, 0)
  assert.ok(!world.lifecycle.codes().includes('login.succeeded.passkey'))
}

const stored = (record: CredentialRecord = credential) => world.credentials.get(credentialKey(record.id))
const change = (fields: Partial<CredentialRecord>) => world.credentials.put(credentialKey(credential.id), { ...credential, ...fields })

describe('the options', () => {
  test('list no credential, and demand the user verification of the rules', async () => {
    const { options } = await begin()
    assert.equal(options.rpId, RP_ID)
    assert.deepEqual(options.allowCredentials ?? [], [])
    assert.equal(options.userVerification, 'required')
    world = peopleWorld({ rules: { person: { rpId: RP_ID, origins: [ORIGIN], requireUserVerification: false } } })
    assert.equal((await begin()).options.userVerification, 'preferred')
  })

  test('are issued in the bucket of strangers, and nobody knows anything of them', async () => {
    const { ceremony } = await begin()
    assert.equal(world.ceremonies.all().size, 0)
    const record = world.signins.get(ceremony)
    assert.deepEqual(
      { ...record, id: 0, issued: 0 },
      {
        v: 1,
        id: 0,
        purpose: 'signin',
        issued: 0,
        subject: '',
        ticket: null,
        login: null,
        expiresAt: world.clock.now + 300_000,
        state: 'issued',
      },
    )
    assert.deepEqual(world.lifecycle.codes(), [])
  })

  test('are not given where people have no Relying Party', async () => {
    world = peopleWorld({ rules: { person: null } })
    assert.equal(refusalOf(await beginPasskeyLogin({}, world.occasion(), world)), 'enrolment.person_enrolment_unavailable')
  })
})

for (const alg of [-7, -8] as const) {
  test(`a tap is a login, on record first (COSE ${alg})`, async () => {
    ;({ passkey, credential } = putDevice(world, 'alice', { passkey: softwarePasskey({ origin: ORIGIN, alg, counter: 5 }) }))
    const judged = await signIn()
    assert.ok(judged.ok, refusalOf(judged))
    const login = world.logins.get(loginIdOf(judged.value.cookie) ?? '')
    const { how, handle, authenticatedAt, tapped, provider, ticket } = login ?? {}
    assert.deepEqual(
      { how, handle, authenticatedAt, tapped, provider, ticket },
      {
        how: 'passkey',
        handle: 'alice',
        authenticatedAt: world.clock.now,
        tapped: { credential: credentialKey(credential.id), at: world.clock.now },
        provider: null,
        ticket: null,
      },
    )
    assert.equal(stored()?.signCount, 6)
    assert.deepEqual(world.lifecycle.codes(), ['login.succeeded.passkey'])
    const [event] = world.lifecycle.events
    assert.deepEqual(event?.actor, { kind: 'identity', name: 'alice' })
    assert.deepEqual(event?.target, { kind: 'credential', id: credential.id })
    assert.deepEqual(event?.roles, ['reader'])
    assert.deepEqual(event?.facts, {
      source: '192.0.2.7',
      allowedBy: `device:${credentialKey(credential.id)}`,
      how: 'passkey',
      userVerified: true,
      login: login?.id,
      expiresAt: login?.expiresAt,
      authenticatedAt: world.clock.now,
    })
  })
}

test('a tap without user verification is a login where the rules do not demand it, and its record says so', async () => {
  world = peopleWorld({ rules: { person: { rpId: RP_ID, origins: [ORIGIN], requireUserVerification: false } } })
  putPerson(world, 'alice')
  ;({ passkey, credential } = putDevice(world, 'alice'))
  passkey.userVerified = false
  assert.ok((await signIn()).ok)
  assert.equal(world.lifecycle.events[0]?.facts['userVerified'], false)
})

describe('an assertion is refused', () => {
  test('of a credential that nobody has', async () => {
    const occasion = world.occasion()
    await refuses(
      signIn({}, Object.assign(softwarePasskey({ origin: ORIGIN }), { userHandle: credential.userHandle }), occasion),
      'login.passkey_unknown/credential_unknown',
    )
    assert.deepEqual(occasion.known, { ticket: null, credential: null, handle: null, session: null })
  })

  for (const [state, denial] of [
    ['pending', 'credential_pending'],
    ['revoked', 'credential_revoked'],
    ['quarantined', 'credential_quarantined'],
  ] as const) {
    test(`of a credential that is ${state}`, async () => {
      change({ state })
      await refuses(signIn(), `login.passkey_unknown/${denial}`)
    })
  }

  test('of a credential that is expired', async () => {
    change({ expiresAt: world.clock.now })
    await refuses(signIn(), 'login.passkey_unknown/credential_expired')
  })

  test("of a machine's credential", async () => {
    change({ class: 'machine' })
    await refuses(signIn(), 'login.passkey_unknown/credential_unknown')
  })

  test('without a user handle: a credential that nobody named must say whose it is', async () => {
    passkey.userHandle = null
    await refuses(signIn(), 'login.passkey_invalid/user_handle_mismatch')
  })

  test("with somebody else's user handle", async () => {
    const bob = putPerson(world, 'bob')
    await refuses(signIn({ userHandle: bob.userHandle }), 'login.passkey_invalid/user_handle_mismatch')
  })

  test('with another key', () => refuses(signIn({ key: testKey(-7) }), 'login.passkey_invalid/signature_invalid'))

  test("under somebody else's credential id", async () => {
    putPerson(world, 'bob')
    const bobs = putDevice(world, 'bob')
    const stolen = { credentialId: bobs.credential.id, userHandle: bobs.credential.userHandle }
    await refuses(signIn(stolen), 'login.passkey_invalid/signature_invalid')
  })

  test('for another origin, also one that people may connect from', async () => {
    const origins = [ORIGIN, 'https://app.example.com']
    world.rules = { ...world.rules, person: { rpId: RP_ID, origins, requireUserVerification: true } }
    for (const origin of [
      'https://app.example.com',
      'https://nats.example.com.evil.example',
      'http://nats.example.com',
      `${ORIGIN}/`,
      '',
    ]) {
      await refuses(signIn({ origin }), 'login.passkey_invalid/origin_mismatch')
    }
  })

  test('from within a frame of another page', async () => {
    await refuses(signIn({ clientData: { crossOrigin: true } }), 'login.passkey_invalid/cross_origin')
    await refuses(signIn({ clientData: { topOrigin: ORIGIN } }), 'login.passkey_invalid/cross_origin')
  })

  test('for another Relying Party', () => refuses(signIn({ rpId: 'example.com' }), 'login.passkey_invalid/rp_id_mismatch'))

  test('of a credential that was enrolled for another Relying Party', async () => {
    change({ rpId: 'example.com' })
    await refuses(signIn(), 'login.passkey_invalid/rp_id_mismatch')
  })

  test('without user verification, where that is required', async () => {
    passkey.userVerified = false
    await refuses(signIn(), 'login.passkey_invalid/user_not_verified')
  })

  test('without user verification, where only a role demands it: a stolen key would enrol a device with a PIN of the thief', async () => {
    world.rules = { ...world.rules, person: { rpId: RP_ID, origins: [ORIGIN], requireUserVerification: false } }
    const [reader, pin] = [personRole('reader'), personRole('pin', { require: { userVerification: true } })]
    world.policy = () => personPolicy([reader, pin])
    passkey.userVerified = false
    assert.equal(refusalOf(await signIn()), 'accepted')
    world.logins.all().clear()
    world.lifecycle.events.length = 0
    const alice = world.identities.records.get('alice') ?? assert.fail()
    world.identities.records.put('alice', { ...alice, roles: [...alice.roles, { name: pin.name, source: 'assigned', asOf: 0 }] })
    await refuses(signIn(), 'login.passkey_invalid/user_not_verified')
    passkey.userVerified = true
    assert.equal(refusalOf(await signIn()), 'accepted')
  })

  test('without user presence', () => refuses(signIn({ flags: FLAGS.UV | FLAGS.BE | FLAGS.BS }), 'login.passkey_invalid/user_not_present'))

  test('whose backup eligibility changed', async () => {
    passkey.backupEligible = false
    passkey.backupState = false
    await refuses(signIn(), 'login.passkey_invalid/backup_eligibility_changed')
  })

  test('that says it is backed up and cannot be', async () => {
    passkey.backupEligible = false
    await refuses(signIn(), 'login.passkey_invalid/backup_flags_invalid')
  })

  test('that is a registration', () => refuses(signIn({ clientData: { type: 'webauthn.create' } }), 'login.passkey_invalid/type_mismatch'))

  test('with an algorithm that is no longer allowed', async () => {
    world.rules = { ...world.rules, algorithms: [-8] }
    await refuses(signIn(), 'login.passkey_invalid/algorithm_refused')
  })

  for (const response of [null, 'text', 7, [], {}, { id: 'A' }, { id: '', type: 'public-key', response: {} }]) {
    test(`that is none: ${JSON.stringify(response)}`, async () => {
      const { ceremony } = await begin()
      await refuses(finish({ ceremony, response }), 'login.passkey_invalid/sig_malformed')
    })
  }

  test('of somebody whose identity is disabled, though the tap is good', async () => {
    const alice = world.identities.records.get('alice')
    assert.ok(alice !== undefined)
    world.identities.records.put('alice', { ...alice, state: 'disabled' })
    const occasion = world.occasion()
    await refuses(signIn({}, passkey, occasion), 'login.identity_disabled')
    assert.equal(occasion.known.handle, 'alice')
  })

  test('and nobody is named by it until it is proven', async () => {
    const occasion = world.occasion()
    await refuses(signIn({ key: testKey(-7) }, passkey, occasion), 'login.passkey_invalid/signature_invalid')
    assert.equal(occasion.known.handle, null)
    assert.equal(occasion.known.credential, credential.id)
  })

  test('and a stranger without the key is not told that the identity is disabled', async () => {
    const alice = world.identities.records.get('alice')
    assert.ok(alice !== undefined)
    world.identities.records.put('alice', { ...alice, state: 'disabled' })
    await refuses(signIn({ key: testKey(-7) }), 'login.passkey_invalid/signature_invalid')
  })
})

describe('a ceremony', () => {
  test('that was never begun is refused', () =>
    refuses(finish({ ceremony: b64u(randomBytes(16)), response: {} }), 'login.ceremony_invalid/unknown'))

  test('serves once, also after a refusal', async () => {
    const { ceremony, options } = await begin()
    await refuses(finish({ ceremony, response: {} }), 'login.passkey_invalid/sig_malformed')
    await refuses(finish({ ceremony, response: passkey.get(options) }), 'login.ceremony_invalid/used')
  })

  test('makes one login of twenty answers at once', async () => {
    const { ceremony, options } = await begin()
    const response = passkey.get(options)
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => finish({ ceremony, response })))
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
    for (const outcome of outcomes) if (!outcome.ok) assert.equal(refusalOf(outcome), 'login.ceremony_invalid/used')
    assert.equal(world.logins.all().size, 1)
  })

  test('serves for five minutes', async () => {
    const { ceremony, options } = await begin()
    world.clock.now += 300_000
    await refuses(finish({ ceremony, response: passkey.get(options) }), 'login.ceremony_invalid/expired')
  })

  test('is no other: an assertion for one is none for another', async () => {
    const first = await begin()
    const second = await begin()
    await refuses(finish({ ceremony: second.ceremony, response: passkey.get(first.options) }), 'login.passkey_invalid/challenge_mismatch')
  })

  const others: [string, Partial<CeremonyRecord>, string][] = [
    ['enrols a device', { purpose: 'enrol' }, 'purpose'],
    ['proves possession', { purpose: 'enrol-possession' }, 'purpose'],
    ['endorses a session', { purpose: 'session' }, 'purpose'],
    ['belongs to a ticket', { ticket: 'T'.repeat(43) }, 'ticket'],
    ['belongs to a login', { login: 'L'.repeat(43) }, 'login'],
  ]
  for (const [name, about, check] of others) {
    test(`that ${name} is refused`, async () => {
      const { ceremony, options } = await begin()
      const record = world.signins.get(ceremony)
      assert.ok(record !== undefined)
      world.signins.put(ceremony, { ...record, ...about })
      await refuses(finish({ ceremony, response: passkey.get(options) }), `login.ceremony_invalid/${check}`)
    })
  }

  test("of somebody who is signed in is not looked for among strangers'", async () => {
    const owner = { ticket: null, login: null }
    const { id } = await issueCeremony(world.ceremonies, { purpose: 'signin', subject: '', owner }, world.occasion())
    await refuses(finish({ ceremony: id, response: {} }), 'login.ceremony_invalid/unknown')
  })

  test("is the verifier's own: one of another origin with the same bytes is another", async () => {
    const { ceremony, options } = await begin()
    world.origin = 'https://other.example.com'
    await refuses(
      finish({ ceremony, response: passkey.get(options, { origin: world.origin }) }),
      'login.passkey_invalid/challenge_mismatch',
    )
  })
})

describe('a counter', () => {
  const long = 3_600_000
  const counting = (backupEligible: boolean) => {
    const device = softwarePasskey({ origin: ORIGIN, counter: 10, backupEligible, backupState: false })
    ;({ passkey, credential } = putDevice(world, 'alice', { passkey: device, signCountAt: world.clock.now - long }))
  }

  test('that went back shuts a device-bound passkey out: on record, and its connections end', async () => {
    counting(false)
    await refuses(signIn({ signCount: 10 }), 'login.passkey_invalid/sign_count_regression')
    assert.equal(stored()?.state, 'quarantined')
    assert.equal(stored()?.endedAt, world.clock.now)
    assert.deepEqual(world.evicted, [{ credential: credential.id, handle: 'alice' }])
    assert.deepEqual(world.lifecycle.codes(), ['credential.succeeded.quarantined'])
    const [event] = world.lifecycle.events
    assert.deepEqual(event?.actor, { kind: 'verifier', name: 'verifier-1' })
    assert.deepEqual(event?.target, { kind: 'credential', id: credential.id })
    assert.equal(event?.handle, 'alice')
    assert.equal(event?.facts['source'], '192.0.2.7')
    await refuses(signIn({ signCount: 12 }), 'login.passkey_unknown/credential_quarantined')
  })

  test('that went back refuses a synced passkey, and leaves it', async () => {
    counting(true)
    await refuses(signIn({ signCount: 3 }), 'login.passkey_invalid/sign_count_regression')
    assert.equal(stored()?.state, 'active')
    assert.deepEqual(world.evicted, [])
    assert.deepEqual(world.lifecycle.codes(), [])
  })

  test('that went back a moment after it was stored is a race: refused, not shut out', async () => {
    counting(false)
    change({ signCountAt: world.clock.now - 1_000 })
    await refuses(signIn({ signCount: 10 }), 'login.passkey_invalid/sign_count_race')
    assert.equal(stored()?.state, 'active')
  })

  test('that went back in bytes nobody signed shuts nobody out', async () => {
    counting(false)
    await refuses(signIn({ signCount: 1, key: testKey(-7) }), 'login.passkey_invalid/signature_invalid')
    assert.equal(stored()?.state, 'active')
  })

  test('makes one login of two taps with the same count', async () => {
    counting(false)
    const [one, other] = [await begin(), await begin()]
    const outcomes = await Promise.all(
      [one, other].map(({ ceremony, options }) => finish({ ceremony, response: passkey.get(options, { signCount: 11 }) })),
    )
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
    assert.equal(world.logins.all().size, 1)
    assert.equal(stored()?.state, 'active')
  })

  test('of zero on both sides never moves', async () => {
    assert.ok((await signIn()).ok)
    assert.ok((await signIn()).ok)
    assert.equal(stored()?.signCount, 0)
  })
})

describe('a login by passkey', () => {
  async function login(): Promise<string> {
    const judged = await signIn()
    assert.ok(judged.ok, refusalOf(judged))
    return judged.value.cookie
  }

  for (const state of ['revoked', 'quarantined'] as const) {
    test(`ends when its passkey is ${state}: whoever stole it is out of the page too`, async () => {
      const cookie = await login()
      change({ state })
      assert.equal(refusalOf(await signedIn(cookie, world.occasion(), world)), `login.login_ended/credential_${state}`)
    })
  }

  test('takes the place of the login its browser had', async () => {
    const earlier = putLogin(world, 'alice')
    const { ceremony, options } = await begin()
    const judged = await finish({ ceremony, response: passkey.get(options) }, world.occasion(), earlier.cookie)
    assert.ok(judged.ok)
    assert.equal(refusalOf(await signedIn(earlier.cookie, world.occasion(), world)), 'login.login_ended')
    assert.deepEqual(world.lifecycle.codes(), ['login.succeeded.ended', 'login.succeeded.passkey'])
  })

  test('is not made when it cannot be recorded', async () => {
    world.lifecycle.failing = () => true
    await assert.rejects(signIn(), { name: 'AuditUnavailable' })
    assert.equal(world.logins.all().size, 0)
  })
})

test('a tap of a passkey that was revoked counts for nothing in a login by other means', async () => {
  const tapped = { credential: credentialKey(credential.id), at: world.clock.now }
  const { cookie, login } = putLogin(world, 'alice', { tapped })
  const before = await signedIn(cookie, world.occasion(), world)
  assert.deepEqual(before.ok && before.value.login.record.tapped, tapped)
  change({ state: 'revoked' })
  const after = await signedIn(cookie, world.occasion(), world)
  assert.ok(after.ok)
  assert.equal(after.value.login.record.tapped, null)
  assert.equal(login.handle, handleOf('alice'))
})
