/** A machine's side of its enrolment (docs/enrolment.md): two ceremonies over HTTPS, with a key that never travels. */
import { randomBytes } from 'node:crypto'
import { base64url, equalBytes, utf8 } from '../core/encoding.ts'
import { type CeremonyPurpose, ceremonyChallenge, MACHINE_ORIGIN } from '../core/protocol.ts'
import { WebAuthnClientError } from './client-error.ts'
import { type EnrolmentOffer, readEnrolled, readOffer } from './enrol-answers.ts'
import type { Enrolled } from './key-file.ts'
import { sha256 } from './sha256.ts'
import { createAssertion, createRegistration, type SigningKey } from './software-authenticator.ts'
import { callVerifier, verifierOrigin } from './verifier-call.ts'

export interface EnrolOptions {
  /** The verifier's address, `https://host[:port]`; `http://` only to this very machine. */
  url: string
  /** The one-time ticket. Secret. */
  ticket: string
  key: SigningKey
  /** What the key is called in lists: text for people. Default: the ticket's handle. */
  name?: string
  /** In place of the global fetch, for proxies and private CAs. It must not follow redirects by itself. */
  fetch?: typeof fetch
  /** For each of the three requests. Default: 15 000. */
  timeoutMs?: number
}

const credentialIdBytes = 32
const PURPOSE = { doing: 'enrolling', refused: 'enrolment_refused', failed: 'enrolment_failed' } as const

/**
 * Registers `key` at the verifier and proves its possession. What comes back belongs into the key file. A ticket is good
 * for one enrolment: when the last answer is lost, ask for a new ticket.
 * @example
 * const key = createKeyFile('orders.key')
 * completeKeyFile('orders.key', await enrolMachine({ url: 'https://verifier.example.com', ticket, key }))
 */
export async function enrolMachine(options: EnrolOptions): Promise<Enrolled> {
  const { key, ticket } = options
  const origin = verifierOrigin(options.url)
  const post = (step: string, body: object) => callVerifier(`${origin}/v1/enrol/${step}`, body, PURPOSE, options)

  const begun = readOffer(await post('begin', { ticket }))
  const { rpId, userHandle, handle, algorithms } = begun
  if (rpId === null || userHandle === null || handle === null) throw failed('the verifier left out who is being enrolled')
  if (!algorithms.includes(key.alg)) throw failed('the verifier does not accept keys of this algorithm')
  const credentialId = base64url(randomBytes(credentialIdBytes))
  const ceremony = { rpId, origin: MACHINE_ORIGIN, credentialId, userHandle }
  const registration = createRegistration(key, {
    ...ceremony,
    challenge: expectedChallenge(begun, { purpose: 'enrol', origin, subject: base64url(sha256(utf8(ticket))) }),
  })
  const name = options.name ?? handle
  const registered = readOffer(await post('register', { ticket, ceremony: begun.ceremony, name, response: registration }))
  const assertion = createAssertion(key, {
    ...ceremony,
    signCount: 0,
    challenge: expectedChallenge(registered, { purpose: 'enrol-possession', origin, subject: credentialId }),
  })
  const enrolled = readEnrolled(await post('activate', { ticket, ceremony: registered.ceremony, response: assertion }))
  if (
    enrolled.credentialId !== credentialId ||
    enrolled.rpId !== rpId ||
    enrolled.userHandle !== userHandle ||
    enrolled.handle !== handle
  ) {
    throw failed('the verifier enrolled something else than it was asked to')
  }
  return enrolled
}

/**
 * The challenge, computed from what we dialled and not taken from the answer: a machine in the middle that passes on
 * another verifier's challenge gets no signature.
 */
function expectedChallenge(offer: EnrolmentOffer, about: { purpose: CeremonyPurpose; origin: string; subject: string }): Uint8Array {
  const challenge = ceremonyChallenge(sha256, { ...about, issued: offer.issued })
  if (!equalBytes(challenge, offer.challenge)) {
    throw failed("the challenge is not for this verifier's address and this enrolment; nothing was signed")
  }
  return challenge
}

function failed(what: string): WebAuthnClientError {
  return new WebAuthnClientError('enrolment_failed', `enrolling: ${what}`)
}
