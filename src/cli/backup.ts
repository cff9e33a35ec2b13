/** `backup`: the records that have to outlive a lost store, in one signed file. Verifiers go on meanwhile. */
import { resolve } from 'node:path'
import { trailPosition } from '../audit/trail-facts.ts'
import { type Config, readSeed } from '../config.ts'
import { BACKUP_VERSION, type BackupHeader, KEPT_BUCKETS, type KeptBucket } from '../core/backup/backup-format.ts'
import { emptyState } from '../core/backup/restore-plan.ts'
import { opensslEd25519 } from '../core/ed25519.ts'
import { fromUtf8 } from '../core/encoding.ts'
import { issuerFromSeed } from '../nats/answer.ts'
import { type BucketState, bucketState, scanValues } from '../nats/bucket-scan.ts'
import type { Link } from '../nats/connection.ts'
import { addRecord } from '../nats/kept-records.ts'
import type { BucketEntry } from '../nats/kv-bucket.ts'
import { BUCKETS } from '../nats/stores.ts'
import type { Links } from '../verifier-links.ts'
import { VERSION } from '../version.ts'
import { type BackupWriter, createBackup } from './backup-writer.ts'
import { CONFIG_OPTION, type Command, JSON_OPTION } from './command.ts'
import { loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import { asVerifier, recordOwnDoing } from './verifier-user.ts'

export const backup: Command = {
  name: 'backup',
  summary: 'Write credentials, identities and revoked nkeys into one signed file.',
  usage: 'FILE [--json] [-c FILE]',
  examples: ['nats-webauthn backup /var/backups/nats-webauthn/monday.backup'],
  options: { ...CONFIG_OPTION, ...JSON_OPTION },
  positionals: { min: 1, max: 1 },
  async run(input, io) {
    const config = loadConfig(input, io)
    const file = resolve(input.positionals[0] ?? '')
    const written = await asVerifier(config, io, (links) => writeBackup(config, links, file))
    for (const { bucket, key } of written.unreadable) io.say(`left out, for nobody can read it: ${bucket} ${key}`)
    if (input.flag('json')) io.out(JSON.stringify({ file, ...written }))
    else {
      for (const { bucket, records, sequence, included } of written.buckets) {
        io.out(`${bucket.padEnd(26)}  ${String(records).padStart(8)} records  revision ${sequence}${included ? '' : '  not in the file'}`)
      }
      io.out(`${file}: ${written.records} records, sha256 ${written.sha256}`)
    }
    return EXIT.ok
  },
}

interface Written {
  buckets: BackupHeader['buckets']
  records: number
  sha256: string
  /** Live values that are no records: they admit nobody now, and would not then. */
  unreadable: { bucket: KeptBucket; key: string }[]
}

async function writeBackup(config: Config, { auth, audit }: Links, file: string): Promise<Written> {
  const issuerSeed = readSeed(config.callout.issuerSeedFile, 'A')
  // First of all: what the trail says from here on is what a restore adds to what is read below.
  const position = await trailPosition(audit.nats)
  const states = new Map<string, BucketState>()
  for (const bucket of BUCKETS) {
    const state = await bucketState(auth, bucket)
    if (state === null) throw new Error(`backing up ${bucket}: there is no such bucket; has a verifier run?`)
    states.set(bucket, state)
  }
  const header: BackupHeader = {
    backup: 'nats-webauthn',
    v: BACKUP_VERSION,
    createdAt: Date.now(),
    product: VERSION,
    issuer: issuerFromSeed(issuerSeed, opensslEd25519).publicKey,
    audit: position,
    buckets: [...states.values()].map(({ bucket, createdAt, sequence, records }) => ({
      bucket,
      createdAt,
      sequence,
      records,
      included: KEPT_BUCKETS.some((kept) => kept === bucket),
    })),
  }
  const writer = createBackup(file, header, issuerSeed)
  try {
    const unreadable = await copyBuckets(auth, states, writer)
    await recordOwnDoing(config, audit, {
      reason: 'backed_up',
      detail: 'The records of the verifier were copied into a file.',
      facts: { auditSequence: position.sequence, unreadable: unreadable.length },
    })
    const { sha256, records } = writer.finish()
    return { buckets: header.buckets, records, sha256, unreadable }
  } catch (error) {
    writer.abandon()
    throw error
  }
}

/** Credentials first: one that is enrolled meanwhile then has its identity in the file, or is not in it. */
async function copyBuckets(auth: Link, states: ReadonlyMap<string, BucketState>, writer: BackupWriter): Promise<Written['unreadable']> {
  const unreadable: Written['unreadable'] = []
  for (const bucket of KEPT_BUCKETS) {
    const state = states.get(bucket)
    if (state === undefined) throw new Error(`backing up ${bucket}: it was not looked at`)
    await scanValues(auth, state, ({ key, revision, value }: BucketEntry) => {
      if (value === null) return
      try {
        addRecord(emptyState(), { bucket, key, revision, value })
        writer.add({ bucket, key, revision, record: JSON.parse(fromUtf8(value) ?? '') as Record<string, unknown> })
      } catch {
        unreadable.push({ bucket, key })
      }
    })
  }
  return unreadable
}
