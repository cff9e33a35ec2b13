/** The policy as the journey uses it: parsed, validated and expanded (docs/policy.md). Made by policy-document.ts. */
import type { AccountName, RoleName } from '../identifiers.ts'
import type { CredentialClass } from '../records.ts'

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
  /** How well the device must have shown what it is: `direct`, by an attestation certificate; `mds`, by one that FIDO's metadata vouches for. */
  attestation: 'direct' | 'mds' | null
  /** An administrator approved the credential. */
  approval: boolean
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
  /** Whether a terminal without a browser may be endorsed by a code that is typed elsewhere: phishable, so never by default. */
  loginByCode: boolean
  /** A role that would be worth an attack on the people who hold it: never by code. */
  privileged: boolean
  limits: { connections: number | null }
  require: Requirements
}

/** What a person's new device must be, whatever roles they hold. */
export interface PersonEnrolment {
  /** `none`: nothing is asked. `direct`: an attestation certificate. `mds`: one that leads to a root in FIDO's metadata. */
  attestation: 'none' | 'direct' | 'mds'
  aaguids: readonly string[] | null
  deviceBound: boolean
  /** Devices in force, per person. */
  devicesMax: number
  /** What a further device needs: a fresh login or a tap of a device that is enrolled (`login`), or that tap alone (`device`). */
  anotherDevice: 'login' | 'device'
}

export const DEFAULT_PERSON_ENROLMENT: PersonEnrolment = {
  attestation: 'none',
  aaguids: null,
  deviceBound: false,
  devicesMax: 10,
  anotherDevice: 'login',
}

export interface Policy {
  roles: ReadonlyMap<RoleName, Role>
  personEnrolment: PersonEnrolment
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
  /** Epoch seconds at which a contributing role's time window closes or its claim is too old, or null. */
  notAfter: number | null
}
