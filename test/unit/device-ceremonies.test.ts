/** The ceremonies of enrolling a device: each serves once, for one login and one purpose, and the first assertion is judged whole. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { activateDevice, beginDevice, registerDevice } from '../../src/core/people/device-steps.ts'
import { DEFAULT_PERSON_ENROLMENT } from '../../src/core/policy/policy.ts'
import { register, signIn } from '../support/device-enrolment.ts'
import { softwarePasskey } from '../support/passkey.ts'
import { peopleWorld, personPolicy, putPerson, refusalOf, type TestPeopleWorld } from '../support/people-world.ts'
import { b64u, FLAGS } from '../support/test-authenticator.ts'

const MINUTE = 60_000

function world(enrolment: Partial<typeof DEFAULT_PERSON_ENROLMENT> = {}): TestPeopleWorld {
  const made = peopleWorld({ policy: personPolicy(undefined, { personEnrolment: { ...DEFAULT_PERSON_ENROLMENT, ...enrolment } }) })
  putPerson(made)
  return made
}

const devicesOfAlice = (made: TestPeopleWorld) => made.identities.records.get('alice')?.devices ?? []

describe('the ceremonies', () => {
  test('serve once, and only the registration they were issued for', async () => {
    const made = world()
    const who = await signIn(made, 'alice')
    const begun = await beginDevice(who, made.occasion(), made)
    assert.ok(begun.ok)
    const { ceremony, options } = begun.value
    const passkey = softwarePasskey({ origin: made.origin })
    const request = { ceremony, name: 'x', response: passkey.create(options) }
    const registered = await registerDevice(request, who, made.occasion(), made)
    assert.ok(registered.ok)
    assert.equal(refusalOf(await registerDevice(request, who, made.occasion(), made)), 'enrolment.ceremony_invalid/used')
    const wrongWay = { ceremony: registered.value.ceremony, name: 'x', response: request.response }
    assert.equal(refusalOf(await registerDevice(wrongWay, who, made.occasion(), made)), 'enrolment.ceremony_invalid/purpose')
    const response = passkey.get(registered.value.options)
    const another = await beginDevice(who, made.occasion(), made)
    assert.ok(another.ok)
    assert.equal(
      refusalOf(await activateDevice({ ceremony: another.value.ceremony, response }, who, made.occasion(), made)),
      'enrolment.ceremony_invalid/purpose',
    )
    assert.equal(
      refusalOf(await activateDevice({ ceremony: 'none', response }, who, made.occasion(), made)),
      'enrolment.ceremony_invalid/unknown',
    )
    const activate = { ceremony: registered.value.ceremony, response }
    assert.equal(refusalOf(await activateDevice(activate, who, made.occasion(), made)), 'accepted')
    assert.equal(refusalOf(await activateDevice(activate, who, made.occasion(), made)), 'enrolment.ceremony_invalid/used')
  })
  test('belong to one login, even of the same person', async () => {
    const made = world()
    const [who, other] = [await signIn(made, 'alice'), await signIn(made, 'alice')]
    const begun = await beginDevice(who, made.occasion(), made)
    assert.ok(begun.ok)
    const passkey = softwarePasskey({ origin: made.origin })
    const request = { ceremony: begun.value.ceremony, name: 'x', response: passkey.create(begun.value.options) }
    assert.equal(refusalOf(await registerDevice(request, other, made.occasion(), made)), 'enrolment.ceremony_invalid/login')
    const registered = await registerDevice(request, who, made.occasion(), made)
    assert.ok(registered.ok)
    const activate = { ceremony: registered.value.ceremony, response: passkey.get(registered.value.options) }
    assert.equal(refusalOf(await activateDevice(activate, other, made.occasion(), made)), 'enrolment.ceremony_invalid/login')
  })
  test('end after five minutes', async () => {
    const made = world()
    const who = await signIn(made, 'alice')
    const begun = await beginDevice(who, made.occasion(), made)
    const registered = await register(made, who)
    assert.ok(begun.ok && registered.ok)
    made.clock.now += 5 * MINUTE
    const request = { ceremony: begun.value.ceremony, name: 'x', response: {} }
    assert.equal(refusalOf(await registerDevice(request, who, made.occasion(), made)), 'enrolment.ceremony_invalid/expired')
    const activate = { ceremony: registered.value.ceremony, response: {} }
    assert.equal(refusalOf(await activateDevice(activate, who, made.occasion(), made)), 'enrolment.ceremony_invalid/expired')
  })
  test('are used up by a wrong answer', async () => {
    const made = world()
    const who = await signIn(made, 'alice')
    const begun = await beginDevice(who, made.occasion(), made)
    assert.ok(begun.ok)
    const { ceremony, options } = begun.value
    assert.equal(
      refusalOf(await registerDevice({ ceremony, name: 'x', response: {} }, who, made.occasion(), made)),
      'enrolment.registration_invalid/response_malformed',
    )
    const right = softwarePasskey({ origin: made.origin }).create(options)
    assert.equal(
      refusalOf(await registerDevice({ ceremony, name: 'x', response: right }, who, made.occasion(), made)),
      'enrolment.ceremony_invalid/used',
    )
  })
})

describe('the first assertion', () => {
  const activateWith = async (
    change: (passkey: ReturnType<typeof softwarePasskey>) => void,
    wrong: Parameters<ReturnType<typeof softwarePasskey>['get']>[1] = {},
  ) => {
    const made = world()
    const who = await signIn(made, 'alice')
    const registered = await register(made, who, { options: { counter: 5 } })
    assert.ok(registered.ok)
    const { ceremony, options, passkey } = registered.value
    change(passkey)
    const outcome = refusalOf(await activateDevice({ ceremony, response: passkey.get(options, wrong) }, who, made.occasion(), made))
    const active = [...made.credentials.all().values()].some(({ record }) => record.state === 'active')
    assert.equal(active, outcome === 'accepted')
    assert.equal(devicesOfAlice(made).length, active ? 1 : 0)
    return outcome
  }
  const nothing = () => undefined
  test('is by the key that was registered', async () => {
    assert.equal(await activateWith(nothing), 'accepted')
    const other = softwarePasskey({ origin: 'https://nats.example.com' })
    assert.equal(
      await activateWith((passkey) => {
        passkey.key = other.key
      }),
      'enrolment.possession_invalid/signature_invalid',
    )
    assert.equal(
      await activateWith((passkey) => {
        passkey.id = other.id
      }),
      'enrolment.possession_invalid/credential_unknown',
    )
  })
  test('is for this ceremony, relying party and page', async () => {
    assert.equal(await activateWith(nothing, { challenge: new Uint8Array(32) }), 'enrolment.possession_invalid/challenge_mismatch')
    assert.equal(await activateWith(nothing, { rpId: 'example.com' }), 'enrolment.possession_invalid/rp_id_mismatch')
    assert.equal(await activateWith(nothing, { origin: 'https://evil.example' }), 'enrolment.possession_invalid/origin_mismatch')
    assert.equal(await activateWith(nothing, { clientData: { crossOrigin: true } }), 'enrolment.possession_invalid/cross_origin')
    assert.equal(await activateWith(nothing, { clientData: { type: 'webauthn.create' } }), 'enrolment.possession_invalid/type_mismatch')
  })
  test('is by the person, present and verified, with the flags of the registration', async () => {
    assert.equal(await activateWith(nothing, { userHandle: b64u(new Uint8Array(32)) }), 'enrolment.possession_invalid/user_handle_mismatch')
    assert.equal(await activateWith(nothing, { flags: FLAGS.UV | FLAGS.BE }), 'enrolment.possession_invalid/user_not_present')
    assert.equal(await activateWith(nothing, { flags: FLAGS.UP | FLAGS.BE }), 'enrolment.possession_invalid/user_not_verified')
    assert.equal(await activateWith(nothing, { flags: FLAGS.UP | FLAGS.UV }), 'enrolment.possession_invalid/backup_eligibility_changed')
    assert.equal(await activateWith(nothing, { signCount: 3 }), 'enrolment.possession_invalid/sign_count_race')
  })
  test('comes too late for a device that was revoked meanwhile', async () => {
    const made = world()
    const who = await signIn(made, 'alice')
    const registered = await register(made, who)
    assert.ok(registered.ok)
    const { ceremony, options, passkey } = registered.value
    const [key, stored] = [...made.credentials.all().entries()][0] ?? []
    assert.ok(key !== undefined && stored !== undefined)
    made.credentials.put(key, { ...stored.record, state: 'revoked' })
    const activated = await activateDevice({ ceremony, response: passkey.get(options) }, who, made.occasion(), made)
    assert.equal(refusalOf(activated), 'enrolment.possession_invalid/credential_not_pending')
  })
})
