/** What a terminal asks a person to endorse: how it is named, when it may go on, and what is shown of it (docs/login.md). */
import { opensslEd25519 } from '../ed25519.ts'
import { base64url, fromBase64url, lengthPrefixed } from '../encoding.ts'
import { issuedBytes } from '../enrolment/ceremony.ts'
import type { UserNkey } from '../identifiers.ts'
import { nkeySignatures } from '../nkey-signatures.ts'
import { CODE_LETTERS, ceremonyChallenge, possessionMessage, sessionCheckCode, sessionSubject } from '../protocol.ts'
import type { SessionRecord, SessionRequestRecord } from '../records.ts'
import { accepted, type Judged, sessionRefused } from '../refusal.ts'
import { safeText } from '../safe-text.ts'
import { sha256 } from '../sha256.ts'
import { type EndorsedSession, type SessionRequestView, sessionRequestSeconds } from './people.ts'
import type { Endorsement } from './session-endorsement.ts'

const codeLetters = 8
const hostCharsMax = 64
const requestIdBytes = 32
const requestIdChars = 43
// 120 bits.
const nameTagChars = 20
const completionBytes = 32
const LETTERS = new RegExp(`^[${CODE_LETTERS}]{${codeLetters}}$`)

type Random = (bytes: number) => Uint8Array

/** A fresh code that a person types, `XXXX-XXXX`: 34 bits, for ten minutes, behind a login and a rate limit. */
export function newCode(random: Random): string {
  let letters = ''
  // Bytes past the last whole multiple are thrown away, so that every letter is as likely.
  const fair = 256 - (256 % CODE_LETTERS.length)
  while (letters.length < codeLetters) {
    for (const byte of random(codeLetters))
      if (byte < fair && letters.length < codeLetters) letters += CODE_LETTERS[byte % CODE_LETTERS.length]
  }
  return spelled(letters)
}

/** The code as it was given out, however it was typed; null when it is none. */
export function readCode(text: string): string | null {
  const letters = text.replace(/[\s-]/g, '').toUpperCase()
  return LETTERS.test(letters) ? spelled(letters) : null
}

function spelled(letters: string): string {
  return `${letters.slice(0, 4)}-${letters.slice(4)}`
}

/** Id of the request that goes by `code`: what is stored does not tell the code at a glance. */
export function requestIdOfCode(code: string): string {
  return base64url(sha256(lengthPrefixed('nats-webauthn/login-code/v1', code)))
}

/** Id of a request that goes by a link. */
export function newRequestId(random: Random): string {
  return base64url(random(requestIdBytes))
}

/**
 * What terminal and page call the request by. Where it is kept follows from the code, so by code its name has more: letters that
 * only who was told the name can know, and a guess at the code can be tried nowhere but where codes are counted.
 */
export function requestName({ id, flow, issued }: Pick<SessionRequestRecord, 'id' | 'flow' | 'issued'>): string {
  if (flow === 'loopback') return id
  return id + base64url(sha256(lengthPrefixed('nats-webauthn/request-name/v1', issued))).slice(0, nameTagChars)
}

/** Where the request of this name is kept, if there is one. */
export function requestIdOfName(name: string): string {
  return name.slice(0, requestIdChars)
}

/** A code for the browser to hand to the terminal's listener. */
export function newCompletion(random: Random): string {
  return base64url(random(completionBytes))
}

/** What is stored of a completion code. */
export function completionHash(code: string): string {
  return base64url(sha256(lengthPrefixed('nats-webauthn/completion/v1', code)))
}

/** A request that was not possessed yet. */
export function newSessionRequest(
  id: string,
  about: { nkey: UserNkey; flow: SessionRequestRecord['flow']; host: string; port: number | null },
  { now, random }: { now: Date; random: Random },
): SessionRequestRecord {
  const createdAt = now.getTime()
  return {
    v: 1,
    id,
    flow: about.flow,
    nkey: about.nkey,
    issued: base64url(random(issuedBytes)),
    host: safeText(about.host, hostCharsMax),
    port: about.port,
    createdAt,
    expiresAt: createdAt + sessionRequestSeconds * 1000,
    state: 'asked',
    handle: null,
    credential: null,
    completion: null,
  }
}

/** The request, if it is in the state from which a step goes on. */
export function judgeSessionRequest(
  request: SessionRequestRecord | null,
  wanted: SessionRequestRecord['state'],
  now: Date,
): Judged<SessionRequestRecord> {
  if (request === null) return sessionRefused('request_unknown')
  if (request.expiresAt <= now.getTime()) return sessionRefused('request_expired')
  if (request.state === wanted) return accepted(request)
  if (request.state === 'refused') return sessionRefused('refused_by_person')
  // Before its nkey has signed, nobody is shown a request, or told that it is there.
  return request.state === 'asked' ? sessionRefused('request_unknown', 'not_possessed') : sessionRefused('request_used')
}

/** The challenge (32 bytes) of the tap, and what the nkey signs of it: both name the nkey and that it is for stock clients. */
export function challengeOfRequest({ issued, nkey }: Pick<SessionRequestRecord, 'issued' | 'nkey'>, origin: string): Uint8Array {
  const bytes = fromBase64url(issued)
  if (bytes?.length !== issuedBytes) throw new Error('reading a session request: not 32 issued bytes')
  return ceremonyChallenge(sha256, { purpose: 'session', issued: bytes, origin, subject: sessionSubject(nkey, 'plain') })
}

// Somebody types a code or clicks for each of these: there is nothing to be gained by another implementation.
const signatures = nkeySignatures(opensslEd25519)

/** Whether `nkey` signed this challenge: it is in the terminal's hands. `signature`: unpadded base64url. */
export function provesPossession(nkey: UserNkey, challenge: Uint8Array, signature: string): boolean {
  const bytes = fromBase64url(signature)
  return bytes !== null && signatures.byUser(nkey, possessionMessage(sha256, challenge), bytes)
}

/** What the page shows before the tap. `typed`: the code by which the request was found, or null. */
export function viewSessionRequest(request: SessionRequestRecord, typed: string | null, endorsement: Endorsement): SessionRequestView {
  const { id, flow, host, nkey, createdAt, expiresAt } = request
  return {
    request: requestName(request),
    code: typed ?? sessionCheckCode(sha256, { request: id, nkey }),
    flow,
    host,
    nkey,
    createdAt,
    expiresAt,
    lifetimeSeconds: endorsement.seconds,
    roles: endorsement.roles,
    account: endorsement.accounts.join(', '),
  }
}

/** Where the browser goes after the tap: the listener of the terminal, on the browser's own machine. */
export function callbackUrl({ id, port }: SessionRequestRecord, completion: string): string {
  if (port === null) throw new Error('making the callback of a session request: it has no port')
  return `http://127.0.0.1:${port}/callback?${new URLSearchParams({ request: id, code: completion }).toString()}`
}

/** What the terminal is told of a session in force. */
export function endorsedSession(session: SessionRecord, roles: readonly string[], urls: readonly string[]): EndorsedSession {
  const { handle, nkey, expiresAt } = session
  return { handle, nkey, roles: [...roles], urls: [...urls], inboxPrefix: `_INBOX_${handle}`, expiresAt }
}
