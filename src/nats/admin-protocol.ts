/** The admin API on the wire (docs/admin-api.md): operations, their bodies and answers, and every error there is. */
import { z } from 'zod'
import {
  type CredentialId,
  type Handle,
  parseCredentialId,
  parseHandle,
  parseRoleName,
  parseUserNkey,
  type RoleName,
  type UserNkey,
} from '../core/identifiers.ts'
import type { CredentialRecord, IdentityRecord, SessionRecord, TicketRecord } from '../core/records.ts'
import { CREDENTIAL_STATES } from './credential-store.ts'

/** First tokens of every admin subject; the next is the administrator's name, the rest the operation. */
export const ADMIN_SUBJECT = 'nats-webauthn.admin'
export const requestBytesMax = 16_384
/** Items of one page, in JSON: a page fits any sensible max_payload. */
export const pageBytesMax = 262_144
const pageItemsMax = 500
const rolesMax = 64
const expiresInSecondsMax = 7 * 86_400
const expiresInSecondsDefault = 3_600

/** Every error of the admin API. Messages are fixed: nothing of the request is in them. */
export const ADMIN_ERRORS = {
  request_oversized: 'The request is larger than 16 KiB.',
  request_malformed: 'The body is not what this operation takes.',
  operation_unknown: 'There is no such operation.',
  role_unknown: 'The policy has no such role.',
  role_wrong_class: 'None of these roles is for that class: some are for people, some for machines.',
  unknown: 'There is nothing by that id.',
  conflict: 'Its state does not allow that.',
  handle_taken: 'The name belongs to another identity.',
  not_supported: 'This verifier serves no people: configure relying_parties.person and enrolment.',
  unavailable: 'The buckets cannot be read or written. Try again.',
  audit_unavailable: 'The audit record could not be made durable, so nothing was done.',
  internal: 'The verifier failed; its log has the cause.',
} as const
export type AdminErrorCode = keyof typeof ADMIN_ERRORS

const handle = z.custom<Handle>((value) => parseHandle(value) !== null)
const role = z.custom<RoleName>((value) => parseRoleName(value) !== null)
const roles = z
  .array(role)
  .max(rolesMax)
  .transform((names) => [...new Set(names)].sort())
const credentialId = z.custom<CredentialId>((value) => parseCredentialId(value) !== null)
const nkey = z.custom<UserNkey>((value) => parseUserNkey(value) !== null)
const ticketId = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const printable = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[^\p{C}]*$/u)
const page = {
  cursor: z.string().max(128).nullable().default(null),
  limit: z.int().min(1).max(pageItemsMax).default(100),
}
const none = z.strictObject({})

/** Bodies by operation. Unknown members are refused: a typo must not widen what is done. */
export const ADMIN_BODIES = {
  status: none,
  invite: z.strictObject({
    handle,
    class: z.enum(['machine', 'person']),
    roles: roles.refine((names) => names.length > 0),
    displayName: printable.nullable().default(null),
    expiresInSeconds: z.int().min(60).max(expiresInSecondsMax).default(expiresInSecondsDefault),
  }),
  'ticket.list': z.strictObject({ ...page }),
  'ticket.revoke': z.strictObject({ id: ticketId }),
  'credential.list': z.strictObject({
    handle: handle.nullable().default(null),
    state: z.enum(CREDENTIAL_STATES).nullable().default(null),
    ...page,
  }),
  'credential.show': z.strictObject({ id: credentialId }),
  'credential.approve': z.strictObject({ id: credentialId }),
  'credential.revoke': z.strictObject({ id: credentialId }),
  'credential.release': z.strictObject({ id: credentialId }),
  'session.list': z.strictObject({
    handle: handle.nullable().default(null),
    state: z.enum(['pending', 'active', 'expired', 'revoked']).nullable().default(null),
    ...page,
  }),
  'session.show': z.strictObject({ nkey }),
  'session.revoke': z.strictObject({ nkey }),
  'identity.list': z.strictObject({ ...page }),
  'identity.show': z.strictObject({ handle }),
  'identity.disable': z.strictObject({ handle }),
  'identity.enable': z.strictObject({ handle }),
  'identity.roles': z.strictObject({ handle, roles }),
} as const satisfies Record<string, z.ZodType>

export type AdminOperation = keyof typeof ADMIN_BODIES
/** What a caller writes. */
export type AdminRequest<O extends AdminOperation> = z.input<(typeof ADMIN_BODIES)[O]>
/** What the verifier reads. */
export type AdminBody<O extends AdminOperation> = z.output<(typeof ADMIN_BODIES)[O]>

export interface Page<T> {
  items: T[]
  /** To be given in the next request, or null on the last page. */
  cursor: string | null
  /** False when there may be more than this verifier's cache holds. */
  complete: boolean
}

/** A credential as the API shows it: the record but for the key itself. */
export type CredentialView = Omit<CredentialRecord, 'v' | 'publicKey' | 'userHandle'> & { key: string; connections: number }
export type SessionView = Omit<SessionRecord, 'v' | 'state'> & { state: SessionRecord['state'] | 'expired'; connections: number }
/** `devices` are keys of credentials, as `key` of a CredentialView. */
export type IdentityView = Omit<IdentityRecord, 'v' | 'userHandle'> & { connections: number }
export type TicketView = Omit<TicketRecord, 'v'>
/** What became of an owner's live connections. */
export interface Kicks {
  kicked: number
  /** Connections that could not be closed now; they end when their grant expires. */
  failed: number
}
/** `changed` is false when it was so already. */
export interface Change<T> {
  item: T
  changed: boolean
  connections: Kicks
}
export interface Invitation {
  /** Secret, shown once. */
  ticket: string
  id: string
  expiresAt: number
  /** Where to enrol, or null when this verifier has no enrolment listener. */
  url: string | null
  /** For a person: the page with the ticket in its fragment, which no server ever sees. Secret as the ticket is. */
  link: string | null
}
export interface StatusView {
  version: string
  ready: boolean
  policyHash: string
  roles: string[]
  credentials: Record<CredentialRecord['state'], number>
  sessions: Record<SessionRecord['state'] | 'expired', number>
  identities: Record<IdentityRecord['state'], number>
  guardEntries: number
}

/** Answers by operation. */
export interface AdminAnswers {
  status: StatusView
  invite: Invitation
  'ticket.list': Page<TicketView>
  'ticket.revoke': Change<TicketView>
  'credential.list': Page<CredentialView>
  'credential.show': CredentialView
  'credential.approve': Change<CredentialView>
  'credential.revoke': Change<CredentialView>
  'credential.release': Change<CredentialView>
  'session.list': Page<SessionView>
  'session.show': SessionView
  'session.revoke': Change<SessionView>
  'identity.list': Page<IdentityView>
  'identity.show': IdentityView
  'identity.disable': Change<IdentityView>
  'identity.enable': Change<IdentityView>
  'identity.roles': Change<IdentityView>
}

export type AdminReply<O extends AdminOperation> =
  | { ok: true; value: AdminAnswers[O] }
  | { ok: false; error: { code: AdminErrorCode; message: string } }

export function isAdminOperation(text: string): text is AdminOperation {
  return Object.hasOwn(ADMIN_BODIES, text)
}

export function isAdminErrorCode(text: string): text is AdminErrorCode {
  return Object.hasOwn(ADMIN_ERRORS, text)
}
