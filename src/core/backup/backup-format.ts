/**
 * A backup file: JSON lines. A header, a line for each record, and an end that signs everything before it with the issuer's
 * key, because whoever could change a backup could write themselves into the buckets by it (docs/backup.md).
 */
import { z } from 'zod'
import { lengthPrefixed } from '../encoding.ts'
import { decodePublicNkey } from '../nkey.ts'

export const BACKUP_VERSION = 1

/** The buckets whose records a backup holds. The others are short-lived: whoever was in the middle of something begins again. */
export const KEPT_BUCKETS = ['webauthn_credentials', 'webauthn_identities', 'webauthn_revoked_nkeys'] as const
export type KeptBucket = (typeof KEPT_BUCKETS)[number]

const name = z.string().min(1).max(128)
const count = z.int().nonnegative()
const moment = z.string().min(20).max(40)

export const headerSchema = z.strictObject({
  backup: z.literal('nats-webauthn'),
  v: z.literal(BACKUP_VERSION),
  /** Epoch milliseconds. */
  createdAt: count,
  /** Version of nats-webauthn. */
  product: name,
  /** Public key that the end is signed with: whose deployment this is. */
  issuer: z.string().refine((key) => decodePublicNkey('A', key) !== null),
  /** The last record of the audit trail before the first bucket was read. */
  audit: z.strictObject({ stream: name, sequence: z.int().positive(), storedAt: moment }),
  /** Every bucket as it was when reading began. `sequence`: its revision. */
  buckets: z.array(z.strictObject({ bucket: name, createdAt: moment, sequence: count, records: count, included: z.boolean() })).max(64),
})
export type BackupHeader = z.output<typeof headerSchema>

export const entrySchema = z.strictObject({
  bucket: z.enum(KEPT_BUCKETS),
  key: z.string().min(1).max(256),
  revision: z.int().positive(),
  record: z.record(z.string(), z.unknown()),
})
export type BackupEntry = z.output<typeof entrySchema>

export const endSchema = z.strictObject({
  end: z.literal('nats-webauthn'),
  /** How many records there are. */
  records: count,
  /** SHA-256 of every byte before this line, unpadded base64url. */
  sha256: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  /** Ed25519 signature of signedEnd, unpadded base64url. */
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
})
export type BackupEnd = z.output<typeof endSchema>

/** What the issuer signs. It begins with a zero byte, so no JWT and no nonce ever looks like it. */
export function signedEnd({ sha256, records }: { sha256: string; records: number }): Uint8Array {
  return lengthPrefixed('nats-webauthn/backup/v1', sha256, String(records))
}
