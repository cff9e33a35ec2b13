/** Stage "open" under test: authorization requests with any part changed, really signed, and what openRequest says to them. */
import { randomBytes } from 'node:crypto'
import { openRequest } from '../../src/core/authorization-request.ts'
import { base64url, utf8 } from '../../src/core/encoding.ts'
import { encodePublicNkey } from '../../src/core/nkey.ts'
import type { XkeyPort } from '../../src/core/ports.ts'
import type { Rules } from '../../src/core/rules.ts'
import { requestClaims, type TestNkey, testNkey } from './authorization-request.ts'
import { testRules } from './rules.ts'
import { signatures } from './signatures.ts'

type Members = Record<string, unknown>

/** What to change, by the part of the request it is in; undefined removes a member. */
export interface Changes {
  header?: Members
  body?: Members
  nats?: Members
  server?: Members
  client?: Members
  connect?: Members
  signer?: TestNkey
}

export const server = testNkey('N')
export const stranger = testNkey('N')
export const userNkey = testNkey('U').publicKey
export const serverXkey = encodePublicNkey('X', randomBytes(32))
export const now = new Date('2026-11-22T10:00:00Z')
export const seconds = now.getTime() / 1000

const rules = testRules({ algorithms: [-7] })

/** The claims of a good request about a client at 192.0.2.7, changed. */
export function bodyOf({ body, nats, server: serverInfo, client, connect }: Changes = {}): Members {
  const claims = requestClaims({
    server,
    userNkey,
    now: seconds,
    nonce: 'O2VRyWtLHNKhBnU',
    sig: 'x',
    nkey: '',
    serverInfo: { cluster: 'c1', xkey: serverXkey, ...serverInfo },
    client: { host: '192.0.2.7', id: 42, ...client },
    connect: { name: 'orders', ...connect },
  })
  return { ...claims, ...body, nats: { ...(claims['nats'] as Members), ...nats } }
}

/** A token of exactly this header and body. */
export function signText(header: string, body: string, signer: TestNkey = server): string {
  const signed = `${base64url(utf8(header))}.${base64url(utf8(body))}`
  return `${signed}.${base64url(signer.sign(utf8(signed)))}`
}

/** A good request, changed. */
export function jwt(changes: Changes = {}): string {
  const header = { typ: 'JWT', alg: 'ed25519-nkey', ...changes.header }
  return signText(JSON.stringify(header), JSON.stringify(bodyOf(changes)), changes.signer)
}

/** openRequest, on a verifier without xkey unless one is given. */
export function open(
  token: string | Uint8Array,
  options: { rules?: Partial<Rules>; now?: Date; xkey?: XkeyPort | null; serverXkey?: string } = {},
): ReturnType<typeof openRequest> {
  const payload = typeof token === 'string' ? utf8(token) : token
  return openRequest(
    { payload, serverXkey: options.serverXkey ?? '' },
    { rules: { ...rules, ...options.rules }, xkey: options.xkey ?? null, signatures, now: options.now ?? now },
  )
}

/** The denial, or `accepted`. */
export function reason(result: ReturnType<typeof open>): string {
  return result.ok ? 'accepted' : result.denial
}
