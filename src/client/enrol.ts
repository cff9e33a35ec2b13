/** A machine's side of its enrolment (docs/enrolment.md): two ceremonies over HTTPS, with a key that never travels. */
import { randomBytes } from 'node:crypto'
import { base64url, equalBytes, fromUtf8, utf8 } from '../core/encoding.ts'
import { type CeremonyPurpose, ceremonyChallenge, MACHINE_ORIGIN } from '../core/protocol.ts'
import { WebAuthnClientError } from './client-error.ts'
import { type EnrolmentOffer, readEnrolled, readOffer } from './enrol-answers.ts'
import type { Enrolled } from './key-file.ts'
import { sha256 } from './sha256.ts'
import { createAssertion, createRegistration, type SigningKey } from './software-authenticator.ts'

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
const responseBytesMax = 64 * 1024
const requestMsDefault = 15_000

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
  const post = (step: string, body: object) => request(`${origin}/v1/enrol/${step}`, body, options)

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

/** The origin that is dialled, which the challenges are bound to. */
function verifierOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '' || url.pathname !== '/') {
    throw new WebAuthnClientError('url_invalid', "reading the verifier's address: it must be https://host or https://host:port")
  }
  const isLoopback = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(url.hostname)
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return url.origin
  throw new WebAuthnClientError('url_invalid', "reading the verifier's address: a ticket is sent over https:// only, or to this machine")
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

async function request(url: string, body: object, options: EnrolOptions): Promise<unknown> {
  let response: Response
  let bytes: Uint8Array | null
  try {
    response = await (options.fetch ?? fetch)(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.timeout(options.timeoutMs ?? requestMsDefault),
    })
    bytes = await readAtMost(response, responseBytesMax)
  } catch (cause) {
    // Only its code: what fetch and its agents put into the text of their errors is not ours to vouch for.
    throw failed(`no answer from the verifier, or a redirect${codeOf(cause)}`)
  }
  const text = bytes === null ? null : fromUtf8(bytes)
  const value = text === null ? undefined : parseJson(text)
  if (response.status === 200) {
    if (value === undefined) throw failed("the verifier's answer is not JSON of a reasonable size")
    return value
  }
  throw new WebAuthnClientError('enrolment_refused', `enrolling: the verifier answered ${response.status} ${refusalCode(value)}`)
}

/** ` (ECONNREFUSED)` and the like: which of the many ways not to answer it was. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,63}$/.test(code) ? ` (${code})` : ''
}

async function readAtMost(response: Response, bytesMax: number): Promise<Uint8Array | null> {
  if (response.body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    // Leaving the loop cancels the body.
    if (size > bytesMax) return null
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// Codes alone are repeated, by their pattern: the rest of an answer is a stranger's text.
function refusalCode(value: unknown): string {
  const error = memberOf(value, 'error')
  const words = [memberOf(error, 'code'), memberOf(error, 'check')].filter(
    (word) => typeof word === 'string' && /^[a-z_]{1,40}$/.test(word),
  )
  return words.length === 0 ? 'without a code' : words.join('/')
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined
}

function failed(what: string): WebAuthnClientError {
  return new WebAuthnClientError('enrolment_failed', `enrolling: ${what}`)
}
