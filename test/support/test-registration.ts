/** Registrations under the test's full control: every part can be wrong, and is still signed unless the test says otherwise. */
import { createHash, sign } from 'node:crypto'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import { MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import { b64u, FLAGS, type TestKey } from './test-authenticator.ts'

export const MACHINE_FLAGS = FLAGS.AT | FLAGS.BE

export interface RegistrationInput {
  key: TestKey
  credentialId: string
  challenge: Uint8Array
  rpId: string
  origin?: string
  flags?: number
  signCount?: number
  /** 16 bytes; zeros where not given. */
  aaguid?: Uint8Array
  clientData?: Record<string, unknown>
  clientDataText?: string
  /** In place of the key's COSE_Key. */
  cose?: Uint8Array
  /** In place of the credential id inside the authenticator data. */
  innerId?: string
  /** Appended to the authenticator data. */
  extra?: Uint8Array
  fmt?: string
  /** The attestation statement, given the right signature. */
  statement?: (signature: Uint8Array) => Map<string, unknown>
  /** In place of the whole attestation object, given the right one. */
  attestation?: (object: Uint8Array) => Uint8Array
  /** Members of the response and of its inner `response`. */
  outer?: Record<string, unknown>
  inner?: Record<string, unknown>
}

export function testRegistration(input: RegistrationInput) {
  const { key, credentialId, challenge, rpId, origin = MACHINE_ORIGIN, flags = MACHINE_FLAGS, signCount = 0 } = input
  const members = { type: 'webauthn.create', challenge: b64u(challenge), origin, crossOrigin: false, ...input.clientData }
  const clientDataJSON = Buffer.from(input.clientDataText ?? JSON.stringify(members))
  const head = Buffer.alloc(37)
  createHash('sha256').update(rpId).digest().copy(head)
  head[32] = flags
  head.writeUInt32BE(signCount, 33)
  const id = Buffer.from(input.innerId ?? credentialId, 'base64url')
  const idLength = Buffer.alloc(2)
  idLength.writeUInt16BE(id.length)
  const authData = Buffer.concat([
    head,
    input.aaguid ?? Buffer.alloc(16),
    idLength,
    id,
    input.cose ?? key.cose,
    input.extra ?? new Uint8Array(0),
  ])
  const signed = Buffer.concat([authData, createHash('sha256').update(clientDataJSON).digest()])
  const signature = new Uint8Array(key.alg === -8 ? sign(null, signed, key.privateKey) : sign('sha256', signed, key.privateKey))
  const statement =
    input.statement?.(signature) ??
    new Map<string, unknown>([
      ['alg', key.alg],
      ['sig', signature],
    ])
  const object = new Uint8Array(
    isoCBOR.encode(
      new Map<string, unknown>([
        ['fmt', input.fmt ?? 'packed'],
        ['attStmt', statement],
        ['authData', new Uint8Array(authData)],
      ]) as never,
    ),
  )
  return {
    id: credentialId,
    rawId: credentialId,
    type: 'public-key' as const,
    clientExtensionResults: {},
    response: {
      clientDataJSON: b64u(clientDataJSON),
      attestationObject: b64u(input.attestation?.(object) ?? object),
      transports: [],
      ...input.inner,
    },
    ...input.outer,
  }
}
