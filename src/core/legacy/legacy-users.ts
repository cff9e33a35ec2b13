/** Legacy users: static users of nats-server whose own credentials still admit them for a while (ADR-0018). */
import type { AccountName, LegacyName, UserNkey } from '../identifiers.ts'
import type { Permissions } from '../policy/policy.ts'

/** How a legacy user shows who it is. Hashes are bcrypt's. */
export type LegacySecret = { kind: 'password'; hash: string } | { kind: 'token'; hash: string } | { kind: 'nkey'; nkey: UserNkey }
export type LegacyKind = LegacySecret['kind']

export interface LegacyUser {
  name: LegacyName
  account: AccountName
  permissions: Permissions
  secret: LegacySecret
}

/** The users of one file, found by what a client sends. */
export interface LegacyUsers {
  byPassword: ReadonlyMap<string, LegacyUser & { secret: { kind: 'password' } }>
  byNkey: ReadonlyMap<UserNkey, LegacyUser>
  /** nats-server knows one token, so there is one here. */
  byToken: (LegacyUser & { secret: { kind: 'token' } }) | null
  count: number
  /** SHA-256 of the file, lower-case hex. */
  hash: string
}

/** Nobody. */
export const NO_LEGACY_USERS: LegacyUsers = { byPassword: new Map(), byNkey: new Map(), byToken: null, count: 0, hash: '' }
