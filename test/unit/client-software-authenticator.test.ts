import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import {
  createAssertion,
  createRegistration,
  fileKeyFromPkcs8,
  generateFileKey,
  type SigningKey,
} from '../../src/client/software-authenticator.ts'
import { base64url } from '../../src/core/encoding.ts'
import { type CredentialId, parseCredentialId } from '../../src/core/identifiers.ts'
import { MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import { verifyAssertion } from '../../src/core/webauthn/assertion.ts'
import { parseAssertionResponse } from '../../src/core/webauthn/assertion-response.ts'

const rpId = 'machines.test'
const ceremony = () => ({
  challenge: new Uint8Array(randomBytes(32)),
  rpId,
  origin: MACHINE_ORIGIN,
  credentialId: base64url(randomBytes(32)),
  userHandle: base64url(randomBytes(16)),
})

function rsaKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { n, e } = publicKey.export({ format: 'jwk' })
  const bytes = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'))
  const publicKeyCose = isoCBOR.encode(
    new Map<number, number | Uint8Array>([
      [1, 3],
      [3, -257],
      [-1, bytes(n)],
      [-2, bytes(e)],
    ]),
  )
  return { alg: -257, publicKeyCose, sign: (message) => sign('sha256', message, privateKey) }
}

const KEYS = { ES256: () => generateFileKey(-7), EdDSA: () => generateFileKey(-8), 'RS256 in hardware': rsaKey }

describe('a software authenticator', () => {
  for (const [name, makeKey] of Object.entries(KEYS)) {
    test(`registers with packed self attestation that SimpleWebAuthn verifies: ${name}`, async () => {
      const key = makeKey()
      const options = ceremony()
      const result = await verifyRegistrationResponse({
        response: createRegistration(key, options),
        expectedChallenge: base64url(options.challenge),
        expectedOrigin: MACHINE_ORIGIN,
        expectedRPID: rpId,
        requireUserPresence: false,
        requireUserVerification: false,
        supportedAlgorithmIDs: [key.alg],
      })
      assert.ok(result.verified)
      const info = result.registrationInfo
      assert.equal(info.fmt, 'packed')
      assert.equal(info.userVerified, false)
      assert.equal(info.credentialDeviceType, 'multiDevice')
      assert.equal(info.credentialBackedUp, false)
      assert.equal(info.aaguid, '00000000-0000-0000-0000-000000000000')
      assert.equal(info.credential.id, options.credentialId)
      assert.deepEqual(new Uint8Array(info.credential.publicKey), new Uint8Array(key.publicKeyCose))
    })

    test(`asserts what SimpleWebAuthn and the verifier's own checks accept: ${name}`, async () => {
      const key = makeKey()
      const options = { ...ceremony(), signCount: 0 }
      const response = createAssertion(key, options)
      const result = await verifyAuthenticationResponse({
        response,
        expectedChallenge: base64url(options.challenge),
        expectedOrigin: MACHINE_ORIGIN,
        expectedRPID: rpId,
        credential: { id: options.credentialId, publicKey: new Uint8Array(key.publicKeyCose), counter: 0 },
        requireUserVerification: false,
        advancedFIDOConfig: { userVerification: 'discouraged' },
      })
      assert.ok(result.verified)
      assert.deepEqual(verdict(key, options, response), {
        ok: true,
        value: { signCount: 0, userPresent: false, userVerified: false, backupState: false },
      })
    })
  }

  function verdict(key: SigningKey, options: ReturnType<typeof ceremony>, response: object) {
    const assertion = parseAssertionResponse(response)
    assert.ok(assertion.ok)
    const credential = {
      id: parseCredentialId(options.credentialId) as CredentialId,
      publicKey: base64url(key.publicKeyCose),
      signCount: 0,
      signCountAt: 0,
      backupEligible: true,
      rpId,
      class: 'machine',
      userHandle: options.userHandle,
    } as const
    return verifyAssertion(assertion.value, credential, {
      challenge: options.challenge,
      rpId,
      origins: [MACHINE_ORIGIN],
      class: 'machine',
      requireUserVerification: false,
      algorithms: [-7, -8, -257],
    })
  }

  test('writes clientDataJSON in the order and spelling of WebAuthn L3 §5.8.1.1', () => {
    const options = ceremony()
    const { response } = createAssertion(generateFileKey(), { ...options, signCount: 0 })
    assert.equal(
      Buffer.from(response.clientDataJSON, 'base64url').toString(),
      `{"type":"webauthn.get","challenge":"${base64url(options.challenge)}","origin":"nats-webauthn://machine","crossOrigin":false}`,
    )
  })

  test('claims neither presence nor verification, and carries the counter', () => {
    const { response } = createAssertion(generateFileKey(), { ...ceremony(), signCount: 0x01020304 })
    const data = Buffer.from(response.authenticatorData, 'base64url')
    assert.equal(data.length, 37)
    assert.equal(data[32], 0x08)
    assert.equal(data.subarray(33).toString('hex'), '01020304')
  })

  test('says that a hardware key cannot be backed up only when told so', () => {
    const { response } = createAssertion(generateFileKey(), { ...ceremony(), signCount: 0, backupEligible: false })
    assert.equal(Buffer.from(response.authenticatorData, 'base64url')[32], 0)
  })

  test('signs ECDSA as DER', () => {
    const signature = generateFileKey(-7).sign(new Uint8Array(1))
    assert.equal(signature[0], 0x30)
    assert.equal(signature[1], signature.length - 2)
  })

  test('keeps its key through PKCS #8', () => {
    for (const alg of [-7, -8] as const) {
      const key = generateFileKey(alg)
      const again = fileKeyFromPkcs8(key.toPkcs8())
      assert.equal(again.alg, alg)
      assert.deepEqual(again.publicKeyCose, key.publicKeyCose)
    }
  })

  test('refuses keys of other kinds', () => {
    const others = [
      generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      generateKeyPairSync('x25519'),
      generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ]
    for (const { privateKey } of others) {
      assert.throws(() => fileKeyFromPkcs8(privateKey.export({ format: 'der', type: 'pkcs8' })))
    }
    assert.throws(() => fileKeyFromPkcs8(new Uint8Array(8)))
  })

  test('refuses credential ids that are empty, too long or no base64url', () => {
    for (const credentialId of ['', 'a', '=+/', base64url(new Uint8Array(1024))]) {
      assert.throws(() => createRegistration(generateFileKey(), { ...ceremony(), credentialId }))
      assert.throws(() => createAssertion(generateFileKey(), { ...ceremony(), credentialId, signCount: 0 }))
    }
  })

  test('registers a credential id of 1023 bytes', async () => {
    const options = { ...ceremony(), credentialId: base64url(new Uint8Array(1023).fill(7)) }
    const { verified } = await verifyRegistrationResponse({
      response: createRegistration(generateFileKey(-8), options),
      expectedChallenge: base64url(options.challenge),
      expectedOrigin: MACHINE_ORIGIN,
      expectedRPID: rpId,
      requireUserPresence: false,
      requireUserVerification: false,
      supportedAlgorithmIDs: [-8],
    })
    assert.ok(verified)
  })
})
