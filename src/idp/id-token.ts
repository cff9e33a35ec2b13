/**
 * The ID token, checked in the order of OIDC Core §3.1.3.7, one refusal per step. Nothing of it is believed before its
 * signature was verified.
 */
import { type CryptoKey, compactVerify, errors } from 'jose'
import { fromUtf8 } from '../core/encoding.ts'
import { freshSeconds } from '../core/people/people.ts'
import { accepted, type Judged, loginRefused } from '../core/refusal.ts'
import { parseStrictJson } from '../core/strict-json.ts'
import { ID_TOKEN_ALGORITHMS } from './provider-keys.ts'

export interface ExpectedToken {
  issuer: string
  clientId: string
  nonce: string
  /** The person was asked to authenticate again. */
  fresh: boolean
  acrValues: readonly string[]
  amr: readonly string[]
  leewaySeconds: number
  now: Date
}

export interface CheckedToken {
  subject: string
  /** Epoch milliseconds, or null when the provider does not say. */
  authenticatedAt: number | null
  claims: Readonly<Record<string, unknown>>
}

const tokenCharsMax = 64 * 1024
const depthMax = 16
const kidCharsMax = 512
const subjectCharsMax = 255

type Members = Readonly<Record<string, unknown>>

/** `findKeys` throws when the provider does not answer; that is the caller's to say. */
export async function checkIdToken(
  token: unknown,
  expected: ExpectedToken,
  findKeys: (header: { alg: string; kid: string | null }) => Promise<CryptoKey[]>,
): Promise<Judged<CheckedToken>> {
  const parsed = parseToken(token)
  if (!parsed.ok) return parsed
  const { text, header, claims } = parsed.value
  const signed = await checkSignature(text, header, findKeys)
  if (!signed.ok) return signed
  const party = checkParties(claims, expected)
  if (!party.ok) return party
  const timed = checkTimes(claims, expected)
  if (!timed.ok) return timed
  // Step 11: the token belongs to this redirect.
  if (claims['nonce'] !== expected.nonce) return loginRefused('nonce_mismatch')
  const authenticated = checkAuthentication(claims, expected)
  if (!authenticated.ok) return authenticated
  const subject = claims['sub']
  // §2: at most 255 ASCII characters.
  if (typeof subject !== 'string' || subject.length > subjectCharsMax || !/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(subject))
    return loginRefused('subject_malformed')
  return accepted({ subject, authenticatedAt: authenticated.value, claims })
}

function parseToken(token: unknown): Judged<{ text: string; header: Members; claims: Members }> {
  if (typeof token !== 'string') return loginRefused('token_malformed', 'missing')
  if (token.length > tokenCharsMax) return loginRefused('token_malformed', 'size')
  // RFC 7515 §3.1, unpadded base64url. An unsecured JWT has an empty third part: it is refused for its algorithm.
  const parts = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/.exec(token)
  if (parts === null) return loginRefused('token_malformed', 'form')
  const header = members(parts[1])
  if (header === null) return loginRefused('token_malformed', 'header')
  const claims = members(parts[2])
  if (claims === null) return loginRefused('token_malformed', 'claims')
  return accepted({ text: token, header, claims })
}

function members(part: string | undefined): Members | null {
  // RFC 8259 §8.1: no byte order mark; here it is a character, and no JSON.
  const text = fromUtf8(Buffer.from(part ?? '', 'base64url'))
  const value = text === null ? undefined : parseStrictJson(text, depthMax)
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value)) : null
}

async function checkSignature(
  text: string,
  header: Members,
  findKeys: (header: { alg: string; kid: string | null }) => Promise<CryptoKey[]>,
): Promise<Judged<null>> {
  const { alg, kid, typ, crit } = header
  // Steps 6 to 8: an allow-list of signatures; `none` and everything with a shared secret are not in it.
  if (typeof alg !== 'string' || !ID_TOKEN_ALGORITHMS.has(alg)) return loginRefused('algorithm_refused')
  // RFC 8725 §3.11: an access or logout token of the same provider is not an ID token.
  if (typ !== undefined && (typeof typ !== 'string' || !/^(?:application\/)?jwt$/i.test(typ))) return loginRefused('token_malformed', 'typ')
  if (crit !== undefined) return loginRefused('token_malformed', 'crit')
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > kidCharsMax)) return loginRefused('token_malformed', 'kid')
  const keys = await findKeys({ alg, kid: kid ?? null })
  if (keys.length === 0) return loginRefused('key_unknown')
  for (const key of keys) if (await verifies(text, key, alg)) return accepted(null)
  return loginRefused('signature_invalid')
}

async function verifies(text: string, key: CryptoKey, alg: string): Promise<boolean> {
  try {
    await compactVerify(text, key, { algorithms: [alg] })
    return true
  } catch (error) {
    // A TypeError says that the key is too weak for the algorithm (RFC 7518 §3.3).
    if (error instanceof errors.JOSEError || error instanceof TypeError) return false
    throw error
  }
}

function checkParties(claims: Members, { issuer, clientId }: ExpectedToken): Judged<null> {
  // Step 2.
  if (claims['iss'] !== issuer) return loginRefused('issuer_mismatch', 'token')
  // Step 3. Stricter than §3.1.3.7: no other audience is trusted, so none is accepted beside us.
  const { aud, azp } = claims
  const [audience, ...others] = Array.isArray(aud) ? aud : [aud]
  if (audience !== clientId || others.length > 0) return loginRefused('audience_mismatch')
  // Steps 4 and 5.
  if (azp !== undefined && azp !== clientId) return loginRefused('azp_mismatch')
  return accepted(null)
}

function checkTimes(claims: Members, { now, leewaySeconds }: ExpectedToken): Judged<null> {
  const { exp, iat, nbf } = claims
  if (!isTime(exp)) return loginRefused('token_malformed', 'exp')
  if (!isTime(iat)) return loginRefused('token_malformed', 'iat')
  if (nbf !== undefined && !isTime(nbf)) return loginRefused('token_malformed', 'nbf')
  const seconds = now.getTime() / 1000
  // Steps 9 and 10.
  if (exp + leewaySeconds <= seconds) return loginRefused('token_expired')
  if (iat - leewaySeconds > seconds) return loginRefused('token_not_yet_valid', 'iat')
  if (nbf !== undefined && nbf - leewaySeconds > seconds) return loginRefused('token_not_yet_valid', 'nbf')
  return accepted(null)
}

/** When the person authenticated, and how. */
function checkAuthentication(claims: Members, { fresh, acrValues, amr, leewaySeconds, now }: ExpectedToken): Judged<number | null> {
  const { auth_time: authTime, acr, amr: methods } = claims
  if (authTime !== undefined && !isTime(authTime)) return loginRefused('token_malformed', 'auth_time')
  const seconds = now.getTime() / 1000
  // Step 13.
  if (fresh && authTime === undefined) return loginRefused('auth_time_missing')
  if (authTime !== undefined && authTime - leewaySeconds > seconds) return loginRefused('token_not_yet_valid', 'auth_time')
  if (fresh && authTime !== undefined && authTime + freshSeconds + leewaySeconds < seconds) return loginRefused('auth_time_stale')
  // Step 12.
  if (acrValues.length > 0 && !(typeof acr === 'string' && acrValues.includes(acr))) return loginRefused('acr_unmet')
  if (amr.length > 0 && !(Array.isArray(methods) && amr.every((method) => methods.includes(method)))) return loginRefused('amr_unmet')
  return accepted(authTime === undefined ? null : Math.min(Math.floor(authTime * 1000), now.getTime()))
}

// Epoch seconds, with or without a fraction (RFC 7519 §2), within what a Date holds.
function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 8.64e12
}
