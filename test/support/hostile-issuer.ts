/** A small OpenID provider that can be wrong in every way: its answers and its tokens are what a test says. */
import { createHmac, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { CompactSign, type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK } from 'jose'
import { SECRETS } from './idp-case.ts'

export interface IssuerKey {
  kid: string
  alg: string
  privateKey: CryptoKey | KeyObject
  publicKey: CryptoKey
  /** As published. */
  jwk: JWK
}

export interface SeenRequest {
  path: string
  headers: IncomingMessage['headers']
  body: URLSearchParams
}

export type Answer = (response: ServerResponse, request: SeenRequest) => void

export interface HostileIssuer {
  /** `http://localhost:PORT`. */
  issuer: string
  key: IssuerKey
  /** The key set as published; tests change it. */
  published: JWK[]
  /** Metadata in place of, or beside, the right one. */
  metadata: Record<string, unknown>
  /** What the token endpoint gives; changed by tests. */
  tokens: Record<string, unknown>
  /** What userinfo gives. */
  userinfo: Record<string, unknown>
  /** In place of the right answer, by path: `/.well-known/openid-configuration`, `/jwks`, `/token`, `/me`. */
  answers: Map<string, Answer>
  seen: SeenRequest[]
  count(path: string): number
  /** Claims that are right for SECRETS at `now`, with `changes`; a change to undefined leaves a claim out. */
  claims(changes?: Record<string, unknown>, now?: Date): Record<string, unknown>
  /** A token by its key; `header` beside alg and kid. */
  sign(claims: Record<string, unknown>, options?: { key?: IssuerKey; header?: Record<string, unknown> }): Promise<string>
  stop(): Promise<void>
}

export async function newIssuerKey(alg = 'RS256', kid = 'key-1'): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export async function startHostileIssuer(): Promise<HostileIssuer> {
  const answers = new Map<string, Answer>()
  const seen: SeenRequest[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const body = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
      const asked: SeenRequest = { path: new URL(request.url ?? '/', 'http://localhost').pathname, headers: request.headers, body }
      seen.push(asked)
      const answer = answers.get(asked.path) ?? standard.get(asked.path)
      if (answer === undefined) response.writeHead(404).end()
      else answer(response, asked)
    })()
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('listening as an issuer')
  const issuer = `http://localhost:${address.port}`
  const key = await newIssuerKey()
  const standard = new Map<string, Answer>([
    ['/.well-known/openid-configuration', (response) => json(response, { ...metadataOf(issuer), ...hostile.metadata })],
    ['/jwks', (response) => json(response, { keys: hostile.published })],
    ['/token', (response) => json(response, hostile.tokens)],
    ['/me', (response) => json(response, hostile.userinfo)],
  ])
  const hostile: HostileIssuer = {
    issuer,
    key,
    published: [key.jwk],
    metadata: {},
    tokens: {},
    userinfo: {},
    answers,
    seen,
    count: (path) => seen.filter((request) => request.path === path).length,
    claims: (changes = {}, now = new Date()) => rightClaims(issuer, changes, now),
    sign: (claims, options = {}) => signToken(claims, { key, ...options }),
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return hostile
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function metadataOf(issuer: string): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/me`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    authorization_response_iss_parameter_supported: true,
  }
}

function rightClaims(issuer: string, changes: Record<string, unknown>, now: Date): Record<string, unknown> {
  const seconds = Math.floor(now.getTime() / 1000)
  const claims = { iss: issuer, sub: 'person-1', aud: 'nats', exp: seconds + 300, iat: seconds, nonce: SECRETS.nonce, ...changes }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

async function signToken(
  claims: Record<string, unknown>,
  { key, header = {} }: { key: IssuerKey; header?: Record<string, unknown> },
): Promise<string> {
  const { alg, kid, privateKey } = key
  return new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg, kid, ...header }).sign(privateKey)
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** `alg: none`, in the spelling of the attack. */
export function unsignedToken(claims: Record<string, unknown>, alg = 'none'): string {
  return `${part({ alg })}.${part(claims)}.`
}

/** HS256 with the provider's public key, which everybody knows, as the shared secret. */
export async function confusedToken(claims: Record<string, unknown>, key: IssuerKey): Promise<string> {
  const text = `${part({ alg: 'HS256', kid: key.kid })}.${part(claims)}`
  return `${text}.${createHmac('sha256', await exportSPKI(key.publicKey))
    .update(text)
    .digest('base64url')}`
}
