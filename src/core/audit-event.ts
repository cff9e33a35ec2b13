/** What happened, as facts. src/audit turns them into OCSF records; no secret is ever a member here. */
import type { DenialReason, ErrorReason, GrantReason, Stage } from './denial.ts'
import type { AccountName, CredentialId, Handle, LegacyName, RoleName } from './identifiers.ts'
import type { LegacyKind } from './legacy/legacy-users.ts'
import type { CredentialClass } from './records.ts'

/** The connection a verdict is about, as the signed request describes it. */
export interface ConnectionFacts {
  serverId: string
  serverName: string
  cluster: string | null
  clientId: number
  clientHost: string
  /** What the client calls itself: untrusted text, at most 256 characters. */
  clientName: string
  clientType: string
  userNkey: string
  tls: boolean
  /** The dialled URL the client signed, once read. */
  url: string | null
}

/** The identity and device, once the credential was found. Before `verified`, a claim; after it, a fact. */
export interface IdentityFacts {
  handle: Handle
  issuer: string
  subject: string
  displayName: string
  class: CredentialClass
  credentialId: CredentialId
  aaguid: string
  signCount: number
  userPresent: boolean | null
  userVerified: boolean | null
  backupEligible: boolean
  backupState: boolean
  sessionNkey: string | null
}

export interface GrantFacts {
  account: AccountName
  roles: RoleName[]
  /** Epoch seconds. */
  expiresAt: number
  /** Epoch seconds at which the endorsed or used session ends, or null. */
  sessionExpiresAt: number | null
}

export type Verdict =
  | { outcome: 'granted'; reason: GrantReason }
  | { outcome: 'denied'; reason: DenialReason }
  | { outcome: 'error'; reason: ErrorReason }
  /** Report-only mode: a legacy user was admitted, and the journey would have refused. */
  | { outcome: 'reported'; reason: DenialReason; legacy: { name: LegacyName; kind: LegacyKind } }

/** A verdict that lets nobody in. */
export type Refusal = Extract<Verdict, { outcome: 'denied' | 'error' }>

/** One verdict on one authorization request. */
export interface VerdictEvent {
  /** UUID of the request; an error that follows a durable grant record carries that record's id in `correlates`. */
  id: string
  correlates: string | null
  /** Epoch milliseconds. */
  at: number
  verdict: Verdict
  /** The stage that decided. */
  stage: Stage
  /** Whether the proof or session signature had been verified: such denials share the stream of the grants. */
  verified: boolean
  connection: ConnectionFacts | null
  identity: IdentityFacts | null
  grant: GrantFacts | null
  policyHash: string
  durationMs: number
  /** For coalesced denials: how many verdicts this event stands for, and when the first and last came. */
  count: number
  firstAt: number
  lastAt: number
}

/**
 * Everything else worth a record: `area.outcome.reason`, a closed set (docs/audit.md). `succeeded` records are durable
 * before the thing takes effect.
 */
export const LIFECYCLE = {
  enrolment: {
    succeeded: ['invited', 'registered', 'enrolled', 'ticket_revoked'],
    refused: [
      'ticket_unknown',
      'ticket_used',
      'ticket_expired',
      'ticket_revoked',
      'ticket_wrong_class',
      'person_enrolment_unavailable',
      'identity_disabled',
      'ceremony_invalid',
      'registration_invalid',
      'possession_invalid',
      'credential_taken',
      'handle_taken',
      'devices_full',
      'step_up_required',
      'device_refused',
      'rate_limited',
      'request_malformed',
    ],
    failed: ['internal'],
  },
  login: {
    succeeded: ['idp', 'invitation', 'passkey', 'ended'],
    refused: [
      // The page's own session.
      'login_missing',
      'login_unknown',
      'login_ended',
      'login_expired',
      // The redirect to the identity provider and back.
      'provider_unknown',
      'provider_unavailable',
      'provider_refused',
      'request_unknown',
      'request_used',
      'request_expired',
      'request_mismatch',
      'code_refused',
      // The ID token, in the order in which it is checked.
      'token_malformed',
      'algorithm_refused',
      'key_unknown',
      'signature_invalid',
      'issuer_mismatch',
      'audience_mismatch',
      'azp_mismatch',
      'token_expired',
      'token_not_yet_valid',
      'nonce_mismatch',
      'auth_time_missing',
      'auth_time_stale',
      'acr_unmet',
      'amr_unmet',
      // What the claims say.
      'subject_malformed',
      'groups_overage',
      'role_claim_malformed',
      'claim_malformed',
      'roles_none',
      'handle_unavailable',
      'identity_disabled',
      // Signing in with a passkey.
      'ceremony_invalid',
      'passkey_unknown',
      'passkey_invalid',
    ],
    failed: ['internal'],
  },
  credential: {
    succeeded: ['revoked', 'quarantined', 'released', 'renamed', 'approved'],
    refused: ['unknown', 'conflict'],
    failed: ['internal'],
  },
  session: {
    succeeded: ['endorsed', 'completed', 'revoked'],
    refused: [
      'unknown',
      'conflict',
      'request_unknown',
      'request_used',
      'request_expired',
      'refused_by_person',
      'possession_invalid',
      'assertion_invalid',
      'roles_insufficient',
      'plain_session_refused',
      'code_refused',
      'session_time_zero',
      'endorsement_refused',
      'completion_invalid',
    ],
    failed: ['internal'],
  },
  identity: { succeeded: ['created', 'disabled', 'enabled', 'roles_changed'], refused: ['unknown', 'conflict'], failed: ['internal'] },
  policy: { succeeded: ['loaded', 'legacy_users_loaded'], refused: ['invalid', 'legacy_users_invalid'], failed: ['unreadable'] },
  admin: { succeeded: ['read'], refused: ['request_malformed', 'not_permitted'], failed: ['internal'] },
  connection: { succeeded: ['kicked', 'break_glass'], refused: [], failed: ['kick_failed'] },
  verifier: {
    succeeded: ['started', 'stopped', 'ready', 'not_ready', 'backed_up', 'restored', 'report_only'],
    refused: [],
    failed: ['stream_weaker', 'store_weaker'],
  },
} as const satisfies Record<string, Record<'succeeded' | 'refused' | 'failed', readonly string[]>>

export type LifecycleArea = keyof typeof LIFECYCLE
type Codes = {
  [A in LifecycleArea]: {
    [O in keyof (typeof LIFECYCLE)[A]]: { area: A; outcome: O; reason: (typeof LIFECYCLE)[A][O] extends readonly (infer R)[] ? R : never }
  }[keyof (typeof LIFECYCLE)[A]]
}[LifecycleArea]
/** Every (area, outcome, reason) there is: the last three tokens of the subject `audit.webauthn.<area>.<outcome>.<reason>`. */
export type LifecycleCode = Codes

export type LifecycleEvent = LifecycleCode & {
  /** UUID. */
  id: string
  /** Epoch milliseconds. */
  at: number
  /** Who did it: an administrator's name, a handle, a ticket id, or the verifier itself. */
  actor: { kind: 'administrator' | 'identity' | 'verifier' | 'ticket' | 'unknown'; name: string }
  /** What it was done to: credential id, session nkey, policy hash, ticket id (a hash), handle. */
  target: { kind: 'credential' | 'session' | 'policy' | 'ticket' | 'identity' | 'connection' | 'none'; id: string }
  handle: Handle | null
  roles: string[]
  policyHash: string
  /** One short sentence of our own; values from outside only after they were checked. */
  detail: string
  /** Further facts; never a secret. */
  facts: Record<string, string | number | boolean>
}
