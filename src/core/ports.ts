/** What the journey needs of the outside world. Each port has at most three methods and a real implementation in an edge. */
import type { LifecycleEvent, Verdict, VerdictEvent } from './audit-event.ts'
import type { AuthorizationRequest } from './authorization-request.ts'
import type { Stage } from './denial.ts'
import type { CredentialId, CredentialKey, Handle, UserNkey } from './identifiers.ts'
import type { Policy } from './policy/policy.ts'
import type { CredentialRecord, GuardEntry, IdentityRecord, SessionRecord, Stored } from './records.ts'
import type { UserClaims } from './user-claims.ts'

/** A store or stream that did not do its part in time. Everything else that throws is `internal`. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable'
}
export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable'
}

/** Opens and seals xkey messages (NaCl box, nkeys `xkv1`). */
export interface XkeyPort {
  /** The plain text, or null when the box does not open. */
  open(sealed: Uint8Array, senderXkey: string): Uint8Array | null
}

/** The same record object is handed out until it changes: parsed keys are cached by it. Reads throw StoreUnavailable. */
export interface CredentialPort {
  find(id: CredentialId): Promise<Stored<CredentialRecord> | null>
  /**
   * Compare-and-set. Null when it was written; otherwise the record that was there instead, read from the leader.
   * Throws StoreUnavailable.
   */
  replace(stored: Stored<CredentialRecord>, next: CredentialRecord): Promise<Stored<CredentialRecord> | null>
  findByKey(key: CredentialKey): Promise<Stored<CredentialRecord> | null>
}

export interface SessionPort {
  find(nkey: UserNkey): Promise<Stored<SessionRecord> | null>
  /**
   * Creates `record` (state pending) if its nkey is unknown. The session there is now, read from the leader where the
   * nkey was known: the caller judges whose it is.
   */
  reserve(record: SessionRecord): Promise<Stored<SessionRecord>>
  /** Compare-and-set to `next`; false when somebody else wrote meanwhile. */
  replace(stored: Stored<SessionRecord>, next: SessionRecord): Promise<boolean>
}

export interface IdentityPort {
  find(handle: Handle): Promise<IdentityRecord | null>
}

/** The guard on (server id, client id, nonce), shared by all verifiers. */
export interface GuardPort {
  find(key: string): Promise<GuardEntry | null>
  /** Shared asynchronously: a re-ask comes after the answer. */
  remember(key: string, entry: GuardEntry): void
  /**
   * Keeps a place for one of the `max` connections of an identity, until what it returns is called; null when there is
   * none. Requests that arrive together share the places of one verifier; between verifiers it is eventually consistent.
   */
  reserve(handle: Handle, max: number): (() => void) | null
}

export interface AuditPort {
  /** Resolves when the record is durable; throws AuditUnavailable after the ack budget. */
  record(event: VerdictEvent): Promise<void>
  /** Queues a record of something that was not granted; coalesced under flood, never waited for. */
  note(event: VerdictEvent): void
}

/** Signs and, where the request was sealed, seals the answer. */
export interface AnswerPort {
  grant(request: AuthorizationRequest, claims: UserClaims): Uint8Array
  refuse(request: AuthorizationRequest, verdict: Exclude<Verdict, { outcome: 'granted' }>): Uint8Array
}

/** Tells the edge which stage begins; the edge has the clock. */
export interface TracePort {
  enter(stage: Stage): void
  /** A cause for the log, for what counts as `error`. */
  failed(cause: unknown): void
}

export interface World {
  credentials: CredentialPort
  sessions: SessionPort
  identities: IdentityPort
  guard: GuardPort
  audit: AuditPort
  answer: AnswerPort
  policy(): Policy
}

/**
 * One KV bucket of records. Reads come from the leader; `create` and `replace` are compare-and-set and say whether they
 * won. All throw StoreUnavailable.
 */
export interface RecordPort<T> {
  find(key: string): Promise<Stored<T> | null>
  /** False when the key exists, or ever existed. */
  create(key: string, record: T): Promise<boolean>
  replace(key: string, stored: Stored<T>, next: T): Promise<boolean>
}

/** Durable records of everything that is not a verdict. Throws AuditUnavailable: then the thing must not be done. */
export interface LifecyclePort {
  record(event: LifecycleEvent): Promise<void>
}
