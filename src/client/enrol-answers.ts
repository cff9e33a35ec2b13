/** The verifier's answers to an enrolling machine, read member by member: they come from the network. */
import { answerReader, PATTERNS } from './answer-members.ts'
import { WebAuthnClientError } from './client-error.ts'
import type { Enrolled } from './key-file.ts'

/** A ceremony to answer. What only the first of them says is null, or empty, in the second. */
export interface EnrolmentOffer {
  ceremony: string
  /** 32 bytes. */
  issued: Uint8Array
  challenge: Uint8Array
  rpId: string | null
  userHandle: string | null
  handle: string | null
  /** COSE algorithm identifiers. */
  algorithms: number[]
}

const RP_ID = /^[a-z0-9.-]{1,253}$/
const USER_HANDLE = /^[A-Za-z0-9_-]{2,86}$/
const { objectOf, listOf, textOf, bytesOf } = answerReader(unexpected)

/** The answer to `begin` or `register`. */
export function readOffer(value: unknown): EnrolmentOffer {
  const answer = objectOf(value, 'the answer')
  const options = objectOf(answer['options'], 'options')
  const issued = bytesOf(answer['issued'], 'issued')
  if (issued.length !== 32) throw unexpected('issued')
  const offer = {
    ceremony: textOf(answer['ceremony'], 'ceremony', PATTERNS.id),
    issued,
    challenge: bytesOf(options['challenge'], 'options.challenge'),
  }
  if (options['rp'] === undefined) return { ...offer, rpId: null, userHandle: null, handle: null, algorithms: [] }
  const user = objectOf(options['user'], 'options.user')
  return {
    ...offer,
    rpId: textOf(objectOf(options['rp'], 'options.rp')['id'], 'options.rp.id', RP_ID),
    userHandle: textOf(user['id'], 'options.user.id', USER_HANDLE),
    handle: textOf(answer['handle'], 'handle', PATTERNS.handle),
    algorithms: listOf(options['pubKeyCredParams'], 'options.pubKeyCredParams').map((entry) => {
      const { alg } = objectOf(entry, 'options.pubKeyCredParams') as { alg?: unknown }
      if (typeof alg !== 'number') throw unexpected('options.pubKeyCredParams')
      return alg
    }),
  }
}

/** The answer to `activate`. */
export function readEnrolled(value: unknown): Enrolled {
  const answer = objectOf(value, 'the answer')
  const credential = objectOf(answer['credential'], 'credential')
  return {
    credentialId: textOf(credential['id'], 'credential.id', /^[A-Za-z0-9_-]{2,1364}$/),
    rpId: textOf(credential['rpId'], 'credential.rpId', RP_ID),
    userHandle: textOf(credential['userHandle'], 'credential.userHandle', USER_HANDLE),
    handle: textOf(credential['handle'], 'credential.handle', PATTERNS.handle),
    urls: listOf(answer['urls'], 'urls').map((url) => textOf(url, 'urls', PATTERNS.url)),
    inboxPrefix: textOf(answer['inboxPrefix'], 'inboxPrefix', PATTERNS.inboxPrefix),
    roles: listOf(credential['roles'], 'credential.roles').map((role) => textOf(role, 'credential.roles', PATTERNS.role)),
  }
}

function unexpected(name: string): WebAuthnClientError {
  return new WebAuthnClientError('enrolment_failed', `enrolling: ${name} in the verifier's answer is not as expected`)
}
