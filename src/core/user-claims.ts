/** The claims of the user JWT that admits one connection (nats-io/jwt v2 `user_claims.go`; docs/protocol.md). */
import type { AccountName, Handle, LegacyName, UserNkey } from './identifiers.ts'
import type { Permissions } from './policy/policy.ts'

/** Times in epoch seconds. The issuer and the signature are the answering edge's. */
export interface UserClaims {
  sub: UserNkey
  /** Config mode: the target account's name. */
  aud: AccountName
  name: Handle | LegacyName
  /** The audit record's id, so that a JWT leads to the verdict it came from. */
  jti: string
  iat: number
  exp: number
  nats: {
    type: 'user'
    version: 2
    pub: { allow?: string[]; deny?: string[] }
    sub: { allow?: string[]; deny?: string[] }
    resp?: { max: number; ttl: number }
    subs: -1
    data: -1
    payload: -1
  }
}

// An absent or empty list would mean "everything" to nats-server, so a side without allows denies everything instead.
function side(rules: { allow: string[]; deny: string[] }): { allow?: string[]; deny?: string[] } {
  if (rules.allow.length === 0) return { deny: ['>'] }
  return rules.deny.length === 0 ? { allow: rules.allow } : { allow: rules.allow, deny: rules.deny }
}

/** Builds the claims; `nats.resp.ttl` is in nanoseconds, as nats-server reads it. */
export function userClaims(user: {
  userNkey: UserNkey
  account: AccountName
  handle: Handle | LegacyName
  id: string
  iat: number
  exp: number
  permissions: Permissions
}): UserClaims {
  const { permissions } = user
  const responses = permissions.responses
  return {
    sub: user.userNkey,
    aud: user.account,
    name: user.handle,
    jti: user.id,
    iat: user.iat,
    exp: user.exp,
    nats: {
      type: 'user',
      version: 2,
      pub: side(permissions.publish),
      sub: side(permissions.subscribe),
      ...(responses === null ? {} : { resp: { max: responses.max, ttl: responses.ttlSeconds * 1_000_000_000 } }),
      subs: -1,
      data: -1,
      payload: -1,
    },
  }
}
