/** Reads KV values into core's record types: strict, so that a value somebody else wrote admits nobody. */
import { z } from 'zod'
import { fromUtf8 } from '../core/encoding.ts'
import {
  type CredentialId,
  type CredentialKey,
  type Handle,
  type LegacyName,
  parseCredentialId,
  parseHandle,
  parseLegacyName,
  parseRoleName,
  parseServerId,
  parseUserNkey,
  type RoleName,
  type UserNkey,
} from '../core/identifiers.ts'
import type {
  CeremonyRecord,
  CredentialRecord,
  GuardEntry,
  IdentityRecord,
  IdpRequestRecord,
  LegacyEntry,
  LoginRecord,
  ProvenEntry,
  SessionRecord,
  SessionRequestRecord,
  TicketRecord,
  Tombstone,
} from '../core/records.ts'
import { parseStrictJson } from '../core/strict-json.ts'

const depthMax = 6
const text = z.string().max(1024)
const key = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const millis = z.int().nonnegative()
const handle = z.custom<Handle>((value) => parseHandle(value) !== null)
const userNkey = z.custom<UserNkey>((value) => parseUserNkey(value) !== null)
const roleName = z.custom<RoleName>((value) => parseRoleName(value) !== null)
const credentialId = z.custom<CredentialId>((value) => parseCredentialId(value) !== null)
const credentialKey = z.custom<CredentialKey>((value) => key.safeParse(value).success)
const credentialClass = z.enum(['person', 'machine'])
const purpose = z.enum(['enrol', 'enrol-possession', 'signin', 'session', 'approve', 'rotate'])
const v = z.literal(1)

export const identitySchema: z.ZodType<IdentityRecord> = z.strictObject({
  v,
  handle,
  class: credentialClass,
  issuer: text,
  subject: text,
  displayName: text,
  roles: z.array(z.strictObject({ name: roleName, source: z.enum(['assigned', 'idp']), asOf: millis })).max(256),
  claims: z.record(text, text),
  userHandle: z.string().max(128),
  devices: z.array(credentialKey).max(1_000),
  state: z.enum(['active', 'disabled']),
  createdAt: millis,
})

export const credentialSchema: z.ZodType<CredentialRecord> = z.strictObject({
  v,
  id: credentialId,
  publicKey: z.string().min(1).max(16_384),
  signCount: z.int().min(0).max(0xffff_ffff),
  signCountAt: millis,
  backupEligible: z.boolean(),
  backupState: z.boolean(),
  transports: z.array(z.string().max(64)).max(16),
  aaguid: z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  attestation: z.strictObject({ format: z.string().max(64), trust: z.enum(['none', 'self', 'attested', 'mds']) }),
  rpId: z.string().min(1).max(253),
  class: credentialClass,
  handle,
  userHandle: z.string().max(128),
  name: text,
  state: z.enum(['pending', 'active', 'quarantined', 'revoked']),
  createdAt: millis,
  expiresAt: millis.nullable(),
  endedAt: millis.nullable(),
  enrolledBy: text,
  approvedBy: text.nullable(),
})

export const sessionSchema: z.ZodType<SessionRecord> = z.strictObject({
  v,
  nkey: userNkey,
  credential: credentialKey,
  handle,
  class: credentialClass,
  plain: z.boolean(),
  userVerified: z.boolean(),
  byCode: z.boolean(),
  label: z.string().max(64),
  createdAt: millis,
  expiresAt: millis,
  state: z.enum(['pending', 'active', 'revoked']),
  endedAt: millis.nullable(),
})

const connection = {
  serverId: z.string().refine((value) => parseServerId(value) !== null),
  clientId: z.int().nonnegative(),
  iat: z.int().nonnegative(),
  exp: z.int().nonnegative(),
}
const provenSchema: z.ZodType<ProvenEntry> = z.strictObject({
  v,
  ...connection,
  proof: key,
  credential: credentialKey,
  session: userNkey.nullable(),
  handle,
})
const legacySchema: z.ZodType<LegacyEntry> = z.strictObject({
  v,
  ...connection,
  legacy: z.custom<LegacyName>((value) => parseLegacyName(value) !== null),
})
export const guardSchema: z.ZodType<GuardEntry> = z.union([provenSchema, legacySchema])

export const tombstoneSchema: z.ZodType<Tombstone> = z.strictObject({ v, nkey: userNkey, revokedAt: millis })

export const ticketSchema: z.ZodType<TicketRecord> = z.strictObject({
  v,
  id: key,
  class: credentialClass,
  handle,
  displayName: text,
  roles: z.array(roleName).max(256),
  invitedBy: text,
  createdAt: millis,
  expiresAt: millis,
  state: z.enum(['issued', 'used', 'revoked']),
  usedAt: millis.nullable(),
})

export const ceremonySchema: z.ZodType<CeremonyRecord> = z.strictObject({
  v,
  id: z.string().min(1).max(128),
  purpose,
  issued: key,
  // A credential id may be 1023 bytes: 1364 characters.
  subject: z.string().max(2048),
  ticket: key.nullable(),
  login: key.nullable(),
  expiresAt: millis,
  state: z.enum(['issued', 'used']),
})

export const loginSchema: z.ZodType<LoginRecord> = z.strictObject({
  v,
  id: key,
  how: z.enum(['idp', 'invitation', 'passkey']),
  handle,
  provider: text.nullable(),
  ticket: key.nullable(),
  authenticatedAt: millis.nullable(),
  tapped: z.strictObject({ credential: credentialKey, at: millis }).nullable(),
  createdAt: millis,
  expiresAt: millis,
  state: z.enum(['active', 'ended']),
})

export const idpRequestSchema: z.ZodType<IdpRequestRecord> = z.strictObject({
  v,
  id: key,
  provider: text,
  fresh: z.boolean(),
  earlier: key.nullable(),
  expiresAt: millis,
  state: z.enum(['issued', 'used']),
})

export const sessionRequestSchema: z.ZodType<SessionRequestRecord> = z.strictObject({
  v,
  id: key,
  flow: z.enum(['loopback', 'code']),
  nkey: userNkey,
  issued: key,
  host: z.string().max(64),
  port: z.int().min(1).max(65_535).nullable(),
  createdAt: millis,
  expiresAt: millis,
  state: z.enum(['asked', 'possessed', 'endorsed', 'completed', 'refused']),
  handle: handle.nullable(),
  credential: credentialKey.nullable(),
  completion: key.nullable(),
})

/** Key in `webauthn_identities` that belongs to (issuer, subject): says whose it is. */
export const subjectIndexSchema = z.strictObject({ v, handle })
export type SubjectIndex = z.output<typeof subjectIndexSchema>

/** The record in a KV value. Throws when it is not one; the error names members, never values. */
export function decodeRecord<T>(value: Uint8Array, schema: z.ZodType<T>): T {
  const json = fromUtf8(value)
  const parsed = schema.safeParse(json === null ? undefined : parseStrictJson(json, depthMax))
  if (parsed.success) return parsed.data
  const members = parsed.error.issues.map((issue) => issue.path.join('.') || '(whole)')
  throw new Error(`decoding a record: ${members.slice(0, 5).join(', ')}`)
}

export function encodeRecord(record: object): Uint8Array {
  return Buffer.from(JSON.stringify(record))
}
