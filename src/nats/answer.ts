/**
 * The answer to an authorization request: a response JWT around a user JWT or a refusal, signed natively (ADR-0003)
 * and sealed when the request was (nats-io/jwt v2 `authorization_claims.go`).
 */
import { Algorithms, type AuthorizationResponse } from '@nats-io/jwt'
import type { Verdict } from '../core/audit-event.ts'
import type { AuthorizationRequest } from '../core/authorization-request.ts'
import type { Ed25519 } from '../core/ed25519.ts'
import { decodeSeed, encodePublicNkey } from '../core/nkey.ts'
import type { AnswerPort } from '../core/ports.ts'
import type { UserClaims } from '../core/user-claims.ts'
import type { Xkey } from './xkey.ts'

const HEADER = Buffer.from(JSON.stringify({ typ: 'JWT', alg: Algorithms.v2 })).toString('base64url')

export interface Issuer {
  /** `A…`, as in `auth_callout.issuer`. */
  publicKey: string
  /** A JWT of `claims`, issued and signed by this account key. Text in claims is ASCII (RFC 7519 needs no more here). */
  sign(claims: object): string
}

/** The issuing account key from its seed (`SA…`). Throws when `seed` is not one. */
export function issuerFromSeed(seed: string, ed25519: Ed25519): Issuer {
  const raw = decodeSeed('A', seed)
  if (raw === null) throw new Error('reading the issuer seed: it is not an account seed (SA…)')
  const key = ed25519.privateKey(raw)
  const publicKey = encodePublicNkey('A', key.publicKey)
  return {
    publicKey,
    sign(claims) {
      const signed = `${HEADER}.${Buffer.from(JSON.stringify({ ...claims, iss: publicKey })).toString('base64url')}`
      return `${signed}.${Buffer.from(key.sign(Buffer.from(signed, 'latin1'))).toString('base64url')}`
    },
  }
}

type Answered = Partial<Pick<AuthorizationResponse, 'jwt' | 'error'>>

/** Answers with `issuer`'s signature; `xkey` is null where requests come in plain text. */
export function createAnswer({ issuer, xkey, now }: { issuer: Issuer; xkey: Xkey | null; now: () => Date }): AnswerPort {
  function respond(request: AuthorizationRequest, answered: Answered): Uint8Array {
    const token = Buffer.from(
      issuer.sign({
        sub: request.userNkey,
        aud: request.serverId,
        iat: Math.floor(now().getTime() / 1000),
        nats: { ...answered, type: 'authorization_response', version: 2 },
      }),
      'latin1',
    )
    return xkey === null || request.sealedFor === null ? token : xkey.seal(token, request.sealedFor)
  }
  return {
    grant: (request: AuthorizationRequest, claims: UserClaims) => respond(request, { jwt: issuer.sign(claims) }),
    // The text goes to the server's log and events, never to the client.
    refuse: (request: AuthorizationRequest, verdict: Verdict) => respond(request, { error: `${verdict.outcome}: ${verdict.reason}` }),
  }
}
