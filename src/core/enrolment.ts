/**
 * Enrolment, the judgements: which tickets, ceremonies and identities are good, and every way to refuse. Pure; the
 * steps themselves are in enrolment-steps.ts, the wire in src/http.
 */
import type { LIFECYCLE } from './audit-event.ts'
import { base64url, lengthPrefixed, utf8 } from './encoding.ts'
import type { Handle } from './identifiers.ts'
import type { CeremonyPurpose } from './protocol.ts'
import type { CeremonyRecord, CredentialRecord, IdentityRecord, TicketRecord } from './records.ts'
import type { Registration } from './registration.ts'
import { sha256 } from './sha256.ts'

/** How long the issued bytes of a ceremony live. */
export const ceremonySeconds = 5 * 60
/** Bytes issued for each ceremony. */
export const issuedBytes = 32
/** How many registrations a ticket may begin until the first of them is forgotten, an hour later. */
export const registrationsPerTicketMax = 10

/** Reasons of `enrolment.refused` records: the compiler keeps the registry below and audit-event.ts the same set. */
export type EnrolmentReason = (typeof LIFECYCLE)['enrolment']['refused'][number]

export interface EnrolmentRefusalRow {
  status: number
  /** What the client sees. One code for every bad ticket: nobody learns which tickets exist. */
  code: string
  /** Fixed sentence for the client. */
  message: string
  /** One sentence for the audit record and the docs. */
  doc: string
}

const ticketInvalid = { status: 403, code: 'ticket_invalid', message: 'The ticket is not valid. Ask for a new one.' } as const

export const ENROLMENT_REFUSALS = {
  request_malformed: {
    status: 400,
    code: 'request_malformed',
    message: 'The request is not one that this service reads.',
    doc: 'The HTTP request is not well formed, too large, or for another host.',
  },
  rate_limited: {
    status: 429,
    code: 'rate_limited',
    message: 'Too many requests. Wait.',
    doc: 'The source sent more requests than one source may, or the ticket began more registrations than one ticket may.',
  },
  ticket_unknown: { ...ticketInvalid, doc: 'No such ticket was issued.' },
  ticket_used: { ...ticketInvalid, doc: 'The ticket was used before.' },
  ticket_expired: { ...ticketInvalid, doc: 'The ticket is past its expiry.' },
  ticket_revoked: { ...ticketInvalid, doc: 'The ticket was taken back.' },
  person_enrolment_unavailable: {
    status: 403,
    code: 'person_enrolment_unavailable',
    message: 'This service does not enrol people.',
    doc: 'The ticket is for a person, and this verifier enrols machines only.',
  },
  identity_disabled: {
    status: 403,
    code: 'identity_disabled',
    message: 'The identity is disabled.',
    doc: "The ticket's identity is disabled.",
  },
  handle_taken: {
    status: 409,
    code: 'handle_taken',
    message: 'The name belongs to another identity.',
    doc: "The ticket's handle belongs to another identity.",
  },
  ceremony_invalid: {
    status: 409,
    code: 'ceremony_invalid',
    message: 'The ceremony is not valid. Begin again.',
    doc: 'The ceremony is unknown, used, expired, or was begun for something else.',
  },
  registration_invalid: {
    status: 422,
    code: 'registration_invalid',
    message: 'The registration is not acceptable.',
    doc: 'The registration response failed a check of WebAuthn L3 §7.1 or of the machine profile.',
  },
  credential_taken: {
    status: 409,
    code: 'credential_taken',
    message: 'The credential id is taken.',
    doc: 'A credential with this id is or was registered.',
  },
  possession_invalid: {
    status: 422,
    code: 'possession_invalid',
    message: 'The assertion does not prove possession of the key.',
    doc: 'The assertion that must follow the registration was refused.',
  },
} as const satisfies Record<EnrolmentReason, EnrolmentRefusalRow>

/** Why, and which check: `check` is from a closed set and holds nothing of what was sent. */
export interface EnrolmentRefusal {
  reason: EnrolmentReason
  check: string | null
}

export type Judged<T> = { ok: true; value: T } | { ok: false; refusal: EnrolmentRefusal }

export function accepted<T>(value: T): Judged<T> {
  return { ok: true, value }
}

export function refused(reason: EnrolmentReason, check: string | null): { ok: false; refusal: EnrolmentRefusal } {
  return { ok: false, refusal: { reason, check } }
}

const ticketBytes = 32

/** The text of a new ticket, made of 32 random bytes. Secret: only its id is ever stored. */
export function ticketText(random: Uint8Array): string {
  if (random.length !== ticketBytes) throw new Error('making a ticket: not 32 random bytes')
  return base64url(random)
}

/** The id of the ticket with this text: its SHA-256, unpadded base64url. Tickets are looked up by it. */
export function ticketId(text: string): string {
  return base64url(sha256(utf8(text)))
}

/** Whether the ticket is good at `now`. The client is not told which of these it was. */
export function judgeTicket(ticket: TicketRecord | null, now: Date): Judged<TicketRecord> {
  if (ticket === null) return refused('ticket_unknown', null)
  if (ticket.state === 'used') return refused('ticket_used', null)
  if (ticket.state === 'revoked') return refused('ticket_revoked', null)
  if (ticket.expiresAt <= now.getTime()) return refused('ticket_expired', null)
  return accepted(ticket)
}

/** Whether these issued bytes are for this purpose, this ticket and this moment. */
export function judgeCeremony(
  ceremony: CeremonyRecord | null,
  expected: { purpose: CeremonyPurpose; ticket: TicketRecord; now: Date },
): Judged<CeremonyRecord> {
  if (ceremony === null) return refused('ceremony_invalid', 'unknown')
  if (ceremony.purpose !== expected.purpose) return refused('ceremony_invalid', 'purpose')
  if (ceremony.ticket !== expected.ticket.id) return refused('ceremony_invalid', 'ticket')
  if (ceremony.state !== 'issued') return refused('ceremony_invalid', 'used')
  if (ceremony.expiresAt <= expected.now.getTime()) return refused('ceremony_invalid', 'expired')
  return accepted(ceremony)
}

/**
 * Where the nth registration of a ticket is kept. There are no more places than registrationsPerTicketMax, for all
 * verifiers together: nobody fills the buckets with one ticket.
 */
export function registrationPlace(ticket: TicketRecord, n: number): string {
  return base64url(sha256(lengthPrefixed('nats-webauthn/registration-place/v1', ticket.id, String(n))))
}

/** What a machine's ticket does to the identity of its handle. */
export type IdentityPlan = { kind: 'create' | 'change'; record: IdentityRecord } | { kind: 'keep' }

/**
 * An identity holds exactly the roles of its latest invitation: a further key of the same machine neither adds roles
 * to nor keeps roles from what the administrator wrote last.
 */
export function judgeIdentity(existing: IdentityRecord | null, ticket: TicketRecord, now: Date): Judged<IdentityPlan> {
  const { handle, displayName } = ticket
  const roles = ticket.roles.map((name) => ({ name, source: 'assigned' as const, asOf: now.getTime() }))
  if (existing === null) {
    const record: IdentityRecord = {
      v: 1,
      handle,
      class: 'machine',
      issuer: 'machine',
      subject: handle,
      displayName,
      roles,
      claims: {},
      state: 'active',
      createdAt: now.getTime(),
    }
    return accepted({ kind: 'create', record })
  }
  if (existing.class !== 'machine' || existing.issuer !== 'machine' || existing.subject !== handle) return refused('handle_taken', null)
  if (existing.state !== 'active') return refused('identity_disabled', null)
  if (sameRoles(existing, ticket)) return accepted({ kind: 'keep' })
  return accepted({ kind: 'change', record: { ...existing, roles } })
}

function sameRoles(existing: IdentityRecord, ticket: TicketRecord): boolean {
  const wanted = new Set<string>(ticket.roles)
  const held = new Set<string>(existing.roles.map((role) => role.name))
  return (
    wanted.size === held.size && [...wanted].every((role) => held.has(role)) && existing.roles.every((role) => role.source === 'assigned')
  )
}

/** WebAuthn user.id of a machine: the same for all its keys, and no secret. Unpadded base64url of 32 bytes. */
export function machineUserHandle(handle: Handle): string {
  return base64url(sha256(lengthPrefixed('nats-webauthn/machine-user/v1', handle)))
}

/** What is stored of a registration until its key has proven possession: it admits nobody yet. */
export function pendingCredential(
  registration: Registration,
  ticket: TicketRecord,
  { name, rpId, now }: { name: string; rpId: string; now: Date },
): CredentialRecord {
  return {
    v: 1,
    id: registration.id,
    publicKey: base64url(registration.publicKey),
    signCount: registration.signCount,
    signCountAt: now.getTime(),
    backupEligible: registration.backupEligible,
    backupState: registration.backupState,
    transports: registration.transports,
    aaguid: registration.aaguid,
    attestation: { format: 'packed', trust: 'self' },
    rpId,
    class: 'machine',
    handle: ticket.handle,
    userHandle: machineUserHandle(ticket.handle),
    name,
    state: 'pending',
    createdAt: now.getTime(),
    expiresAt: null,
    endedAt: null,
    enrolledBy: ticket.invitedBy,
  }
}
