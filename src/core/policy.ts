/** The policy as the journey uses it: parsed, validated and expanded (docs/policy.md). Made by policy-document.ts. */
import type { AccountName, RoleName } from './identifiers.ts'
import type { CredentialClass } from './records.ts'

/** Allow and deny lists in NATS's own subject syntax; templates not yet filled in. */
export interface SubjectRules {
  allow: readonly string[]
  deny: readonly string[]
}

/** A weekly window of local time, within one day: `from` ≤ t < `to`. */
export interface TimeWindow {
  /** 0 = Sunday … 6 = Saturday. */
  days: readonly number[]
  /** Minutes after local midnight; `to` may be 1440. */
  fromMinute: number
  toMinute: number
  /** IANA time zone. */
  timeZone: string
}

/** What a connection must meet for a role to give its allows. null: no such requirement. */
export interface Requirements {
  class: CredentialClass | null
  userVerification: boolean
  deviceBound: boolean
  aaguids: readonly string[] | null
  clientTypes: readonly ('nats' | 'websocket')[] | null
  /** CIDR blocks of IPv4 or IPv6 in canonical text. */
  sourceCidrs: readonly string[] | null
  timeWindows: readonly TimeWindow[] | null
}

export interface Role {
  name: RoleName
  account: AccountName
  publish: SubjectRules
  subscribe: SubjectRules
  /** NATS `allow_responses`: reply subjects it opens bypass publish denies. */
  allowResponses: { max: number; ttlSeconds: number } | null
  /** Lifetime of the user JWT. */
  ttlSeconds: number
  /** Lifetime of an endorsed session; 0: a proof at each connection. null: the default of the credential's class. */
  sessionSeconds: number | null
  plainSessions: boolean
  limits: { connections: number | null }
  require: Requirements
}

export interface Policy {
  roles: ReadonlyMap<RoleName, Role>
  /** SHA-256 of the policy file's bytes, lower-case hex. In every audit record. */
  hash: string
}

/** Permissions of one user, every list explicit: to nats-server an empty list would mean everything. */
export interface Permissions {
  publish: { allow: string[]; deny: string[] }
  subscribe: { allow: string[]; deny: string[] }
  responses: { max: number; ttlSeconds: number } | null
}

/** What the policy gives one verified connection. */
export interface Grant {
  account: AccountName
  /** The roles whose requirements were met, sorted. */
  roles: RoleName[]
  permissions: Permissions
  ttlSeconds: number
  /** 0: no session is endorsed. */
  sessionSeconds: number
  /** Whether every contributing role allows sessions for stock clients. */
  plainSessions: boolean
  connectionsMax: number | null
  /** Epoch seconds at which a contributing role's time window closes, or null. */
  notAfter: number | null
}
