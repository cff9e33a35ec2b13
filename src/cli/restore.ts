/**
 * `restore`: puts back what a backup holds, less everything that was taken away since (ADR-0019). Live records are narrowed at
 * most, and what the audit trail cannot vouch for admits nobody until an administrator says so.
 */
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { ensureStreams } from '../audit/stream.ts'
import { factsSince, type TrailFacts } from '../audit/trail-facts.ts'
import { type Config, readSeed } from '../config.ts'
import { KEPT_BUCKETS } from '../core/backup/backup-format.ts'
import { collectFacts } from '../core/backup/facts.ts'
import { planRestore, type RestoreAction, type RestorePlan } from '../core/backup/restore-plan.ts'
import { opensslEd25519 } from '../core/ed25519.ts'
import { base64url } from '../core/encoding.ts'
import { decodePublicNkey } from '../core/nkey.ts'
import { issuerFromSeed } from '../nats/answer.ts'
import { openLink } from '../nats/connection.ts'
import { readLive, writeRecords } from '../nats/kept-records.ts'
import { runningVerifiers } from '../nats/running-verifiers.ts'
import { openKeptBuckets } from '../nats/stores.ts'
import { type Links, tlsOptions } from '../verifier-links.ts'
import { auditStreamOptions } from '../verifier-parts.ts'
import { type Backup, readBackup } from './backup-reader.ts'
import { CONFIG_OPTION, type Command, type CommandInput, type CommandIo, JSON_OPTION, UsageError } from './command.ts'
import { loadConfig } from './config-file.ts'
import { publicKeyOf } from './deployment-files.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { restoreReport } from './restore-report.ts'
import { asVerifier, recordOwnDoing } from './verifier-user.ts'

export const restore: Command = {
  name: 'restore',
  summary: 'Put a backup back, without anything that was revoked since.',
  usage: 'FILE [--dry-run] [--accept-gap] [--issuer KEY]… [--auditor-seed-file FILE] [--json] [-c FILE]',
  examples: ['nats-webauthn restore monday.backup --dry-run', 'nats-webauthn restore monday.backup'],
  options: {
    'dry-run': { type: 'boolean', help: 'Say what would be written, and write nothing.' },
    'accept-gap': {
      type: 'boolean',
      help: 'Go on although the audit trail does not reach back to the backup: what is restored is on hold until an administrator lets it go.',
    },
    issuer: {
      type: 'string',
      multiple: true,
      value: 'KEY',
      help: 'Public key (A…) of an earlier issuer of this deployment, whose backups are good too.',
    },
    'auditor-seed-file': {
      type: 'string',
      value: 'FILE',
      help: "Seed of the auditor's user; auditor.seed_file of the configuration otherwise.",
    },
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 1, max: 1 },
  async run(input, io) {
    const config = loadConfig(input, io)
    const earlier = input.texts('issuer')
    if (earlier.some((key) => decodePublicNkey('A', key) === null)) throw new UsageError('--issuer takes the public key of an account: A…')
    const auditorSeedFile = auditorSeed(input, config)
    const own = issuerFromSeed(readSeed(config.callout.issuerSeedFile, 'A'), opensslEd25519).publicKey
    const file = resolve(input.positionals[0] ?? '')
    const read = await readBackup(file, [own, ...earlier])
    if (!read.ok) return refuse(io, input, read.reason, `${file}:${read.line}: ${REFUSALS[read.reason]}`)
    return asVerifier(config, io, (links) => restoreFrom(read.backup, { config, links, auditorSeedFile, input, io }))
  },
}

const REFUSALS = {
  format_unknown: 'not a backup of nats-webauthn',
  version_unknown: 'a backup of another version of nats-webauthn',
  line_too_long: 'a line that no backup has',
  record_invalid: 'a record that no backup has',
  truncated: 'the end is missing',
  digest_mismatch: 'changed since it was written',
  signature_invalid: 'not signed by the issuer that it names',
  other_deployment: 'signed by another issuer; --issuer names one that this deployment had before',
  verifiers_running: 'stop every verifier first: while they run, what is being put back is given to others',
  servers_silent: 'no server says whether verifiers are running; is system_seed_file right?',
  audit_gap: 'the audit trail does not say what was revoked since; --accept-gap puts everything on hold that is restored',
} as const
type Refusal = keyof typeof REFUSALS

interface Task {
  config: Config
  links: Links
  auditorSeedFile: string
  input: CommandInput
  io: CommandIo
}

async function restoreFrom(backup: Backup, task: Task): Promise<ExitCode> {
  const { config, links, input, io } = task
  const dryRun = input.flag('dry-run')
  if (!dryRun) {
    const { accounts, nats } = config
    const others = await runningVerifiers(links.system, {
      account: accounts.auth,
      nkey: publicKeyOf(nats.seedFiles.auth),
      own: links.auth,
    })
    if (others === null) return refuse(io, input, 'servers_silent')
    if (others.length > 0) return refuse(io, input, 'verifiers_running', `${REFUSALS.verifiers_running}: ${others.join(', ')}`)
  }
  io.say('reading the audit trail')
  const trail = await readTrail(backup, task)
  if (trail.gap !== null && !input.flag('accept-gap')) {
    if (!dryRun) return refuse(io, input, 'audit_gap', `${REFUSALS.audit_gap} (${trail.gap})`)
    io.say(`nats-webauthn: ${REFUSALS.audit_gap} (${trail.gap})`)
  }
  io.say('reading the live buckets')
  const live = await readLive(links.auth, KEPT_BUCKETS)
  const { add, facts } = collectFacts()
  for (const fact of trail.facts) add(fact)
  const gap = trail.gap !== null
  const plan = planRestore({ backup: backup.state, live, facts, gap, userHandle: () => base64url(randomBytes(32)) })
  if (!dryRun) await apply(plan, backup, gap, task)
  const report = restoreReport({ plan, backup, facts, trail, dryRun })
  if (input.flag('json')) io.out(JSON.stringify(report.json))
  else for (const line of report.lines) io.out(line)
  return EXIT.ok
}

async function readTrail({ header }: Backup, { config, auditorSeedFile }: Task): Promise<TrailFacts> {
  const auditor = await openLink({
    name: 'nats-webauthn CLI (auditor)',
    servers: config.nats.servers,
    seed: readSeed(auditorSeedFile, 'U'),
    inboxPrefix: '_INBOX_auditor',
    tls: tlsOptions(config.nats.tls),
    waitForServer: false,
    onEvent: () => {},
  })
  try {
    return await factsSince(auditor.nats, header.audit)
  } finally {
    await auditor.drain()
  }
}

/** The record first, then the writes: a restore that stops half-way is on record, and may be run again. */
async function apply(plan: RestorePlan, { header, end }: Backup, gap: boolean, { config, links, io }: Task): Promise<void> {
  await ensureStreams(links.audit.nats, auditStreamOptions(config))
  await recordOwnDoing(config, links.audit, {
    reason: 'restored',
    detail: 'Records of a backup were put back, and narrowed by what the trail says since.',
    facts: {
      backupAt: header.createdAt,
      backup: end.sha256,
      auditSequence: header.audit.sequence,
      gapAccepted: gap,
      ...countActions(plan),
      conflicts: plan.conflicts.length,
    },
  })
  io.say(`writing ${plan.writes.length} records`)
  await writeRecords(await openKeptBuckets(links.auth, config.nats.replicas), plan.writes)
}

/** How many records each action writes. */
function countActions({ writes }: RestorePlan): Record<RestoreAction, number> {
  const counts = { restored: 0, narrowed: 0, reserved: 0, held: 0 }
  for (const { action } of writes) counts[action]++
  return counts
}

function auditorSeed(input: CommandInput, config: Config): string {
  const named = input.text('auditor-seed-file')
  const file = named === undefined ? config.auditor?.seedFile : resolve(named)
  if (file === undefined) throw new UsageError('only an auditor may read what was revoked since: give --auditor-seed-file FILE')
  return file
}

function refuse(io: CommandIo, input: CommandInput, reason: Refusal, message: string = REFUSALS[reason]): ExitCode {
  if (input.flag('json')) io.out(JSON.stringify({ refused: reason }))
  io.say(`nats-webauthn: ${message}`)
  return EXIT.refused
}
