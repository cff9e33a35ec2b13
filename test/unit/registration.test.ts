import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import { createRegistration, generateFileKey } from '../../src/client/software-authenticator.ts'
import { MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import { verifyMachineRegistration } from '../../src/core/webauthn/registration.ts'
import { REGISTRATION_CHECKS, type RegistrationCheck } from '../../src/core/webauthn/registration-checks.ts'
import { b64u, FLAGS, type TestAlg, testAssertion, testKey } from '../support/test-authenticator.ts'
import { MACHINE_FLAGS, type RegistrationInput, testRegistration } from '../support/test-registration.ts'

const rpId = 'machines.nats.test'
const algorithms = [-7, -8, -257]
const challenge = randomBytes(32)
const key = testKey(-7)
const credentialId = b64u(randomBytes(32))
const expected = { challenge, rpId, algorithms }
const seen = new Set<RegistrationCheck>()

function registration(change: Partial<RegistrationInput> = {}) {
  return testRegistration({ key, credentialId, challenge, rpId, ...change })
}

async function checkOf(value: unknown, wanted = expected): Promise<RegistrationCheck | 'accepted'> {
  const verified = await verifyMachineRegistration(value, wanted)
  if (!verified.ok) seen.add(verified.check)
  return verified.ok ? 'accepted' : verified.check
}

const denies = async (check: RegistrationCheck, change: Partial<RegistrationInput>) =>
  assert.equal(await checkOf(registration(change)), check)

describe('a machine registration', () => {
  for (const alg of [-7, -8, -257] as const satisfies TestAlg[]) {
    test(`is accepted with packed self attestation by a key of algorithm ${alg}`, async () => {
      const own = testKey(alg)
      const verified = await verifyMachineRegistration(registration({ key: own, signCount: 7 }), expected)
      assert.ok(verified.ok)
      assert.deepEqual(
        { ...verified.value, publicKey: b64u(verified.value.publicKey) },
        {
          id: credentialId,
          publicKey: b64u(own.cose),
          signCount: 7,
          backupEligible: true,
          backupState: false,
          aaguid: '00000000-0000-0000-0000-000000000000',
          transports: [],
        },
      )
    })
  }

  test('is accepted as the SDK makes it', async () => {
    for (const alg of [-7, -8] as const) {
      const made = createRegistration(generateFileKey(alg), { challenge, rpId, origin: MACHINE_ORIGIN, credentialId, userHandle: 'AAAA' })
      assert.equal(await checkOf(made), 'accepted')
    }
  })

  test('may leave out crossOrigin and the members that browsers add', async () => {
    assert.equal(await checkOf(registration({ clientData: { crossOrigin: undefined } })), 'accepted')
    const added = { authenticatorData: 'AAAA', publicKey: 'AAAA', publicKeyAlgorithm: -7, transports: ['internal'] }
    assert.equal(await checkOf(registration({ inner: added, outer: { authenticatorAttachment: 'platform' } })), 'accepted')
  })
})

describe('the shape of a registration response', () => {
  const cases: Record<string, unknown> = {
    null: null,
    'a list': [],
    'a text': 'registration',
    'an assertion': testAssertion({ key, credentialId, challenge, rpId, origin: MACHINE_ORIGIN, flags: FLAGS.BE }),
    'an unknown member': { ...registration(), more: 1 },
    'an unknown inner member': registration({ inner: { more: 1 } }),
    'another type': registration({ outer: { type: 'password' } }),
    'a rawId of its own': registration({ outer: { rawId: b64u(randomBytes(32)) } }),
    'an id in padded base64': registration({ outer: { id: `${credentialId}=`, rawId: `${credentialId}=` } }),
    'an id of 15 bytes': registration({ credentialId: b64u(randomBytes(15)) }),
    'an id of 1024 bytes': registration({ credentialId: b64u(randomBytes(1024)) }),
    'client data in padded base64': registration({ inner: { clientDataJSON: 'e30=' } }),
    'client data of more than 4 KiB': registration({ clientData: { more: 'x'.repeat(4096) } }),
    'an attestation object of more than 8 KiB': registration({ attestation: (object) => Buffer.concat([object, Buffer.alloc(8193)]) }),
    'too many transports': registration({ inner: { transports: Array(9).fill('usb') } }),
    'a transport that is text for people': registration({ inner: { transports: ['USB stick'] } }),
  }
  for (const [name, value] of Object.entries(cases)) {
    test(`is refused: ${name}`, async () => assert.equal(await checkOf(value), 'response_malformed'))
  }

  test('an id of 1023 bytes is accepted', async () => {
    assert.equal(await checkOf(registration({ credentialId: b64u(randomBytes(1023)) })), 'accepted')
  })
})

describe('client data of a registration', () => {
  test('is refused when it is not one unambiguous object', async () => {
    for (const clientDataText of [
      '',
      '[]',
      'null',
      '{',
      '{"type":"webauthn.create","type":"webauthn.create"}',
      `${'{"a":'.repeat(20)}1${'}'.repeat(20)}`,
    ]) {
      await denies('client_data_malformed', { clientDataText })
    }
    await denies('client_data_malformed', { inner: { clientDataJSON: b64u(new Uint8Array([0x7b, 0xff, 0x7d])) } })
  })
  test('is refused when it is of an assertion', () => denies('type_mismatch', { clientData: { type: 'webauthn.get' } }))
  test('is refused with the challenge of another ceremony', () => denies('challenge_mismatch', { challenge: randomBytes(32) }))
  test('is refused with the challenge in another spelling', () =>
    denies('challenge_mismatch', { clientData: { challenge: `${b64u(challenge)}=` } }))
  test('is refused without a challenge', () => denies('challenge_mismatch', { clientData: { challenge: undefined } }))
  for (const origin of ['https://machines.nats.test', 'nats-webauthn://machine/', 'NATS-WEBAUTHN://machine', 'null', '']) {
    test(`is refused with the origin "${origin}"`, () => denies('origin_mismatch', { origin }))
  }
  test('is refused when it was made in a page of another origin', async () => {
    await denies('cross_origin', { clientData: { crossOrigin: true } })
    await denies('cross_origin', { clientData: { topOrigin: 'https://evil.example' } })
    await denies('client_data_malformed', { clientData: { crossOrigin: 'false' } })
  })
})

describe('the attestation object', () => {
  const cases: Record<string, (object: Uint8Array) => Uint8Array> = {
    'is empty': () => new Uint8Array(),
    'is no map': () => new Uint8Array([0x01]),
    'is truncated': (object) => object.subarray(0, object.length - 1),
    'has a byte after it': (object) => Buffer.concat([object, Buffer.from([0])]),
    'has a member more': (object) => Buffer.concat([Buffer.from([0xa4]), object.subarray(1), Buffer.from([0x61, 0x78, 0x01])]),
    'has a member twice': (object) =>
      Buffer.concat([Buffer.from([0xa4]), object.subarray(1), Buffer.from([0x63, 0x66, 0x6d, 0x74, 0x61, 0x78])]),
    'has no authData': () =>
      new Uint8Array(
        isoCBOR.encode(
          new Map<string, never>([
            ['fmt', 'packed' as never],
            ['attStmt', new Map() as never],
            ['x', 1 as never],
          ]),
        ),
      ),
    'claims more bytes than there are': () => new Uint8Array([0xa1, 0x63, 0x66, 0x6d, 0x74, 0x5a, 0xff, 0xff, 0xff, 0xff]),
    'claims more members than there are': () => new Uint8Array([0xba, 0xff, 0xff, 0xff, 0xff]),
    'nests without end': () => new Uint8Array(4000).fill(0x81),
    'nests maps without end': () => Buffer.concat(Array.from({ length: 2000 }, () => Buffer.from([0xa1, 0x61, 0x61]))),
    'has an indefinite length': () => new Uint8Array([0xbf, 0xff]),
    'has a tag': () => new Uint8Array([0xa1, 0x61, 0x61, 0xc0, 0x01]),
    'has a key of bytes': () => new Uint8Array([0xa1, 0x41, 0x61, 0x01]),
  }
  for (const [name, attestation] of Object.entries(cases)) {
    test(`is refused when it ${name}`, () => denies('attestation_malformed', { attestation }))
  }

  test('is never accepted, and never throws, with any one byte changed', async () => {
    const sound = registration()
    const object = Buffer.from(sound.response.attestationObject, 'base64url')
    for (let at = 0; at < object.length; at++) {
      const changed = object.map((byte, index) => (index === at ? byte ^ 0x01 : byte))
      const response = { ...sound.response, attestationObject: b64u(changed) }
      assert.notEqual(await checkOf({ ...sound, response }), 'accepted', `byte ${at}`)
    }
  })
})

describe('authenticator data of a registration', () => {
  test('is refused for another relying party', () => denies('rp_id_mismatch', { rpId: 'machines.other.test' }))
  const flags: Record<string, number> = {
    'that a user was present': MACHINE_FLAGS | FLAGS.UP,
    'that a user was verified': MACHINE_FLAGS | FLAGS.UV,
    both: MACHINE_FLAGS | FLAGS.UP | FLAGS.UV,
    'that the key is backed up': MACHINE_FLAGS | FLAGS.BS,
    'that the key cannot be copied': FLAGS.AT,
    'a reserved bit': MACHINE_FLAGS | 0x02,
    'that there is no credential': FLAGS.BE,
    'that there are extensions': MACHINE_FLAGS | FLAGS.ED,
  }
  for (const [name, value] of Object.entries(flags)) {
    test(`is refused when its flags claim ${name}`, () => denies('flags_mismatch', { flags: value }))
  }
  test('is refused with bytes after the key', () => denies('authenticator_data_malformed', { extra: new Uint8Array([0]) }))
  test('is refused with extensions that no flag announces', () => denies('authenticator_data_malformed', { extra: new Uint8Array([0xa0]) }))
  test('is refused when it names another credential id than the response', () =>
    denies('credential_id_mismatch', { innerId: b64u(randomBytes(32)) }))
  test('is refused when it is too short', async () => {
    for (const length of [0, 36, 37, 54, 55, 70]) {
      const attestation = (object: Uint8Array) => {
        const decoded = isoCBOR.decodeFirst<Map<string, unknown>>(new Uint8Array(object))
        const short = (decoded.get('authData') as Uint8Array).slice(0, length)
        return new Uint8Array(isoCBOR.encode(new Map([...decoded, ['authData', short]]) as never))
      }
      await denies('authenticator_data_malformed', { attestation })
    }
  })
})

describe('the key of a registration', () => {
  const coseOf = (...members: [number, number | Uint8Array][]) => new Uint8Array(isoCBOR.encode(new Map(members) as never))
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  const x = new Uint8Array(Buffer.from(jwk.x ?? '', 'base64url'))
  const y = new Uint8Array(Buffer.from(jwk.y ?? '', 'base64url'))

  test('is refused when its algorithm is not allowed', async () => {
    assert.equal(await checkOf(registration(), { ...expected, algorithms: [-8] }), 'algorithm_refused')
  })
  test('is refused when the key type does not fit the algorithm', async () => {
    await denies('algorithm_refused', { cose: coseOf([1, 2], [3, -257], [-1, 1], [-2, x], [-3, y]) })
    await denies('algorithm_refused', { cose: coseOf([1, 3], [3, -7], [-1, x], [-2, y]) })
    await denies('algorithm_refused', { cose: coseOf([1, 1], [3, -7], [-1, 6], [-2, x]) })
  })
  test('is refused when the curve does not fit the algorithm', () =>
    denies('algorithm_refused', { cose: coseOf([1, 2], [3, -7], [-1, 2], [-2, x], [-3, y]) }))
  test('is refused when its point is not on the curve', () =>
    denies('algorithm_refused', { cose: coseOf([1, 2], [3, -7], [-1, 1], [-2, x], [-3, x]) }))
  test('is refused with SHA-1', () => denies('algorithm_refused', { cose: coseOf([1, 3], [3, -65535], [-1, x], [-2, y]) }))
  test('is refused as RSA of less than 2048 bits', async () => {
    const { n, e } = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    const bytes = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'))
    await denies('algorithm_refused', { cose: coseOf([1, 3], [3, -257], [-1, bytes(n)], [-2, bytes(e)]) })
  })
})

describe('the attestation statement', () => {
  test('none is refused: it proves nothing', () => denies('attestation_refused', { fmt: 'none', statement: () => new Map() }))
  for (const fmt of ['fido-u2f', 'tpm', 'android-key', 'android-safetynet', 'apple', 'compound', 'Packed', '']) {
    test(`"${fmt}" is refused`, () => denies('attestation_refused', { fmt }))
  }
  test('with certificates is refused: nobody vouches for them', () =>
    denies('attestation_refused', {
      statement: (sig) =>
        new Map<string, unknown>([
          ['alg', -7],
          ['sig', sig],
          ['x5c', [new Uint8Array([0x30])]],
        ]),
    }))
  test('with an ECDAA key is refused', () =>
    denies('attestation_refused', {
      statement: (sig) =>
        new Map<string, unknown>([
          ['alg', -7],
          ['sig', sig],
          ['ecdaaKeyId', new Uint8Array(4)],
        ]),
    }))
  test('of another algorithm than the key is refused', () =>
    denies('attestation_refused', {
      statement: (sig) =>
        new Map<string, unknown>([
          ['alg', -8],
          ['sig', sig],
        ]),
    }))
  test('without a signature is refused', () =>
    denies('attestation_refused', {
      statement: () =>
        new Map<string, unknown>([
          ['alg', -7],
          ['x', 1],
        ]),
    }))
  test('with a signature by another key is refused', async () => {
    const other = testKey(-7)
    await denies('signature_invalid', { key: other, cose: key.cose })
  })
  test('with a signature in another encoding is refused', () =>
    denies('signature_invalid', {
      statement: (sig) =>
        new Map<string, unknown>([
          ['alg', -7],
          ['sig', new Uint8Array([...sig, 0])],
        ]),
    }))
  test('with an empty signature is refused', () =>
    denies('signature_invalid', {
      statement: () =>
        new Map<string, unknown>([
          ['alg', -7],
          ['sig', new Uint8Array()],
        ]),
    }))
})

test('every check of the registry that a machine can fail was seen to refuse something', () => {
  const ofPeople = new Set(['user_not_present', 'user_not_verified', 'backup_flags_invalid'])
  assert.deepEqual(
    [...seen].sort(),
    Object.keys(REGISTRATION_CHECKS)
      .filter((check) => !ofPeople.has(check))
      .sort(),
  )
})
