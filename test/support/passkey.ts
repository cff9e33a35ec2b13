/** A person's authenticator in software: answers options as a browser would, and does anything wrong that a test asks for. */
import { randomBytes } from 'node:crypto'
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { type AssertionInput, b64u, FLAGS, type TestKey, testAssertion, testKey } from './test-authenticator.ts'
import { type RegistrationInput, testRegistration } from './test-registration.ts'

export interface PasskeyOptions {
  /** Of the page that calls the browser. */
  origin: string
  alg: -7 | -8
  /** Lower-case UUID. */
  aaguid: string
  /** `none`, or packed self attestation. */
  attestation: 'none' | 'self'
  userVerified: boolean
  backupEligible: boolean
  backupState: boolean
  /** The last count it gave; null: it keeps no counter. */
  counter: number | null
  transports: string[]
}

/** Members may be written between ceremonies: the next answer has them. */
export interface Passkey extends PasskeyOptions {
  /** Credential id, unpadded base64url. */
  id: string
  key: TestKey
  /** WebAuthn user.id, unpadded base64url; known once created. */
  userHandle: string | null
  /** The answer to `navigator.credentials.create`. Throws when this authenticator is excluded, as a browser does. */
  create(options: PublicKeyCredentialCreationOptionsJSON, change?: Partial<RegistrationInput>): RegistrationResponseJSON
  /** The answer to `navigator.credentials.get`. */
  get(options: PublicKeyCredentialRequestOptionsJSON, change?: Partial<AssertionInput>): AuthenticationResponseJSON
}

export const ZERO_AAGUID = '00000000-0000-0000-0000-000000000000'

export function softwarePasskey(change: Partial<PasskeyOptions> & { origin: string }): Passkey {
  const passkey: Passkey = {
    alg: -7,
    aaguid: ZERO_AAGUID,
    attestation: 'none',
    userVerified: true,
    backupEligible: true,
    backupState: true,
    counter: null,
    transports: ['internal'],
    ...change,
    id: b64u(randomBytes(32)),
    key: testKey(change.alg ?? -7),
    userHandle: null,
    create(options, wrong = {}) {
      if (options.excludeCredentials?.some(({ id }) => id === passkey.id)) throw new Error('InvalidStateError')
      passkey.userHandle = options.user.id
      return testRegistration({
        key: passkey.key,
        credentialId: passkey.id,
        challenge: Buffer.from(options.challenge, 'base64url'),
        rpId: options.rp.id ?? new URL(passkey.origin).hostname,
        origin: passkey.origin,
        flags: FLAGS.AT | flagsOf(passkey),
        signCount: countOf(passkey),
        aaguid: Buffer.from(passkey.aaguid.replaceAll('-', ''), 'hex'),
        ...(passkey.attestation === 'none' ? { fmt: 'none', statement: () => new Map() } : {}),
        inner: { transports: passkey.transports },
        ...wrong,
      }) as RegistrationResponseJSON
    },
    get(options, wrong = {}) {
      return testAssertion({
        key: passkey.key,
        credentialId: passkey.id,
        challenge: Buffer.from(options.challenge, 'base64url'),
        rpId: options.rpId ?? new URL(passkey.origin).hostname,
        origin: passkey.origin,
        flags: flagsOf(passkey),
        signCount: countOf(passkey),
        ...(passkey.userHandle === null ? {} : { userHandle: passkey.userHandle }),
        ...wrong,
      }) as AuthenticationResponseJSON
    },
  }
  return passkey
}

function flagsOf({ userVerified, backupEligible, backupState }: Passkey): number {
  return FLAGS.UP | (userVerified ? FLAGS.UV : 0) | (backupEligible ? FLAGS.BE : 0) | (backupState ? FLAGS.BS : 0)
}

function countOf(passkey: Passkey): number {
  if (passkey.counter === null) return 0
  passkey.counter++
  return passkey.counter
}
