/** Who may read /metrics: one of four modes, none of them implied. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import { basicVerifier, parseUsers } from './basic-verifier.ts'
import { OperationsConfigError, secretFile } from './secret-file.ts'

export type MetricsAuth =
  /** `usersFile`: lines `name:bcrypt-hash`, as `htpasswd -B` writes them. */
  | { mode: 'basic'; usersFile: string }
  /** `tokenFile`: one token a line; two while rotating. */
  | { mode: 'bearer'; tokenFile: string }
  /** Certificates of `clientCaFile`; with `allowedSans`, only those that carry one of these names. */
  | { mode: 'mtls'; clientCaFile: string; allowedSans: readonly string[] | null }
  | { mode: 'none' }

/** What the listener answers with: 401 and 403 are refusals, 503 means that the secrets cannot be read, 429 too many guesses. */
export type AuthAnswer = { allowed: true } | { allowed: false; status: 401 | 403 | 429 | 503; challenge: string | null; cause?: unknown }

export interface Authenticator {
  check(request: IncomingMessage): Promise<AuthAnswer>
}

const allowed: AuthAnswer = { allowed: true }
const tokenCharsMin = 16
const tokensMax = 2

/** Reads the files once, so that a start with unusable ones fails. Throws OperationsConfigError. */
export async function createAuthenticator(auth: MetricsAuth | undefined): Promise<Authenticator> {
  switch (auth?.mode) {
    case 'none':
      return { check: async () => allowed }
    case 'mtls':
      return { check: async (request) => checkCertificate(request, auth.allowedSans) }
    case 'bearer':
      return bearer(auth.tokenFile)
    case 'basic':
      return basic(auth.usersFile)
    default:
      throw new OperationsConfigError('operations.auth is missing: write basic, bearer, mtls or none')
  }
}

async function bearer(tokenFile: string): Promise<Authenticator> {
  const file = secretFile(tokenFile, parseTokens)
  await file.current().catch(refuseStart)
  const challenge = 'Bearer realm="metrics"'
  return {
    async check(request) {
      let digests: Buffer[]
      try {
        digests = await file.current()
      } catch (cause) {
        return { allowed: false, status: 503, challenge: null, cause }
      }
      const token = credentials(request, 'bearer')
      if (token === null) return { allowed: false, status: 401, challenge }
      const offered = sha256(token)
      // Every token is compared, so that the time tells neither which one matched nor how far.
      const matches = digests.map((digest) => timingSafeEqual(digest, offered))
      return matches.includes(true) ? allowed : { allowed: false, status: 401, challenge: `${challenge}, error="invalid_token"` }
    },
  }
}

/** SHA-256 digests of the tokens in a token file. */
function parseTokens(text: string): Buffer[] {
  const tokens = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (tokens.length === 0 || tokens.length > tokensMax) throw new Error(`${tokens.length} tokens: one, or two while rotating`)
  for (const [i, token] of tokens.entries()) {
    // RFC 6750 §2.1, b64token.
    if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) throw new Error(`token ${i + 1} has characters that a bearer token cannot have`)
    if (token.length < tokenCharsMin) throw new Error(`token ${i + 1} is shorter than ${tokenCharsMin} characters`)
  }
  return tokens.map(sha256)
}

async function basic(usersFile: string): Promise<Authenticator> {
  const file = secretFile(usersFile, parseUsers)
  await file.current().catch(refuseStart)
  const verifier = basicVerifier()
  const challenge = 'Basic realm="metrics", charset="UTF-8"'
  return {
    async check(request) {
      try {
        const users = await file.current()
        const encoded = credentials(request, 'basic')
        if (encoded === null) return { allowed: false, status: 401, challenge }
        const answer = await verifier.verify(users, Buffer.from(encoded, 'base64').toString('utf8'))
        if (answer === 'busy') return { allowed: false, status: 429, challenge: null }
        return answer === 'valid' ? allowed : { allowed: false, status: 401, challenge }
      } catch (cause) {
        return { allowed: false, status: 503, challenge: null, cause }
      }
    },
  }
}

// The handshake has checked the chain; what is left is whose certificate it is.
function checkCertificate(request: IncomingMessage, allowedSans: readonly string[] | null): AuthAnswer {
  const refused: AuthAnswer = { allowed: false, status: 403, challenge: null }
  if (!(request.socket instanceof TLSSocket) || !request.socket.authorized) return refused
  if (allowedSans === null) return allowed
  const names = subjectAltNames(request.socket.getPeerCertificate().subjectaltname ?? '')
  return allowedSans.some((san) => names.includes(san)) ? allowed : refused
}

/**
 * Names in Node's rendering of the extension, `DNS:a, IP Address:b, URI:c, email:d`. A name that needs quoting, because
 * it could pass for several, is left out.
 */
function subjectAltNames(rendered: string): string[] {
  if (rendered.includes('"')) return []
  return rendered
    .split(', ')
    .map((name) => /^(?:DNS|IP Address|URI|email):(.+)$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
}

/** What follows the scheme in the one Authorization header, or null. */
function credentials(request: IncomingMessage, scheme: 'basic' | 'bearer'): string | null {
  const match = /^([A-Za-z]+) +(\S+) *$/.exec(request.headers.authorization ?? '')
  return match?.[1]?.toLowerCase() === scheme ? (match[2] as string) : null
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function refuseStart(cause: unknown): never {
  throw new OperationsConfigError((cause as Error).message, { cause })
}
