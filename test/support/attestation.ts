/** Attestation statements of every format, made as authenticators make them, by certificates of the test's own roots. */
// @peculiar/x509 decorates its classes with it and leaves the import to its user.
import 'reflect-metadata'
import { createHash, createPublicKey, KeyObject, sign, webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  cryptoProvider,
  Extension,
  type KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { RegistrationResponseJSON } from '@simplewebauthn/server'
import { decodeAttestationObject, decodeCredentialPublicKey, isoCBOR } from '@simplewebauthn/server/helpers'
import { b64u, type TestKey } from './test-authenticator.ts'

cryptoProvider.set(webcrypto as unknown as Crypto)
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

const OID = {
  aaguid: '1.3.6.1.4.1.45724.1.1.4',
  subjectAltName: '2.5.29.17',
  extendedKeyUsage: '2.5.29.37',
  androidKey: '1.3.6.1.4.1.11129.2.1.17',
  appleNonce: '1.2.840.113635.100.8.2',
} as const

export interface CertificateChange {
  subject?: string
  ca?: boolean
  pathLength?: number
  notBefore?: Date
  notAfter?: Date
  /** Of the credential, where the certificate is for its key. */
  publicKey?: KeyObject
  /** Address of a CRL. */
  crl?: string
  extensions?: Extension[]
  keyUsage?: KeyUsageFlags
}

export interface TestIssuer {
  der: Uint8Array
  /** Of the certificate's own key; not there where the key is somebody else's. */
  privateKey: KeyObject
  issue(change?: CertificateChange): Promise<TestIssuer>
}

const DAY_MS = 86_400_000

/** A root of its own, valid from yesterday on. */
export async function attestationRoot(name = 'Test Root', change: CertificateChange = {}): Promise<TestIssuer> {
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify'])
  const subject = change.subject ?? `CN=${name}`
  return certify({ subject, keys, change: { ca: true, ...change }, issuer: subject, signer: keys.privateKey })
}

async function certify(about: {
  subject: string
  keys: webcrypto.CryptoKeyPair
  change: CertificateChange
  issuer: string
  signer: webcrypto.CryptoKey
}): Promise<TestIssuer> {
  const { subject, keys, change, issuer, signer } = about
  const { ca = false, pathLength, crl, extensions = [], keyUsage } = change
  const publicKey =
    change.publicKey === undefined
      ? keys.publicKey
      : await webcrypto.subtle.importKey('spki', change.publicKey.export({ type: 'spki', format: 'der' }), EC, true, ['verify'])
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer,
    signingKey: signer,
    publicKey,
    signingAlgorithm: EC,
    notBefore: change.notBefore ?? new Date(Date.now() - DAY_MS),
    notAfter: change.notAfter ?? new Date(Date.now() + DAY_MS),
    extensions: [
      new BasicConstraintsExtension(ca, pathLength, true),
      ...(keyUsage === undefined ? [] : [new KeyUsagesExtension(keyUsage, true)]),
      ...(crl === undefined ? [] : [new CRLDistributionPointsExtension([crl])]),
      ...extensions,
    ],
  })
  return {
    der: new Uint8Array(certificate.rawData),
    privateKey: KeyObject.from(keys.privateKey),
    async issue(next = {}) {
      const pair = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify'])
      const wanted = next.subject ?? 'CN=Test Intermediate'
      return certify({ subject: wanted, keys: pair, change: next, issuer: certificate.subject, signer: keys.privateKey })
    },
  }
}

/** The subject that §8.2.1 demands of a packed attestation certificate. */
export const PACKED_SUBJECT = 'C=US, O=Test Keys, OU=Authenticator Attestation, CN=Test Key'

/** id-fido-gen-ce-aaguid. */
export function aaguidExtension(aaguid: string, critical = false): Extension {
  return new Extension(OID.aaguid, critical, der(0x04, Buffer.from(aaguid.replaceAll('-', ''), 'hex')))
}

/** The certificate of a server of this name. */
export function hostExtension(host: string): Extension {
  return new SubjectAlternativeNameExtension([{ type: 'dns', value: host }])
}

interface Signed {
  authData: Uint8Array
  clientDataHash: Uint8Array
  /** What packed and android-key sign. */
  message: Uint8Array
}

/** The registration with another attestation: `statement` is given what is signed. */
export async function attested(
  response: RegistrationResponseJSON,
  fmt: string,
  statement: (signed: Signed) => Map<string, unknown> | Promise<Map<string, unknown>>,
): Promise<RegistrationResponseJSON> {
  const object = decodeAttestationObject(new Uint8Array(Buffer.from(response.response.attestationObject, 'base64url')))
  const authData = object.get('authData')
  const clientDataHash = sha256(Buffer.from(response.response.clientDataJSON, 'base64url'))
  const attStmt = await statement({ authData, clientDataHash, message: new Uint8Array(Buffer.concat([authData, clientDataHash])) })
  const members: [string, unknown][] = [
    ['fmt', fmt],
    ['attStmt', attStmt],
    ['authData', authData],
  ]
  const attestationObject = b64u(new Uint8Array(isoCBOR.encode(new Map(members) as never)))
  return { ...response, response: { ...response.response, attestationObject } }
}

const ES256 = -7

export function packedStatement({ message }: Signed, leaf: TestIssuer, chain: readonly Uint8Array[] = []): Map<string, unknown> {
  return new Map<string, unknown>([
    ['alg', ES256],
    ['sig', bytes(sign('sha256', message, leaf.privateKey))],
    ['x5c', [leaf.der, ...chain]],
  ])
}

export function u2fStatement({ authData, clientDataHash }: Signed, key: TestKey, leaf: TestIssuer): Map<string, unknown> {
  const idLength = Buffer.from(authData).readUInt16BE(53)
  const message = Buffer.concat([
    Buffer.from([0]),
    authData.subarray(0, 32),
    clientDataHash,
    authData.subarray(55, 55 + idLength),
    pointOf(key),
  ])
  return new Map<string, unknown>([
    ['sig', bytes(sign('sha256', message, leaf.privateKey))],
    ['x5c', [leaf.der]],
  ])
}

/** The certificate of an Android key: for the credential's key and this very challenge. */
export function androidLeaf(
  issuer: TestIssuer,
  key: TestKey,
  { clientDataHash }: Signed,
  change: CertificateChange = {},
): Promise<TestIssuer> {
  const integer = (value: number) => der(0x02, Buffer.from([value]))
  const enumerated = (value: number) => der(0x0a, Buffer.from([value]))
  const description = der(
    0x30,
    ...[integer(3), enumerated(1), integer(4), enumerated(1), der(0x04, clientDataHash), der(0x04), der(0x30), der(0x30)],
  )
  return issuer.issue({
    subject: 'CN=Android Keystore Key',
    publicKey: createPublicKey(key.privateKey),
    ...change,
    extensions: [new Extension(OID.androidKey, false, description)],
  })
}

export function androidStatement({ message }: Signed, key: TestKey, chain: readonly Uint8Array[]): Map<string, unknown> {
  return new Map<string, unknown>([
    ['alg', ES256],
    ['sig', bytes(sign('sha256', message, key.privateKey))],
    ['x5c', [...chain]],
  ])
}

export async function appleStatement({ message }: Signed, key: TestKey, issuer: TestIssuer, change: CertificateChange = {}) {
  const nonce = der(0x30, der(0xa1, der(0x04, sha256(message))))
  const leaf = await issuer.issue({
    subject: 'CN=Test Apple Leaf',
    publicKey: createPublicKey(key.privateKey),
    ...change,
    extensions: [new Extension(OID.appleNonce, false, nonce)],
  })
  return new Map<string, unknown>([['x5c', [leaf.der]]])
}

export async function tpmStatement(
  { message }: Signed,
  key: TestKey,
  issuer: TestIssuer,
  change: CertificateChange = {},
): Promise<Map<string, unknown>> {
  const attribute = (oid: number, value: string) =>
    der(0x31, der(0x30, der(0x06, Buffer.from([0x67, 0x81, 0x05, 0x02, oid])), der(0x0c, Buffer.from(value))))
  const name = der(0x30, attribute(1, 'id:414D4400'), attribute(2, 'Test TPM'), attribute(3, 'id:13'))
  const aik = await issuer.issue({
    subject: '',
    ...change,
    extensions: [
      new Extension(OID.subjectAltName, true, der(0x30, der(0xa4, name))),
      new Extension(OID.extendedKeyUsage, false, der(0x30, der(0x06, Buffer.from([0x67, 0x81, 0x05, 0x08, 0x03])))),
    ],
  })
  const point = Buffer.from(pointOf(key))
  const sized = (part: Uint8Array) => Buffer.concat([uint16(part.length), part])
  // TPMT_PUBLIC of a P-256 key: type ECC, name by SHA-256, no scheme.
  const pubArea = Buffer.concat([
    uint16(0x0023),
    uint16(0x000b),
    Buffer.from([0, 6, 0, 0x72]),
    sized(Buffer.alloc(0)),
    uint16(0x0010),
    uint16(0x0010),
    uint16(0x0003),
    uint16(0x0010),
    sized(point.subarray(1, 33)),
    sized(point.subarray(33)),
  ])
  const attestedName = Buffer.concat([uint16(0x000b), sha256(pubArea)])
  // TPMS_ATTEST: magic, TPM_ST_ATTEST_CERTIFY, signer, what was hashed, clock, firmware, the name and a qualified name.
  const certInfo = Buffer.concat([
    Buffer.from('ff544347', 'hex'),
    uint16(0x8017),
    sized(Buffer.alloc(0)),
    sized(sha256(message)),
    Buffer.alloc(17),
    Buffer.alloc(8),
    sized(attestedName),
    sized(Buffer.alloc(0)),
  ])
  return new Map<string, unknown>([
    ['ver', '2.0'],
    ['alg', ES256],
    ['x5c', [aik.der]],
    ['sig', bytes(sign('sha256', certInfo, aik.privateKey))],
    ['certInfo', bytes(certInfo)],
    ['pubArea', bytes(pubArea)],
  ])
}

function pointOf(key: TestKey): Uint8Array {
  const members: unknown = decodeCredentialPublicKey(Uint8Array.from(key.cose))
  if (!(members instanceof Map)) throw new Error('reading a test key')
  return Buffer.concat([Buffer.from([4]), members.get(-2), members.get(-3)])
}

/** DER: the tag, the length of the contents, the contents. */
function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = Buffer.concat(contents)
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff]
  return new Uint8Array(Buffer.concat([Buffer.from([tag, ...length]), content]))
}

function uint16(value: number): Buffer {
  const out = Buffer.alloc(2)
  out.writeUInt16BE(value)
  return out
}

function sha256(data: Uint8Array): Uint8Array {
  return bytes(createHash('sha256').update(data).digest())
}

/** Plain bytes: the CBOR encoder knows no Buffer. */
function bytes(data: Uint8Array): Uint8Array {
  return new Uint8Array(data)
}
