/**
 * Reads a backup file once, line by line, and hands out what it holds only when all of it was written by this deployment and
 * nothing since. What was judged is in memory by then, so whoever changes the file meanwhile changes nothing.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  BACKUP_VERSION,
  type BackupEnd,
  type BackupHeader,
  endSchema,
  entrySchema,
  headerSchema,
  signedEnd,
} from '../core/backup/backup-format.ts'
import { emptyState, type KeptState } from '../core/backup/restore-plan.ts'
import { ed25519PublicKey, ed25519Verify } from '../core/ed25519.ts'
import { fromBase64url, fromUtf8, utf8 } from '../core/encoding.ts'
import { decodePublicNkey } from '../core/nkey.ts'
import { parseStrictJson } from '../core/strict-json.ts'
import { addRecord } from '../nats/kept-records.ts'

/** Why a backup is not taken. */
export type BackupRefusal =
  | 'format_unknown'
  | 'version_unknown'
  | 'line_too_long'
  | 'record_invalid'
  | 'truncated'
  | 'digest_mismatch'
  | 'signature_invalid'
  | 'other_deployment'

export interface Backup {
  header: BackupHeader
  end: BackupEnd
  state: KeptState
}

export type BackupRead = { ok: true; backup: Backup } | { ok: false; reason: BackupRefusal; line: number }

// A value is 64 KiB at most; written as JSON in JSON it stays far below this.
const lineBytesMax = 256 * 1024
const depthMax = 12

/** `issuers`: public keys whose backups are this deployment's. Throws when the file cannot be read. */
export async function readBackup(path: string, issuers: readonly string[]): Promise<BackupRead> {
  const reading = new Reading(issuers)
  for await (const line of linesOf(path)) {
    const refused = line === null ? 'line_too_long' : reading.take(line)
    if (refused !== null) return { ok: false, reason: refused, line: reading.lines + (line === null ? 1 : 0) }
  }
  return reading.result()
}

class Reading {
  readonly #issuers: readonly string[]
  readonly #digest: Hash = createHash('sha256')
  readonly #state: KeptState = emptyState()
  #header: BackupHeader | null = null
  #end: BackupEnd | null = null
  #records = 0
  lines = 0

  constructor(issuers: readonly string[]) {
    this.#issuers = issuers
  }

  /** One line with its end. Why the file is refused, or null. */
  take(line: Uint8Array): BackupRefusal | null {
    this.lines++
    // Nothing follows the end, not even a second one.
    if (this.#end !== null) return 'format_unknown'
    const text = fromUtf8(line.subarray(0, -1))
    if (line.at(-1) !== 0x0a) return 'truncated'
    const json = text === null ? undefined : parseStrictJson(text, depthMax)
    if (this.#header === null) {
      this.#digest.update(line)
      return this.#takeHeader(json)
    }
    const end = endSchema.safeParse(json)
    if (end.success) {
      this.#end = end.data
      return null
    }
    this.#digest.update(line)
    return this.#takeEntry(json)
  }

  #takeHeader(json: unknown): BackupRefusal | null {
    const header = headerSchema.safeParse(json)
    if (header.success) {
      this.#header = header.data
      return this.#issuers.includes(header.data.issuer) ? null : 'other_deployment'
    }
    const named = json !== null && typeof json === 'object' && 'backup' in json && json.backup === 'nats-webauthn'
    return named && 'v' in json && json.v !== BACKUP_VERSION ? 'version_unknown' : 'format_unknown'
  }

  #takeEntry(json: unknown): BackupRefusal | null {
    const entry = entrySchema.safeParse(json)
    if (!entry.success) return 'record_invalid'
    const { bucket, key, revision, record } = entry.data
    this.#records++
    try {
      addRecord(this.#state, { bucket, key, revision, value: utf8(JSON.stringify(record)) })
      return null
    } catch {
      return 'record_invalid'
    }
  }

  result(): BackupRead {
    const [header, end] = [this.#header, this.#end]
    const refused = (reason: BackupRefusal) => ({ ok: false as const, reason, line: this.lines })
    if (header === null || end === null) return refused('truncated')
    if (end.records !== this.#records || end.sha256 !== this.#digest.digest('base64url')) return refused('digest_mismatch')
    const [key, signature] = [decodePublicNkey('A', header.issuer), fromBase64url(end.signature)]
    const isSigned = key !== null && signature !== null && ed25519Verify(ed25519PublicKey(key), signedEnd(end), signature)
    return isSigned ? { ok: true, backup: { header, end, state: this.#state } } : refused('signature_invalid')
  }
}

/** Lines with their ends; null for one that is too long, after which there is nothing. */
async function* linesOf(path: string): AsyncGenerator<Uint8Array | null> {
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(path)) {
    rest = Buffer.concat([rest, chunk as Buffer])
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      if (end >= lineBytesMax) return yield null
      yield rest.subarray(0, end + 1)
      rest = rest.subarray(end + 1)
    }
    if (rest.length > lineBytesMax) return yield null
  }
  if (rest.length > 0) yield rest
}
