/** Authorization requests as nats-server sends them, really signed, with any claim replaced. */
import { type KeyObject, randomBytes, sign } from 'node:crypto'
import { ed25519PrivateKey, ed25519RawPublic } from '../../src/core/ed25519.ts'
import { encodePublicNkey, type NkeyKind } from '../../src/core/nkey.ts'
import { b64u } from './test-authenticator.ts'

export interface TestNkey {
  publicKey: string
  privateKey: KeyObject
  sign(bytes: Uint8Array): Uint8Array
}

/** A fresh nkey of `kind`, or the one of `seed` (32 bytes). */
export function testNkey(kind: NkeyKind, seed?: Uint8Array): TestNkey {
  const privateKey = ed25519PrivateKey(seed ?? randomBytes(32))
  return {
    publicKey: encodePublicNkey(kind, ed25519RawPublic(privateKey)),
    privateKey,
    sign: (bytes) => sign(null, bytes, privateKey),
  }
}

export interface RequestInput {
  server: TestNkey
  userNkey: string
  /** Epoch seconds. */
  now: number
  nonce?: string
  sig?: string
  nkey?: string
  /** Merged over the claims, member by member; undefined removes one. */
  claims?: Record<string, unknown>
  client?: Record<string, unknown>
  serverInfo?: Record<string, unknown>
  connect?: Record<string, unknown>
  tls?: boolean
  /** Signs with another key than the issuer's. */
  signer?: TestNkey
  header?: Record<string, unknown>
}

/** The claims of a request from `server` about a NATS client on loopback. */
export function requestClaims(input: RequestInput): Record<string, unknown> {
  const { server, userNkey, now, nonce, sig, nkey } = input
  return {
    jti: 'TEST',
    iat: now,
    exp: now + 5,
    iss: server.publicKey,
    aud: 'nats-authorization-request',
    sub: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    nats: {
      server_id: { name: 'nats-1', host: '127.0.0.1', id: server.publicKey, version: '2.15.1', ...input.serverInfo },
      user_nkey: userNkey,
      client_info: { host: '127.0.0.1', id: 7, user: '', name_tag: '', kind: 'Client', type: 'nats', nonce, ...input.client },
      connect_opts: { sig, nkey, lang: 'node', version: '2.29.3', protocol: 1, ...input.connect },
      ...(input.tls ? { client_tls: { version: '1.3', cipher: 'TLS_AES_128_GCM_SHA256' } } : {}),
      type: 'authorization_request',
      version: 2,
    },
    ...input.claims,
  }
}

/** A request token. */
export function requestToken(input: RequestInput): string {
  const header = input.header ?? { typ: 'JWT', alg: 'ed25519-nkey' }
  const signed = `${b64u(JSON.stringify(header))}.${b64u(JSON.stringify(requestClaims(input)))}`
  return `${signed}.${b64u((input.signer ?? input.server).sign(Buffer.from(signed)))}`
}
