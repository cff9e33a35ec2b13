/** A valid assertion with the record and expectation that it fits: each test breaks one thing of it. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import { parseCredentialId } from '../../src/core/identifiers.ts'
import { DEFAULT_ALGORITHMS } from '../../src/core/rules.ts'
import type { AssertedCredential, ExpectedAssertion } from '../../src/core/webauthn/assertion.ts'
import { judgeSignCount, verifyAssertion } from '../../src/core/webauthn/assertion.ts'
import { parseAssertionResponse } from '../../src/core/webauthn/assertion-response.ts'
import { type AssertionInput, b64u, FLAGS, type TestKey, testAssertion, testKey } from './test-authenticator.ts'

const CHALLENGE = new Uint8Array(createHash('sha256').update('challenge').digest())
export const PERSON_ORIGIN = 'https://login.example.org'
const PERSON_RP_ID = 'example.org'
export const USER_HANDLE = b64u('user-1')

export interface AssertionCase {
  response: ReturnType<typeof testAssertion>
  credential: AssertedCredential
  expected: ExpectedAssertion
}

export interface CaseChange {
  key?: TestKey
  /** What the authenticator signs. */
  input?: Partial<AssertionInput>
  credential?: Partial<AssertedCredential>
  expected?: Partial<ExpectedAssertion>
}

const es256 = testKey()
const id = parseCredentialId(b64u('credential-1'))
if (id === null) throw new Error('making a credential id')

/** A person's assertion (UP, UV, BE, counter 6 after 5), changed as said. */
export function personCase(change: CaseChange = {}): AssertionCase {
  const key = change.key ?? es256
  return {
    response: testAssertion({
      key,
      credentialId: b64u('credential-1'),
      challenge: CHALLENGE,
      rpId: PERSON_RP_ID,
      origin: PERSON_ORIGIN,
      flags: FLAGS.UP | FLAGS.UV | FLAGS.BE,
      signCount: 6,
      userHandle: USER_HANDLE,
      ...change.input,
    }),
    credential: {
      id: id as NonNullable<typeof id>,
      publicKey: b64u(key.cose),
      signCount: 5,
      signCountAt: 0,
      backupEligible: true,
      rpId: PERSON_RP_ID,
      class: 'person',
      userHandle: USER_HANDLE,
      ...change.credential,
    },
    expected: {
      challenge: CHALLENGE,
      rpId: PERSON_RP_ID,
      origins: [PERSON_ORIGIN, 'https://other.example.org'],
      class: 'person',
      requireUserVerification: true,
      algorithms: DEFAULT_ALGORITHMS,
      ...change.expected,
    },
  }
}

/** A machine's assertion: nobody present, key in a file. */
export function machineCase(change: CaseChange = {}): AssertionCase {
  const rpId = 'machines.example.org'
  const origin = 'nats-webauthn://machine'
  return personCase({
    ...change,
    input: { rpId, origin, flags: FLAGS.BE, ...change.input },
    credential: { class: 'machine', rpId, ...change.credential },
    expected: { class: 'machine', rpId, origins: [origin], requireUserVerification: false, ...change.expected },
  })
}

/** `accepted`, or the reason of the denial: read, verify and count, as the journey does. */
export function verdictOf({
  response,
  credential,
  expected,
}: {
  response: unknown
  credential: AssertedCredential
  expected: ExpectedAssertion
}): string {
  const assertion = parseAssertionResponse(response)
  if (!assertion.ok) return assertion.denial
  const verified = verifyAssertion(assertion.value, credential, expected)
  if (!verified.ok) return verified.denial
  const count = judgeSignCount(credential, verified.value, new Date(60_000))
  return count.ok ? 'accepted' : count.denial
}

/** The same case with other signature bytes. */
export function withSignature(given: AssertionCase, change: (signature: Uint8Array) => Uint8Array): AssertionCase {
  const { response } = given
  const signature = b64u(change(bytesOf(response.response.signature)))
  return { ...given, response: { ...response, response: { ...response.response, signature } } }
}

/** The line that `assertion check` reads for a case. */
export function lineOf({ response, credential, expected }: AssertionCase): Record<string, unknown> {
  const { id, publicKey, signCount, backupEligible, userHandle } = credential
  return {
    rpId: expected.rpId,
    origins: expected.origins,
    challenge: b64u(expected.challenge),
    class: expected.class,
    requireUserVerification: expected.requireUserVerification,
    credential: { id, publicKey, signCount, backupEligible, userHandle },
    response,
  }
}

export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'))
}

/** COSE_Key bytes with these members. */
export function coseBytes(members: [number, unknown][]): Uint8Array {
  return new Uint8Array(isoCBOR.encode(new Map(members) as Parameters<typeof isoCBOR.encode>[0]))
}

export interface EcCurve {
  alg: -7 | -35 | -36
  crv: number
  name: 'P-256' | 'P-384' | 'P-521'
  digest: string
  scalarBytes: number
}

export const EC_CURVES: readonly EcCurve[] = [
  { alg: -7, crv: 1, name: 'P-256', digest: 'sha256', scalarBytes: 32 },
  { alg: -35, crv: 2, name: 'P-384', digest: 'sha384', scalarBytes: 48 },
  { alg: -36, crv: 3, name: 'P-521', digest: 'sha512', scalarBytes: 66 },
]

// Encoded where it is made: in Node 20, exporting a key whose generation is garbage-collected meanwhile can deadlock.
const PKCS8 = { type: 'pkcs8', format: 'der' } as const
const SPKI = { type: 'spki', format: 'der' } as const

/** A fresh EC key, its COSE members, and a signer in the form that WebAuthn wants. */
export function ecKeyOn(curve: EcCurve): { members: [number, unknown][]; privateKey: KeyObject; sign(message: Uint8Array): Uint8Array } {
  const { privateKey: der } = generateKeyPairSync('ec', { namedCurve: curve.name, privateKeyEncoding: PKCS8, publicKeyEncoding: SPKI })
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
  return {
    members: [
      [1, 2],
      [3, curve.alg],
      [-1, curve.crv],
      [-2, bytesOf(jwk.x ?? '')],
      [-3, bytesOf(jwk.y ?? '')],
    ],
    privateKey,
    sign: (message) => new Uint8Array(sign(curve.digest, message, privateKey)),
  }
}
