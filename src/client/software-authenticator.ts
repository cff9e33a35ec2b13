/**
 * An authenticator (WebAuthn L3 §6) in software, for machines: it makes what a security key would return, with a key
 * that answers to one function. It never claims what nobody did: user presence and verification stay 0.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { base64url, concat, fromBase64url, utf8 } from '../core/encoding.ts'
import { sha256 } from './sha256.ts'

/** COSE algorithms: ES256, EdDSA, RS256. */
export type SigningAlgorithm = -7 | -8 | -257

/**
 * A private key that signs and never has to leave its place: a file, PKCS#11, a TPM, a KMS.
 * `sign` is synchronous, because NATS clients ask for a signature while they connect.
 */
export interface SigningKey {
  readonly alg: SigningAlgorithm
  /** The public key as COSE_Key (RFC 9052 §7). */
  readonly publicKeyCose: Uint8Array
  /** Signs with SHA-256 where the algorithm hashes; ECDSA signatures are DER. */
  sign(bytes: Uint8Array): Uint8Array
}

/** A key that can be written to a file, and hence copied. */
export interface FileKey extends SigningKey {
  readonly alg: -7 | -8
  /** The private key as PKCS #8 in DER. Secret. */
  toPkcs8(): Uint8Array
}

export interface CeremonyOptions {
  challenge: Uint8Array
  rpId: string
  origin: string
  /** Unpadded base64url, 1 to 1023 bytes. */
  credentialId: string
  /** WebAuthn user.id, unpadded base64url. */
  userHandle: string
  /** false only for a key that cannot be exported from its hardware. Default: true. */
  backupEligible?: boolean
}

/** WebAuthn L3 §5.1 `toJSON` of a registration. */
export interface RegistrationResponseJSON {
  id: string
  rawId: string
  type: 'public-key'
  response: { clientDataJSON: string; attestationObject: string; transports: [] }
  clientExtensionResults: Record<string, never>
}

/** WebAuthn L3 §5.1 `toJSON` of an assertion. */
export interface AuthenticationResponseJSON {
  id: string
  rawId: string
  type: 'public-key'
  response: { clientDataJSON: string; authenticatorData: string; signature: string; userHandle: string }
  clientExtensionResults: Record<string, never>
}

// WebAuthn L3 §6.1: UP (0x01) and UV (0x04) are never set here, nobody is present.
const BACKUP_ELIGIBLE = 0x08
const ATTESTED_CREDENTIAL_DATA = 0x40
// No AAGUID names this authenticator: anybody could claim it.
const AAGUID = new Uint8Array(16)

const PKCS8 = { type: 'pkcs8', format: 'der' } as const
const SPKI = { type: 'spki', format: 'der' } as const

/** Makes a key in memory: ES256 (-7) unless EdDSA (-8) is asked for. */
export function generateFileKey(alg: -7 | -8 = -7): FileKey {
  // Encoded where it is made: in Node 20, exporting a key whose generation is garbage-collected meanwhile can deadlock.
  const { privateKey } =
    alg === -8
      ? generateKeyPairSync('ed25519', { privateKeyEncoding: PKCS8, publicKeyEncoding: SPKI })
      : generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding: PKCS8, publicKeyEncoding: SPKI })
  return fileKeyFromPkcs8(privateKey)
}

/** The key inside PKCS #8 DER: P-256 or Ed25519, nothing else. */
export function fileKeyFromPkcs8(pkcs8: Uint8Array): FileKey {
  return fileKey(createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' }))
}

function fileKey(privateKey: KeyObject): FileKey {
  const { alg, publicKeyCose } = describe(privateKey)
  return {
    alg,
    publicKeyCose,
    sign: (bytes) => new Uint8Array(sign(alg === -8 ? null : 'sha256', bytes, privateKey)),
    toPkcs8: () => new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' })),
  }
}

function describe(privateKey: KeyObject): { alg: -7 | -8; publicKeyCose: Uint8Array } {
  const { kty, crv, x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  if (kty === 'OKP' && crv === 'Ed25519') {
    return { alg: -8, publicKeyCose: cborMap([1, cborInt(1)], [3, cborInt(-8)], [-1, cborInt(6)], [-2, cborBytes(coordinate(x))]) }
  }
  if (kty === 'EC' && crv === 'P-256') {
    const [xBytes, yBytes] = [cborBytes(coordinate(x)), cborBytes(coordinate(y))]
    return { alg: -7, publicKeyCose: cborMap([1, cborInt(2)], [3, cborInt(-7)], [-1, cborInt(1)], [-2, xBytes], [-3, yBytes]) }
  }
  throw new Error('reading the private key: neither P-256 nor Ed25519')
}

function coordinate(text: string | undefined): Uint8Array {
  const bytes = fromBase64url(text ?? '')
  if (bytes === null || bytes.length !== 32) throw new Error('reading the private key: no 32-byte coordinate')
  return bytes
}

/** The answer to `navigator.credentials.create`, with packed self attestation (WebAuthn L3 §8.2): it proves possession. */
export function createRegistration(key: SigningKey, options: CeremonyOptions): RegistrationResponseJSON {
  const id = credentialIdBytes(options.credentialId)
  const clientData = clientDataJSON('webauthn.create', options)
  const authenticatorData = concat(
    authenticatorDataHead(options, { flags: ATTESTED_CREDENTIAL_DATA, signCount: 0 }),
    AAGUID,
    new Uint8Array([id.length >> 8, id.length & 0xff]),
    id,
    key.publicKeyCose,
  )
  const signature = key.sign(concat(authenticatorData, sha256(clientData)))
  const attestationObject = cborMap(
    ['fmt', cborText('packed')],
    ['attStmt', cborMap(['alg', cborInt(key.alg)], ['sig', cborBytes(signature)])],
    ['authData', cborBytes(authenticatorData)],
  )
  return {
    id: options.credentialId,
    rawId: options.credentialId,
    type: 'public-key',
    response: { clientDataJSON: base64url(clientData), attestationObject: base64url(attestationObject), transports: [] },
    clientExtensionResults: {},
  }
}

/** The answer to `navigator.credentials.get`: one signature by `key` over the challenge, the origin and the rpId. */
export function createAssertion(key: SigningKey, options: CeremonyOptions & { signCount: number }): AuthenticationResponseJSON {
  credentialIdBytes(options.credentialId)
  const clientData = clientDataJSON('webauthn.get', options)
  const authenticatorData = authenticatorDataHead(options, { flags: 0, signCount: options.signCount })
  const signature = key.sign(concat(authenticatorData, sha256(clientData)))
  return {
    id: options.credentialId,
    rawId: options.credentialId,
    type: 'public-key',
    response: {
      clientDataJSON: base64url(clientData),
      authenticatorData: base64url(authenticatorData),
      signature: base64url(signature),
      userHandle: options.userHandle,
    },
    clientExtensionResults: {},
  }
}

function credentialIdBytes(text: string): Uint8Array {
  const bytes = fromBase64url(text)
  if (bytes === null || bytes.length === 0 || bytes.length > 1023)
    throw new Error('reading the credential id: not 1 to 1023 bytes of base64url')
  return bytes
}

// WebAuthn L3 §5.8.1.1: this order and spelling, so that limited verifiers can compare bytes.
function clientDataJSON(type: 'webauthn.create' | 'webauthn.get', { challenge, origin }: CeremonyOptions): Uint8Array {
  return utf8(JSON.stringify({ type, challenge: base64url(challenge), origin, crossOrigin: false }))
}

// WebAuthn L3 §6.1: rpIdHash, flags, signCount.
function authenticatorDataHead(options: CeremonyOptions, { flags, signCount }: { flags: number; signCount: number }): Uint8Array {
  const counter = new Uint8Array(4)
  new DataView(counter.buffer).setUint32(0, signCount)
  const backup = options.backupEligible === false ? 0 : BACKUP_ELIGIBLE
  return concat(sha256(utf8(options.rpId)), new Uint8Array([flags | backup]), counter)
}

// The four CBOR types (RFC 8949 §3.1) that COSE_Key and attestation objects need; callers give maps in CTAP2's order.
function cborHead(major: number, value: number): Uint8Array {
  if (value < 24) return new Uint8Array([(major << 5) | value])
  if (value < 256) return new Uint8Array([(major << 5) | 24, value])
  if (value < 65_536) return new Uint8Array([(major << 5) | 25, value >> 8, value & 0xff])
  throw new Error('writing CBOR: value above 65535')
}

function cborInt(value: number): Uint8Array {
  return value >= 0 ? cborHead(0, value) : cborHead(1, -1 - value)
}

function cborBytes(bytes: Uint8Array): Uint8Array {
  return concat(cborHead(2, bytes.length), bytes)
}

function cborText(text: string): Uint8Array {
  const bytes = utf8(text)
  return concat(cborHead(3, bytes.length), bytes)
}

function cborMap(...entries: [number | string, Uint8Array][]): Uint8Array {
  const parts = entries.flatMap(([name, value]) => [typeof name === 'number' ? cborInt(name) : cborText(name), value])
  return concat(cborHead(5, entries.length), ...parts)
}
