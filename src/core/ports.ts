/** What the journey needs of the outside world. Each port has at most three methods and a real implementation in an edge. */
import type { LifecycleEvent, Refusal, VerdictEvent } from './audit-event.ts'
import type { AuthorizationRequest } from './authorization-request.ts'
import type { DenialReason, Stage } from './denial.ts'
import type { CredentialId, CredentialKey, Handle, ServerId, UserNkey } from './identifiers.ts'
import type { LegacyUsers } from './legacy/legacy-users.ts'
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

/** Verifies Ed25519 signatures of nkeys. */
export interface SignaturePort {
  byServer(id: ServerId, message: Uint8Array, signature: Uint8Array): boolean
  byUser(nkey: UserNkey, message: Uint8Array, signature: Uint8Array): boolean
}

/** A signature that is about to be checked. `source` as sourceOf makes it. */
export interface SignatureAttempt {
  source: string
  credential: CredentialKey
}

/** Bounds the signatures that fail (ADR-0016). */
export interface SignatureLimitPort {
  /** Why the signature is refused unchecked, or null. */
  refusal(attempt: SignatureAttempt, now: Date): DenialReason | null
  failed(attempt: SignatureAttempt, now: Date): void
  proved(attempt: SignatureAttempt, now: Date): void
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

/** What became of claiming a connection. */
export interface Claim {
  /** Null: the connection is this request's. Otherwise the entry that is there, as the leader has it. */
  earlier: GuardEntry | null
  /** Takes the claim back, so that asking again is judged anew. Nobody waits for it; where the claim was not ours it does nothing. */
  withdraw(): void
  /**
   * Whether fewer than `max` live connections of its identity were claimed before this one, by any verifier: waits until that
   * is known. Where the claim was not ours it needs no place. Throws StoreUnavailable.
   */
  isAmong(max: number): Promise<boolean>
}

/** The guard on (server id, client id), shared by all verifiers (ADR-0015). Throws StoreUnavailable. */
export interface GuardPort {
  /** Without `leader` from memory, where another verifier's claim of a moment ago may be missing: claiming tells. */
  find(key: string, from?: 'leader'): Promise<GuardEntry | null>
  /** Compare-and-set: of all verifiers that are asked about a connection, one makes its entry. */
  claim(key: string, entry: GuardEntry): Promise<Claim>
  /** How many live connections an identity has, by what this verifier was told: claims of a moment ago may be missing. */
  connectionsOf(handle: Handle): number
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
  refuse(request: AuthorizationRequest, verdict: Refusal): Uint8Array
}

/** Tells the edge which stage begins; the edge has the clock. */
export interface TracePort {
  enter(stage: Stage): void
  /** A cause for the log, for what counts as `error`. */
  failed(cause: unknown): void
}

/** Report-only mode: the legacy users of a migration, and who compares their secrets (ADR-0018). */
export interface LegacyPort {
  users(): LegacyUsers
  /** Epoch milliseconds at which nobody is a legacy user any more; how long one admission lasts at most. */
  readonly terms: { untilMs: number; ttlSeconds: number }
  /**
   * Against the bcrypt hash of `name`; null: nobody has that name, which costs the same. `busy`: too many wait, or it would
   * take longer than `msLeft`.
   */
  compare(asked: { name: string; secret: string; hash: string | null; source: string; msLeft: number }): Promise<'right' | 'wrong' | 'busy'>
}

export interface World {
  credentials: CredentialPort
  sessions: SessionPort
  identities: IdentityPort
  guard: GuardPort
  audit: AuditPort
  answer: AnswerPort
  signatures: SignaturePort
  limits: SignatureLimitPort
  /** Null but in report-only mode. */
  legacy: LegacyPort | null
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
