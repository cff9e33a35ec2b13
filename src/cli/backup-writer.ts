/** Writes a backup file: for its owner alone, never over another, and not there at all unless it is whole. */
import { createHash } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from 'node:fs'
import { type BackupEntry, type BackupHeader, signedEnd } from '../core/backup/backup-format.ts'
import { ed25519PrivateKey, ed25519Sign } from '../core/ed25519.ts'
import { base64url } from '../core/encoding.ts'
import { decodeSeed } from '../core/nkey.ts'

export interface BackupWriter {
  add(entry: BackupEntry): void
  /** Signs, and puts the file where it belongs. Its digest. */
  finish(): { sha256: string; records: number }
  /** Takes back what was written so far. */
  abandon(): void
}

/** `issuerSeed` signs the end. Throws when `path` is there already. */
export function createBackup(path: string, header: BackupHeader, issuerSeed: string): BackupWriter {
  const raw = decodeSeed('A', issuerSeed)
  if (raw === null) throw new Error('reading the issuer seed: it is not an account seed (SA…)')
  if (existsSync(path)) throw new Error(`writing ${path}: it is there already`)
  const part = `${path}.part`
  const file = openSync(part, 'wx', 0o600)
  const digest = createHash('sha256')
  let records = 0
  const write = (value: object): void => {
    const line = `${JSON.stringify(value)}\n`
    digest.update(line)
    writeSync(file, line)
  }
  let isOpen = true
  const abandon = (): void => {
    if (isOpen) closeSync(file)
    isOpen = false
    rmSync(part, { force: true })
  }
  try {
    write(header)
  } catch (error) {
    abandon()
    throw error
  }
  return {
    abandon,
    add: (entry) => {
      records++
      write(entry)
    },
    finish: () => {
      const sha256 = digest.digest('base64url')
      const signature = base64url(ed25519Sign(ed25519PrivateKey(raw), signedEnd({ sha256, records })))
      writeSync(file, `${JSON.stringify({ end: 'nats-webauthn', records, sha256, signature })}\n`)
      fsyncSync(file)
      // Unlike a rename, this takes nobody's place.
      linkSync(part, path)
      abandon()
      return { sha256, records }
    },
  }
}
