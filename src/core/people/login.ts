/**
 * Signing in, the judgements: which cookies, logins and redirects are good. Pure; the steps themselves are in
 * login-steps.ts, the wire in src/http.
 */
import { base64url, fromBase64url, lengthPrefixed, utf8 } from '../encoding.ts'
import type { Handle } from '../identifiers.ts'
import type { IdpRequestRecord, LoginRecord } from '../records.ts'
import { accepted, type Judged, loginRefused } from '../refusal.ts'
import { sha256 } from '../sha256.ts'
import { type IdpSecrets, loginSeconds } from './people.ts'

/** How long a person may take at the identity provider. */
export const idpRequestSeconds = 10 * 60
/** Random bytes of each cookie; its text is unpadded base64url. */
export const cookieBytes = 32
const cookieChars = 43

/** The text of a new cookie. Secret: it is stored nowhere, only what is derived of it. */
export function cookieText(random: Uint8Array): string {
  if (random.length !== cookieBytes) throw new Error('making a cookie: not 32 random bytes')
  return base64url(random)
}

/** The id of the login that this cookie is for: its SHA-256, unpadded base64url. Null for none, and for what was never a cookie of ours. */
export function loginIdOf(cookie: string | null): string | null {
  return cookie === null || cookieValue(cookie) === null ? null : digest(cookie)
}

/** What a redirect carries, derived of the browser's cookie by one-way functions: none of the three tells another. Null: no cookie of ours. */
export function idpSecretsOf(cookie: string): IdpSecrets | null {
  const value = cookieValue(cookie)
  if (value === null) return null
  const derived = (label: string) => base64url(sha256(lengthPrefixed(`nats-webauthn/${label}/v1`, value)))
  return { state: derived('idp-state'), nonce: derived('idp-nonce'), codeVerifier: derived('idp-code-verifier') }
}

/** The id of the redirect with this OAuth `state`. */
export function idpRequestId(state: string): string {
  return digest(state)
}

/** The `state` of a callback: there is one, and it could be ours. */
export function stateOf(query: URLSearchParams): string | null {
  const [state, ...more] = query.getAll('state')
  return state === undefined || more.length > 0 || cookieValue(state) === null ? null : state
}

/** Whether the browser that came back is the one that was sent away, once, and in time. `cookie`: what that browser holds. */
export function judgeIdpRequest(
  request: IdpRequestRecord | null,
  { cookie, now }: { cookie: string | null; now: Date },
): Judged<IdpSecrets> {
  if (request === null) return loginRefused('request_unknown')
  if (request.state === 'used') return loginRefused('request_used')
  if (request.expiresAt <= now.getTime()) return loginRefused('request_expired')
  // Login forgery: somebody else's callback in this browser would sign its person in as somebody else.
  const secrets = cookie === null ? null : idpSecretsOf(cookie)
  if (secrets === null || idpRequestId(secrets.state) !== request.id) return loginRefused('request_mismatch')
  return accepted(secrets)
}

/** Whether the login is in force at `now`. */
export function judgeLogin(login: LoginRecord | null, now: Date): Judged<LoginRecord> {
  if (login === null) return loginRefused('login_unknown')
  if (login.state === 'ended') return loginRefused('login_ended')
  if (login.expiresAt <= now.getTime()) return loginRefused('login_expired')
  return accepted(login)
}

/** A login that is not stored yet. */
export function newLogin(
  id: string,
  about: Pick<LoginRecord, 'how' | 'provider' | 'ticket' | 'authenticatedAt' | 'tapped'> & { handle: Handle },
  now: Date,
): LoginRecord {
  const { how, handle, provider, ticket, authenticatedAt, tapped } = about
  return {
    v: 1,
    id,
    how,
    handle,
    provider,
    ticket,
    authenticatedAt,
    tapped,
    createdAt: now.getTime(),
    expiresAt: now.getTime() + loginSeconds * 1000,
    state: 'active',
  }
}

function cookieValue(text: string): Uint8Array | null {
  if (text.length !== cookieChars) return null
  return fromBase64url(text)
}

function digest(text: string): string {
  return base64url(sha256(utf8(text)))
}
