/** A person's registration: the W3C vectors, and an attack on each step of WebAuthn L3 §7.1. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import { verifyPersonRegistration } from '../../src/core/people/person-registration.ts'
import { DEFAULT_ALGORITHMS } from '../../src/core/rules.ts'
import { REGISTRATION_CHECKS, type RegistrationCheck } from '../../src/core/webauthn/registration-checks.ts'
import { b64u, FLAGS, type TestAlg, testAssertion, testKey } from '../support/test-authenticator.ts'
import { type RegistrationInput, testRegistration } from '../support/test-registration.ts'

interface Vector {
  name: string
  rpId: string
  origin: string
  aaguid: string
  credentialId: string
  registration: { challenge: string; clientDataJSON: string; attestationObject: string; flags: { uv: boolean; be: boolean; bs: boolean } }
}

const { vectors }: { vectors: Vector[] } = JSON.parse(readFileSync(new URL('../vectors/w3c-webauthn-l3.json', import.meta.url), 'utf8'))
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))

/** What becomes of each registration of the specification: the format and its kind, or the check that it fails. */
const EXPECTED: Record<string, string> = {
  'none-es256': 'none',
  'packed-self-es256': 'packed, by itself',
  // Ours is embedded in nobody's page.
  'none-es256-crossOrigin': 'cross_origin',
  'none-es256-topOrigin': 'cross_origin',
  'none-es256-long-credential-id': 'none',
  'packed-es256': 'packed, by a certificate',
  'packed-es384': 'packed, by a certificate',
  'packed-es512': 'packed, by a certificate',
  'packed-rs256': 'packed, by a certificate',
  'packed-eddsa': 'packed, by a certificate',
  'packed-ed448': 'algorithm_refused',
  // Its TPM is of a manufacturer that there is not.
  'tpm-es256': 'attestation_refused',
  // It brings no issuer along, which Android's authenticators do.
  'android-key-es256': 'attestation_refused',
  'apple-es256': 'apple, by a certificate',
  // It names a model, which U2F cannot.
  'fido-u2f-es256': 'attestation_refused',
}

function responseOf({ credentialId, registration }: Vector) {
  const id = b64u(hex(credentialId))
  const { clientDataJSON, attestationObject } = registration
  return {
    id,
    rawId: id,
    type: 'public-key',
    clientExtensionResults: {},
    response: { clientDataJSON: b64u(hex(clientDataJSON)), attestationObject: b64u(hex(attestationObject)), transports: [] },
  }
}

function expectedOf({ registration, rpId, origin }: Vector, requireUserVerification = false) {
  return { challenge: hex(registration.challenge), rpId, origin, algorithms: DEFAULT_ALGORITHMS, requireUserVerification }
}

describe('the registrations of the W3C vectors', () => {
  test('are all in the table', () => {
    assert.deepEqual(
      vectors.map(({ name }) => name),
      Object.keys(EXPECTED),
    )
  })
  for (const vector of vectors) {
    const wanted = EXPECTED[vector.name] ?? ''
    test(`${vector.name}: ${wanted}`, async () => {
      const verified = await verifyPersonRegistration(responseOf(vector), expectedOf(vector))
      if (!verified.ok) return assert.equal(verified.check, wanted)
      const { statement, userVerified, backupEligible, backupState, aaguid, signCount, id } = verified.value
      const kind = statement.isSelf ? ', by itself' : statement.certificates.length > 0 ? ', by a certificate' : ''
      assert.equal(`${statement.format}${kind}`, wanted)
      const { uv, be, bs } = vector.registration.flags
      assert.deepEqual([userVerified, backupEligible, backupState, signCount], [uv, be, bs, 0])
      assert.equal(aaguid.replaceAll('-', ''), vector.aaguid)
      assert.equal(id, b64u(hex(vector.credentialId)))
    })
  }
  test('are refused without user verification where that is required', async () => {
    for (const vector of vectors) {
      const wanted = EXPECTED[vector.name] ?? ''
      const verified = await verifyPersonRegistration(responseOf(vector), expectedOf(vector, true))
      if (!vector.registration.flags.uv && wanted !== 'cross_origin')
        assert.deepEqual(verified, { ok: false, check: 'user_not_verified' }, vector.name)
      else assert.equal(verified.ok, !(wanted in REGISTRATION_CHECKS), vector.name)
    }
  })
  test('are refused by the relying party and the origin of somebody else', async () => {
    for (const vector of vectors) {
      if ((EXPECTED[vector.name] ?? '') in REGISTRATION_CHECKS) continue
      const expected = expectedOf(vector)
      assert.deepEqual(await verifyPersonRegistration(responseOf(vector), { ...expected, rpId: 'example.com' }), {
        ok: false,
        check: 'rp_id_mismatch',
      })
      assert.deepEqual(await verifyPersonRegistration(responseOf(vector), { ...expected, origin: 'https://www.example.org' }), {
        ok: false,
        check: 'origin_mismatch',
      })
    }
  })
})

const rpId = 'nats.example.com'
const origin = 'https://nats.example.com'
const challenge = randomBytes(32)
const key = testKey(-7)
const credentialId = b64u(randomBytes(32))
const expected = { challenge, rpId, origin, algorithms: [-7, -8, -257], requireUserVerification: true }
const PRESENT = FLAGS.AT | FLAGS.UP | FLAGS.UV
const none = { fmt: 'none', statement: () => new Map() }
const seen = new Set<RegistrationCheck>()

function registration(change: Partial<RegistrationInput> = {}) {
  return testRegistration({ key, credentialId, challenge, rpId, origin, flags: PRESENT, ...none, ...change })
}

async function checkOf(value: unknown, wanted: Parameters<typeof verifyPersonRegistration>[1] = expected): Promise<string> {
  const verified = await verifyPersonRegistration(value, wanted)
  if (!verified.ok) seen.add(verified.check)
  return verified.ok ? 'accepted' : verified.check
}

const denies = async (check: RegistrationCheck, change: Partial<RegistrationInput>) =>
  assert.equal(await checkOf(registration(change)), check)

describe("a person's registration", () => {
  for (const alg of [-7, -8, -257] as const satisfies TestAlg[]) {
    test(`is accepted with a key of algorithm ${alg}`, async () => {
      const own = testKey(alg)
      const verified = await verifyPersonRegistration(
        registration({ key: own, signCount: 7, inner: { transports: ['internal', 'hybrid'] } }),
        expected,
      )
      assert.ok(verified.ok)
      const { publicKey, ...rest } = verified.value
      assert.equal(b64u(publicKey), b64u(own.cose))
      assert.deepEqual(
        { ...rest },
        {
          id: credentialId,
          signCount: 7,
          userVerified: true,
          backupEligible: false,
          backupState: false,
          aaguid: '00000000-0000-0000-0000-000000000000',
          transports: ['internal', 'hybrid'],
          statement: { format: 'none', isSelf: false, certificates: [] },
        },
      )
    })
  }
  test('may be synced, backed up, and without user verification where that is not required', async () => {
    for (const flags of [PRESENT | FLAGS.BE, PRESENT | FLAGS.BE | FLAGS.BS])
      assert.equal(await checkOf(registration({ flags })), 'accepted')
    const lax = { ...expected, requireUserVerification: false }
    assert.equal(await checkOf(registration({ flags: FLAGS.AT | FLAGS.UP }), lax), 'accepted')
  })
  test('may carry extension outputs that its flags announce', async () => {
    const extra = new Uint8Array(isoCBOR.encode(new Map([['credProtect', 2]])))
    assert.equal(await checkOf(registration({ flags: PRESENT | FLAGS.ED, extra })), 'accepted')
  })
  test('may leave out what browsers add, and have it', async () => {
    assert.equal(await checkOf(registration({ clientData: { crossOrigin: undefined } })), 'accepted')
    const added = { authenticatorData: 'AAAA', publicKey: 'AAAA', publicKeyAlgorithm: -7, transports: ['usb'] }
    assert.equal(await checkOf(registration({ inner: added, outer: { authenticatorAttachment: 'cross-platform' } })), 'accepted')
  })
})

describe('WebAuthn L3 §7.1', () => {
  test('step 3: what is no registration response is refused', async () => {
    const assertion = testAssertion({ key, credentialId, challenge, rpId, origin, flags: PRESENT })
    for (const value of [null, 'x', [], {}, assertion, { ...registration(), more: 1 }, registration({ outer: { type: 'password' } })]) {
      assert.equal(await checkOf(value), 'response_malformed')
    }
    await denies('response_malformed', { credentialId: b64u(randomBytes(15)) })
    await denies('response_malformed', { inner: { transports: Array(9).fill('usb') } })
  })
  test('steps 5 and 6: client data must be one unambiguous object', async () => {
    await denies('client_data_malformed', { clientDataText: '[]' })
    await denies('client_data_malformed', { clientDataText: '{"type":"webauthn.create","origin":"a","origin":"b"}' })
    await denies('client_data_malformed', { inner: { clientDataJSON: b64u(new Uint8Array([0x7b, 0xff, 0x7d])) } })
  })
  test('step 7: an assertion is no registration', () => denies('type_mismatch', { clientData: { type: 'webauthn.get' } }))
  test('step 8: the challenge is that of this ceremony', async () => {
    await denies('challenge_mismatch', { challenge: randomBytes(32) })
    await denies('challenge_mismatch', { clientData: { challenge: `${b64u(challenge)}=` } })
    await denies('challenge_mismatch', { clientData: { challenge: undefined } })
  })
  for (const wrong of [
    'https://evil.example',
    'http://nats.example.com',
    'https://app.nats.example.com',
    `${origin}/`,
    'nats-webauthn://machine',
    'null',
  ]) {
    test(`step 9: the origin ${wrong} is refused`, () => denies('origin_mismatch', { origin: wrong }))
  }
  test('steps 10 and 11: a page that is embedded in another is refused', async () => {
    await denies('cross_origin', { clientData: { crossOrigin: true } })
    await denies('cross_origin', { clientData: { crossOrigin: true, topOrigin: origin } })
    await denies('cross_origin', { clientData: { topOrigin: 'https://evil.example' } })
  })
  test('step 13: the attestation object is canonical', async () => {
    await denies('attestation_malformed', { attestation: () => new Uint8Array() })
    await denies('attestation_malformed', { attestation: (object) => Buffer.concat([object, Buffer.from([0])]) })
    await denies('attestation_malformed', { attestation: (object) => object.subarray(0, 40) })
  })
  test('step 14: the relying party is ours', () => denies('rp_id_mismatch', { rpId: 'machines.nats.example.com' }))
  test('step 15: somebody was there', () => denies('user_not_present', { flags: FLAGS.AT | FLAGS.UV }))
  test('step 16: and was verified where that is required', () => denies('user_not_verified', { flags: FLAGS.AT | FLAGS.UP }))
  test('step 17: what is not eligible for backup is not backed up', () => denies('backup_flags_invalid', { flags: PRESENT | FLAGS.BS }))
  test('§6.5.1: the attested credential data is there, whole, and nothing else', async () => {
    await denies('authenticator_data_malformed', { flags: FLAGS.UP | FLAGS.UV })
    await denies('authenticator_data_malformed', { extra: new Uint8Array([0]) })
    await denies('authenticator_data_malformed', { extra: new Uint8Array([0xa0]) })
    await denies('authenticator_data_malformed', { flags: PRESENT | FLAGS.ED })
    await denies('authenticator_data_malformed', { flags: PRESENT | FLAGS.ED, extra: new Uint8Array([0xa0, 0xa0]) })
    await denies('authenticator_data_malformed', { flags: PRESENT | FLAGS.ED, extra: new Uint8Array([0x80]) })
    await denies('credential_id_mismatch', { innerId: b64u(randomBytes(32)) })
  })
  test('step 20: the algorithm was asked for, and fits the key', async () => {
    assert.equal(await checkOf(registration(), { ...expected, algorithms: [-8] }), 'algorithm_refused')
    const x = new Uint8Array(32).fill(1)
    const members: [number, number | Uint8Array][] = [
      [1, 2],
      [3, -257],
      [-1, 1],
      [-2, x],
      [-3, x],
    ]
    await denies('algorithm_refused', { cose: new Uint8Array(isoCBOR.encode(new Map(members))) })
  })
  test('steps 22 and 23: the statement is of a known format and right', async () => {
    await denies('attestation_refused', { fmt: 'android-safetynet' })
    await denies('attestation_refused', { statement: () => new Map([['x5c', 1]]) })
    await denies('attestation_refused', { fmt: 'packed' })
    const wrongAlg = (sig: Uint8Array) =>
      new Map<string, unknown>([
        ['alg', -257],
        ['sig', sig],
      ])
    await denies('attestation_refused', { fmt: 'packed', statement: wrongAlg })
    const padded = (sig: Uint8Array) =>
      new Map<string, unknown>([
        ['alg', -7],
        ['sig', new Uint8Array([...sig, 0])],
      ])
    await denies('signature_invalid', { fmt: 'packed', statement: padded })
    const other = testKey(-7)
    const right = (sig: Uint8Array) =>
      new Map<string, unknown>([
        ['alg', -7],
        ['sig', sig],
      ])
    await denies('signature_invalid', { key: other, cose: key.cose, fmt: 'packed', statement: right })
    assert.equal(await checkOf(registration({ fmt: 'packed', statement: right })), 'accepted')
  })
  test("a machine's registration is no person's", () => denies('user_not_present', { flags: FLAGS.AT | FLAGS.BE, fmt: 'packed' }))
})

test('every check of the registry that a person can fail was seen to refuse something', () => {
  const wanted = Object.keys(REGISTRATION_CHECKS).filter((check) => check !== 'flags_mismatch')
  assert.deepEqual([...seen].sort(), wanted.sort())
})
