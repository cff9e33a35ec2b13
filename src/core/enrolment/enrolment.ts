/**
 * Enrolment, the judgements: which tickets, ceremonies and identities are good, and every way to refuse. Pure; the
 * steps themselves are in enrolment-steps.ts, the wire in src/http.
 */
import { base64url, lengthPrefixed, utf8 } from '../encoding.ts'
import type { Handle } from '../identifiers.ts'
import type { CredentialRecord, IdentityRecord, TicketRecord } from '../records.ts'
import { accepted, type Judged, refused } from '../refusal.ts'
import { sha256 } from '../sha256.ts'
import type { Registration } from '../webauthn/registration.ts'

/** How many registrations a ticket may begin until the first of them is forgotten, an hour later. */
export const registrationsPerTicketMax = 10

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
      userHandle: machineUserHandle(handle),
      devices: [],
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
    approvedBy: null,
  }
}
