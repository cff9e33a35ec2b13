/**
 * People: what their steps need of the outside world, and what they are shown. The steps are login-steps.ts (signing in),
 * device-steps.ts (passkeys) and session-request-steps.ts (a terminal's session); the wire is src/http.
 */
import type { IdentityRegistry } from '../enrolment/enrolment-steps.ts'
import type { CredentialId, Handle, UserNkey } from '../identifiers.ts'
import type { Policy } from '../policy/policy.ts'
import type { LifecyclePort, RecordPort } from '../ports.ts'
import type {
  CeremonyRecord,
  CredentialRecord,
  IdentityRecord,
  IdpRequestRecord,
  LoginRecord,
  SessionRecord,
  SessionRequestRecord,
  Stored,
  TicketRecord,
} from '../records.ts'
import type { Judged } from '../refusal.ts'
import type { Rules } from '../rules.ts'

/** How long a person stays signed in at the page. */
export const loginSeconds = 30 * 60
/** How recent an authentication must be to enrol a device. */
export const freshSeconds = 5 * 60
/** How long a terminal waits for the tap. */
export const sessionRequestSeconds = 10 * 60

/** What an identity provider said of a person, checked: signature, issuer, audience, nonce, times. */
export interface IdpStatement {
  /** Name of the provider in the configuration. */
  provider: string
  issuer: string
  subject: string
  /** Epoch milliseconds; null when the provider does not say. */
  authenticatedAt: number | null
  /** All claims of the ID token, and of userinfo where the configuration asks for it. Untrusted text inside. */
  claims: Readonly<Record<string, unknown>>
}

/** What a redirect to a provider carries; derived from the browser's cookie, never stored. */
export interface IdpSecrets {
  state: string
  nonce: string
  codeVerifier: string
}

/** The identity providers of the configuration. */
export interface IdpPort {
  /** In the order of the configuration. */
  list(): readonly { name: string; label: string; mapping: ClaimMapping }[]
  /** The address to send the browser to. `fresh`: ask the person to authenticate again. */
  begin(provider: string, secrets: IdpSecrets, options: { fresh: boolean }): Promise<Judged<URL>>
  /** Exchanges the code and checks the ID token. `callback`: the query of the callback. `fresh`: what `begin` was given. */
  finish(provider: string, secrets: IdpSecrets, callback: URLSearchParams, options: { fresh: boolean }): Promise<Judged<IdpStatement>>
}

/** Where a provider's claims go. Pointers are JSON pointers (RFC 6901). */
export interface ClaimMapping {
  roles: {
    pointer: string
    /** Value of the claim → names of roles. Values that are not in here give nothing. */
    map: ReadonlyMap<string, readonly string[]>
    /** Longest list that the provider issues; a list that long may be cut and is refused. Null: no such limit. */
    listMax: number | null
  }
  handle: { pointer: string; prefix: string }
  displayName: { pointer: string }
  /** Template value → pointer. */
  claims: Readonly<Record<string, string>>
}

/** One authenticator model in FIDO's metadata. */
export interface MetadataEntry {
  description: string
  /** Statuses of its reports, such as FIDO_CERTIFIED or REVOKED. */
  statuses: readonly string[]
  /** Root certificates of its attestation, DER in base64. */
  roots: readonly string[]
}

/** FIDO's metadata, from a file (FIDO MDS 3); null entries where the model is not in it. */
export interface MetadataPort {
  isLoaded(): boolean
  entryOf(aaguid: string): MetadataEntry | null
}

export interface PersonIdentities extends IdentityRegistry {
  /** The identity of (issuer, subject), read from the leader. */
  findBySubject(issuer: string, subject: string): Promise<Stored<IdentityRecord> | null>
}

/** Sessions, as their owners see and end them. All throw StoreUnavailable. */
export interface SessionRegistry {
  findOnLeader(nkey: UserNkey): Promise<Stored<SessionRecord> | null>
  /** As SessionPort. */
  reserve(record: SessionRecord): Promise<Stored<SessionRecord>>
  replace(stored: Stored<SessionRecord>, next: SessionRecord): Promise<boolean>
  /** Compare-and-set to a revoked record, after its tombstone. Null when it was written, else what is there now. */
  revoke(stored: Stored<SessionRecord>, next: SessionRecord): Promise<Stored<SessionRecord> | null>
  /** The identity's sessions that this verifier knows of; for showing, never for deciding. */
  of(handle: Handle): readonly SessionRecord[]
}

/** What became of the live connections of something that ended; those that failed close when their grants expire. */
export interface Evicted {
  kicked: number
  failed: number
}

export interface EvictionPort {
  /** Closes the live connections of something that ended or changed, and records each. `handle`: whose it was. Never throws: what fails is counted. */
  evict(ended: { credential: CredentialId } | { session: UserNkey } | { identity: Handle }, handle: Handle): Promise<Evicted>
}

export interface PeopleWorld {
  rules: Rules
  /** The verifier's name, as its own records have it. */
  name: string
  /** The verifier's own web origin. */
  origin: string
  /** NATS addresses that people may dial. */
  urls: readonly string[]
  policy(): Policy
  idp: IdpPort
  metadata: MetadataPort
  tickets: RecordPort<TicketRecord>
  /** Of people who are signed in; of machines with a ticket. */
  ceremonies: RecordPort<CeremonyRecord>
  /** Of strangers who sign in. */
  signins: RecordPort<CeremonyRecord>
  logins: RecordPort<LoginRecord>
  idpRequests: RecordPort<IdpRequestRecord>
  sessionRequests: RecordPort<SessionRequestRecord>
  /** Key = CredentialKey. */
  credentials: RecordPort<CredentialRecord>
  identities: PersonIdentities
  sessions: SessionRegistry
  evictions: EvictionPort
  lifecycle: LifecyclePort
}

/** A person's login in force, with their identity in force: what every step behind the cookie starts from. */
export interface SignedIn {
  login: Stored<LoginRecord>
  identity: Stored<IdentityRecord>
}

/** A device, as its owner sees it. */
export interface DeviceView {
  id: CredentialId
  name: string
  /** AAGUID; all zeros when the authenticator names no model. What it says is only proven with trust `mds`. */
  aaguid: string
  /** From FIDO's metadata, where it is loaded and trusted. */
  model: string | null
  trust: CredentialRecord['attestation']['trust']
  /** BE: the passkey may be copied to its owner's other devices. */
  synced: boolean
  backedUp: boolean
  transports: string[]
  state: CredentialRecord['state']
  createdAt: number
  /** Roles that this device gives, and those it does not, with what is missing. */
  roles: { name: string; unmet: string[] }[]
  /** It is the one that was tapped in this login. */
  current: boolean
}

export interface SessionView {
  nkey: UserNkey
  label: string
  plain: boolean
  byCode: boolean
  device: { id: CredentialId; name: string } | null
  createdAt: number
  expiresAt: number
}

/** What the page shows of the person who is signed in. */
export interface PersonView {
  handle: Handle
  displayName: string
  how: LoginRecord['how']
  provider: string | null
  /** Epoch milliseconds. */
  loginExpiresAt: number
  roles: { name: string; source: 'assigned' | 'idp'; asOf: number; stale: boolean; known: boolean }[]
  devices: DeviceView[]
  devicesMax: number
  sessions: SessionView[]
  /** Whether a device can be enrolled now, and if not what is needed first. */
  enrol: { allowed: boolean; needs: 'nothing' | 'fresh_login' | 'tap' | 'fresh_login_or_tap' | 'room' }
  /** For the browser's signal API. */
  rpId: string
  userHandle: string
}

/** A terminal's request, as the person sees it before the tap. */
export interface SessionRequestView {
  request: string
  /** To compare with the terminal: the code that was typed, or in the loopback flow a check code that both sides derive. */
  code: string
  flow: SessionRequestRecord['flow']
  host: string
  nkey: UserNkey
  /** Epoch milliseconds. */
  createdAt: number
  expiresAt: number
  /** Seconds the session would last, and what it would give. */
  lifetimeSeconds: number
  roles: string[]
  account: string
}

/** What a terminal is told of the session that was endorsed. */
export interface EndorsedSession {
  handle: Handle
  nkey: UserNkey
  roles: string[]
  urls: string[]
  inboxPrefix: string
  /** Epoch milliseconds. */
  expiresAt: number
}
