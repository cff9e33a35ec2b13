/** What the verifier keeps about identities, credentials and sessions: plain data, one JSON value each in JetStream KV. */
import type { CredentialId, CredentialKey, Handle, LegacyName, RoleName, UserNkey } from './identifiers.ts'
import type { CeremonyPurpose } from './protocol.ts'

/** Whether a credential belongs to a person, who taps, or to a machine, where nobody is present. */
export type CredentialClass = 'person' | 'machine'

/** A role an identity holds. `assigned` roles were given by an administrator and do not age; `idp` roles are claims with an age. */
export interface HeldRole {
  name: RoleName
  source: 'assigned' | 'idp'
  /** Epoch milliseconds at which the source last said so. */
  asOf: number
}

/** An identity: one person at one issuer, or one machine. KV bucket `webauthn_identities`, key = handle. */
export interface IdentityRecord {
  v: 1
  handle: Handle
  class: CredentialClass
  /** OIDC issuer, or `machine` for machines. (issuer, subject) is unique. */
  issuer: string
  subject: string
  displayName: string
  roles: HeldRole[]
  /** Claim values that policy templates may use. */
  claims: Record<string, string>
  /** WebAuthn user.id of all credentials of a person: 32 random bytes, unpadded base64url. Machines derive theirs. */
  userHandle: string
  /** A person's credentials that count towards the number of devices; empty for machines, which have no such number. */
  devices: CredentialKey[]
  state: 'active' | 'disabled'
  createdAt: number
}

/** A registered WebAuthn credential (WebAuthn L3 §4 "credential record"). KV bucket `webauthn_credentials`, key = CredentialKey. */
export interface CredentialRecord {
  v: 1
  id: CredentialId
  /** COSE_Key (RFC 9052 §7), unpadded base64url. */
  publicKey: string
  signCount: number
  /** Epoch milliseconds at which signCount was stored. */
  signCountAt: number
  backupEligible: boolean
  backupState: boolean
  transports: string[]
  /** AAGUID as a lower-case UUID; all zeros when the authenticator names none. */
  aaguid: string
  attestation: { format: string; trust: 'none' | 'self' | 'attested' | 'mds' }
  rpId: string
  class: CredentialClass
  handle: Handle
  /** WebAuthn user.id, unpadded base64url. */
  userHandle: string
  /** What its owner calls the device; never in a JWT or subject. */
  name: string
  state: 'pending' | 'active' | 'quarantined' | 'revoked'
  createdAt: number
  expiresAt: number | null
  /** Why and when the state left `active`, for the administrator. */
  endedAt: number | null
  enrolledBy: string
  /** The administrator who approved it for roles that require approval, or null. */
  approvedBy: string | null
}

/** An endorsed session nkey. KV bucket `webauthn_sessions`, key = the nkey. Gone some time after it is over. */
export interface SessionRecord {
  v: 1
  nkey: UserNkey
  credential: CredentialKey
  handle: Handle
  class: CredentialClass
  /** Endorsed for plain nkey authentication by stock clients too. */
  plain: boolean
  /** Flags of the endorsing proof: what the policy's requirements judge at each resume. */
  userVerified: boolean
  /** Endorsed by a code that a person typed elsewhere: only roles that allow that give anything (ADR-0014). */
  byCode: boolean
  /** By what its owner recognises it, such as the host of a terminal. Untrusted text, at most 64 characters; may be ''. */
  label: string
  createdAt: number
  /** Absolute: resumes do not slide it. */
  expiresAt: number
  state: 'pending' | 'active' | 'revoked'
  endedAt: number | null
}

/** A record as read, with the KV revision that a compare-and-set write must name. */
export interface Stored<T> {
  record: T
  revision: number
}

/** That an nkey was revoked, for ever. KV bucket `webauthn_revoked_nkeys`, key = the nkey. */
export interface Tombstone {
  v: 1
  nkey: UserNkey
  revokedAt: number
}

/** What the guard remembers of an admitted connection, until it has surely ended. KV bucket `webauthn_guard`. */
export type GuardEntry = ProvenEntry | LegacyEntry

export interface ProvenEntry {
  v: 1
  serverId: string
  clientId: number
  /** SHA-256 of the `sig` that was admitted, unpadded base64url. */
  proof: string
  credential: CredentialKey
  session: UserNkey | null
  handle: Handle
  /** Epoch seconds: the `iat` and `exp` of the first grant. A second CONNECT on the socket never moves `exp`. */
  iat: number
  exp: number
}

/** Report-only mode: a connection that a legacy user was admitted on. It is no identity's, and nobody proved anything on it. */
export interface LegacyEntry {
  v: 1
  serverId: string
  clientId: number
  legacy: LegacyName
  /** As a proven entry's. */
  iat: number
  exp: number
}

/** A one-time invitation to enrol. KV bucket `webauthn_tickets`, key = id. */
export interface TicketRecord {
  v: 1
  /** SHA-256 of the ticket, unpadded base64url: the ticket itself is never stored. */
  id: string
  class: CredentialClass
  handle: Handle
  displayName: string
  roles: RoleName[]
  invitedBy: string
  createdAt: number
  expiresAt: number
  state: 'issued' | 'used' | 'revoked'
  usedAt: number | null
}

/** The random bytes issued for one HTTP ceremony. KV bucket `webauthn_ceremonies`, key = id. */
export interface CeremonyRecord {
  v: 1
  id: string
  purpose: CeremonyPurpose
  /** 32 random bytes, unpadded base64url. */
  issued: string
  /** What is being done: ticket id, credential id, … (docs/protocol.md). */
  subject: string
  /** Id of the ticket that the ceremony belongs to, or null. */
  ticket: string | null
  /** Id of the login that the ceremony belongs to, or null. */
  login: string | null
  expiresAt: number
  state: 'issued' | 'used'
}

/** A person at the page. KV bucket `webauthn_logins`, key = id. The cookie's value is never stored. */
export interface LoginRecord {
  v: 1
  /** SHA-256 of the cookie's value, unpadded base64url. */
  id: string
  how: 'idp' | 'invitation' | 'passkey'
  handle: Handle
  /** Name of the identity provider, or null. */
  provider: string | null
  /** Id of the ticket, or null: it is spent when a device is enrolled. */
  ticket: string | null
  /** Epoch milliseconds at which the person last authenticated: the provider's `auth_time`, or the tap. Null: not said. */
  authenticatedAt: number | null
  /** The credential that was tapped in this login, and when. */
  tapped: { credential: CredentialKey; at: number } | null
  createdAt: number
  expiresAt: number
  state: 'active' | 'ended'
}

/** One redirect to an identity provider. KV bucket `webauthn_idp_requests`, key = id. What binds it to a browser is in a cookie. */
export interface IdpRequestRecord {
  v: 1
  /** SHA-256 of OAuth `state`, unpadded base64url. */
  id: string
  provider: string
  /** The person was to authenticate again: the callback must say when they did. */
  fresh: boolean
  /** Id of the login that the browser had when it was sent away, or null: it ends when this one begins. */
  earlier: string | null
  expiresAt: number
  state: 'issued' | 'used'
}

/**
 * What a terminal asks of a person: to endorse its session nkey by a tap in a browser (ADR-0014).
 * KV bucket `webauthn_session_requests`, key = id.
 */
export interface SessionRequestRecord {
  v: 1
  id: string
  flow: 'loopback' | 'code'
  nkey: UserNkey
  /** 32 random bytes, unpadded base64url. */
  issued: string
  /** What the terminal's host calls itself: untrusted text, at most 64 characters. */
  host: string
  /** Port of the terminal's listener on 127.0.0.1, in the loopback flow. */
  port: number | null
  createdAt: number
  expiresAt: number
  /** `possessed`: the nkey signed; only then is it shown. `endorsed`: a person tapped. `completed`: the session is in force. */
  state: 'asked' | 'possessed' | 'endorsed' | 'completed' | 'refused'
  handle: Handle | null
  credential: CredentialKey | null
  /** SHA-256 of the code that the browser hands to the terminal's listener, unpadded base64url. */
  completion: string | null
}
