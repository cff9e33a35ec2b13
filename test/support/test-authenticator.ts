/** An authenticator under the test's full control: every flag, counter and client-data member can be wrong. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isoCBOR } from '@simplewebauthn/server/helpers'

export type TestAlg = -7 | -8 | -257

export interface TestKey {
  alg: TestAlg
  privateKey: KeyObject
  /** COSE_Key bytes. */
  cose: Uint8Array
}

export const FLAGS = { UP: 0x01, UV: 0x04, BE: 0x08, BS: 0x10, AT: 0x40, ED: 0x80 } as const

export function b64u(bytes: Uint8Array | string): string {
  return Buffer.from(bytes as Uint8Array).toString('base64url')
}

function fromJwk(value: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(value ?? '', 'base64url'))
}

/** A fresh key, or the one in `pkcs8`. */
export function testKey(alg: TestAlg = -7, pkcs8?: Uint8Array): TestKey {
  const privateKey = pkcs8 ? createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }) : generate(alg)
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const members: [number, number | Uint8Array][] =
    alg === -7
      ? [
          [1, 2],
          [3, -7],
          [-1, 1],
          [-2, fromJwk(jwk.x)],
          [-3, fromJwk(jwk.y)],
        ]
      : alg === -8
        ? [
            [1, 1],
            [3, -8],
            [-1, 6],
            [-2, fromJwk(jwk.x)],
          ]
        : [
            [1, 3],
            [3, -257],
            [-1, fromJwk(jwk.n)],
            [-2, fromJwk(jwk.e)],
          ]
  return { alg, privateKey, cose: new Uint8Array(isoCBOR.encode(new Map(members))) }
}

// Encoded where they are made: in Node 20, exporting a key whose generation is garbage-collected meanwhile can deadlock.
function generate(alg: TestAlg): KeyObject {
  return createPrivateKey({ key: generateDer(alg), format: 'der', type: 'pkcs8' })
}

const PKCS8 = { type: 'pkcs8', format: 'der' } as const
const SPKI = { type: 'spki', format: 'der' } as const

function generateDer(alg: TestAlg): Buffer {
  if (alg === -8) return generateKeyPairSync('ed25519', { privateKeyEncoding: PKCS8, publicKeyEncoding: SPKI }).privateKey
  if (alg === -7) return generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding: PKCS8, publicKeyEncoding: SPKI }).privateKey
  return generateKeyPairSync('rsa', { modulusLength: 2048, privateKeyEncoding: PKCS8, publicKeyEncoding: SPKI }).privateKey
}

export interface AssertionInput {
  key: TestKey
  credentialId: string
  challenge: Uint8Array
  rpId: string
  origin: string
  flags: number
  signCount?: number
  userHandle?: string
  /** Replaces members of the client data; undefined removes one. */
  clientData?: Record<string, unknown>
  /** Replaces the client data's text altogether. */
  clientDataText?: string
  /** Appended to authenticatorData. */
  extra?: Uint8Array
}

/** AuthenticationResponseJSON, really signed. */
export function testAssertion(input: AssertionInput) {
  const { key, credentialId, challenge, rpId, origin, flags, signCount = 0, userHandle, clientData, extra } = input
  const members = { type: 'webauthn.get', challenge: b64u(challenge), origin, crossOrigin: false, ...clientData }
  const clientDataJSON = Buffer.from(input.clientDataText ?? JSON.stringify(members))
  const head = Buffer.alloc(37)
  createHash('sha256').update(rpId).digest().copy(head)
  head[32] = flags
  head.writeUInt32BE(signCount, 33)
  const authenticatorData = Buffer.concat([head, extra ?? new Uint8Array(0)])
  const signed = Buffer.concat([authenticatorData, createHash('sha256').update(clientDataJSON).digest()])
  const signature = key.alg === -8 ? sign(null, signed, key.privateKey) : sign('sha256', signed, key.privateKey)
  return {
    id: credentialId,
    rawId: credentialId,
    type: 'public-key' as const,
    clientExtensionResults: {},
    response: {
      clientDataJSON: b64u(clientDataJSON),
      authenticatorData: b64u(authenticatorData),
      signature: b64u(signature),
      ...(userHandle === undefined ? {} : { userHandle }),
    },
  }
}
