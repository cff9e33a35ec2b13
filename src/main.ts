/**
 * The verifier, put together: what is read from the configuration, what is connected to what, what happens when it
 * begins, is not ready, and ends. Nothing is decided here.
 */
import type { BreakGlassWatch } from './break-glass.ts'
import { type Config, ConfigInvalid, dangers, type ListenAddress, secretProblems } from './config.ts'
import { chooseCrypto } from './crypto.ts'
import type { AdminApi } from './nats/admin.ts'
import type { AuthCallout } from './nats/auth-callout.ts'
import type { Kicker } from './nats/kicker.ts'
import type { Stores } from './nats/stores.ts'
import { createLogger, type Logger } from './observability/logger.ts'
import { createMetrics } from './observability/metrics.ts'
import type { OperationsListener } from './observability/operations.ts'
import { createVerdictLog, type VerdictLog } from './observability/verdict-log.ts'
import { inTime } from './patience.ts'
import type { PolicyFile } from './policy/policy-file.ts'
import type { Quarantine } from './quarantine.ts'
import { type Readiness, watchReadiness } from './readiness.ts'
import { drainLinks, type Links, openLinks } from './verifier-links.ts'
import { type Migration, openMigration } from './verifier-migration.ts'
import {
  type Audit,
  type Enrolment,
  metricSources,
  openAudit,
  openCallout,
  openEnrolment,
  openOperations,
  openPolicy,
  type Parts,
} from './verifier-parts.ts'
import { openPeople, type People } from './verifier-people.ts'
import { recordStart, type VerifierRecords, verifierRecords } from './verifier-records.ts'
import { openAdmin, openState } from './verifier-state.ts'
import { VERSION } from './version.ts'

export interface Verifier {
  isReady(): boolean
  /** Where /metrics, /livez and /readyz are. */
  operations: ListenAddress
  /** Where machines enrol and people sign in, or null. */
  enrolment: ListenAddress | null
  /** Reads the policy file and the metadata file now, as SIGHUP does. */
  reloadPolicy(): Promise<void>
  /** Drains: no request that was taken stays unanswered or unrecorded. */
  stop(): Promise<void>
}

// Service managers kill after 30 seconds. With every step as slow as it may be, the last line is written before that.
const drainMsMax = 20_000
const drainStepMs = { max: 5_000, min: 250 } as const
const flushMsMax = 4_000

/** Starts a verifier; resolves when it is ready. Throws ConfigInvalid before anything is connected. `log` is stderr by default. */
export async function startVerifier(
  config: Config,
  log: Logger = createLogger({ level: config.logLevel, name: config.nats.name }),
): Promise<Verifier> {
  const problems = secretProblems(config)
  if (problems.length > 0) throw new ConfigInvalid(problems)
  for (const danger of dangers(config)) log.warn(danger)
  const parts: Parts = {
    stores: null,
    callout: null,
    links: null,
    audit: null,
    readiness: null,
    records: null,
    breakGlass: null,
    migration: null,
  }
  // Undone from the last to the first when the start fails.
  const started: (() => unknown)[] = []
  try {
    return await assemble(config, log, parts, started)
  } catch (error) {
    for (const undo of started.toReversed())
      await Promise.resolve(undo()).catch((cause: unknown) => log.warn({ err: cause }, 'ending a failed start'))
    throw error
  }
}

async function assemble(config: Config, log: Logger, parts: Parts, started: (() => unknown)[]): Promise<Verifier> {
  const metrics = createMetrics({
    build: { version: VERSION, revision: process.env['NATS_WEBAUTHN_REVISION'] ?? '' },
    sources: metricSources(parts),
  })
  const crypto = chooseCrypto(process.env['NATS_WEBAUTHN_CRYPTO'])
  log.info({ implementation: crypto.name }, 'cryptography')
  const policy = await openPolicy(config, { parts, log, metrics })
  started.push(() => policy.close())
  const migration = openMigration(config, { parts, log })
  parts.migration = migration
  started.push(migration.stop)
  // First of all listeners: whoever starts the verifier can see that it lives while it waits for NATS.
  const operations = await openOperations(config, { parts, log, metrics })
  started.push(() => operations.close())

  const links = await openLinks(config, log)
  parts.links = links
  started.push(() => drainLinks(links))
  const audit = await openAudit(config, links, { metrics, log })
  parts.audit = audit
  started.push(() => audit.streams.stop())
  const records = verifierRecords({ lifecycle: audit.lifecycle, name: config.nats.name, policyHash: () => policy.current().hash })
  parts.records = records

  const state = await openState(config, { links, audit, policy, log })
  const { stores, kicker, evictions, quarantine } = state
  Object.assign(parts, { stores, breakGlass: state.breakGlass })
  started.push(state.stop)
  const verdicts = createVerdictLog(log)
  const callout = openCallout(config, {
    links,
    stores,
    policy,
    log,
    verdicts,
    metrics,
    audit: audit.publisher.audit,
    credentials: quarantine.watched,
    crypto,
    legacy: migration.port,
  })
  parts.callout = callout
  const people = await openPeople(config, { stores, evictions, policy, lifecycle: audit.lifecycle, log })
  started.push(() => people?.metadata.close())
  const enrolment = await openEnrolment(config, { stores, policy, log, lifecycle: audit.lifecycle, people })
  started.push(() => enrolment?.app.close())
  const admin = openAdmin(config, { links, stores, kicker, audit, policy, parts, log })
  started.push(() => admin.stop())

  await recordStart(records, { differences: stores.differences, weaknesses: audit.weaknesses })
  await migration.recordStart()
  void state.breakGlass?.look()
  const readiness = await becomeReady({ links, stores, callout, records, log, streams: audit.streams })
  parts.readiness = readiness
  return verifierOf({
    readiness,
    callout,
    verdicts,
    admin,
    enrolment,
    people,
    kicker,
    quarantine,
    breakGlass: state.breakGlass,
    records,
    audit,
    policy,
    migration,
    stores,
    links,
    operations,
    log,
  })
}

function verifierOf(running: Parameters<typeof stop>[0]): Verifier {
  const { readiness, operations, enrolment, policy, people, migration, log } = running
  let stopping: Promise<void> | null = null
  return {
    isReady: readiness.isReady,
    operations: operations.address,
    enrolment: enrolment?.address ?? null,
    reloadPolicy: async () => {
      const { outcome } = await policy.reload()
      await people?.metadata.reload()
      await migration.reload()
      log.info({ outcome, policy: policy.current().hash.slice(0, 12) }, 'policy read again')
    },
    stop: () => (stopping ??= stop(running)),
  }
}

/** Joins the queue group for the first time, and from then on leaves and joins by itself. */
function becomeReady({
  links,
  stores,
  callout,
  records,
  log,
  streams,
}: {
  links: Links
  stores: Stores
  callout: AuthCallout
  records: VerifierRecords
  log: Logger
  streams: { there(): boolean }
}): Promise<Readiness> {
  return new Promise((resolve) => {
    const readiness = watchReadiness({
      checks: {
        nats_auth: links.auth.isConnected,
        nats_audit: links.audit.isConnected,
        nats_system: links.system.isConnected,
        stores: stores.isHealthy,
        streams: streams.there,
      },
      // Meanwhile nothing rests on what the stores remember: they ask the leader.
      patienceMs: { stores: 1_000 },
      onChange: async (ready, failing) => {
        if (ready) {
          await records.record({ area: 'verifier', outcome: 'succeeded', reason: 'ready' }, 'The verifier takes requests.')
          await callout.join()
          log.info('ready')
          resolve(readiness)
          return
        }
        log.warn({ failing }, 'not ready')
        await callout.leave()
        const facts = { failing: failing.join(' ') }
        await records
          .record({ area: 'verifier', outcome: 'succeeded', reason: 'not_ready' }, 'The verifier left the queue group.', facts)
          .catch((cause: unknown) => log.warn({ err: cause }, 'recording that the verifier is not ready'))
      },
      onFailure: (cause) => log.error({ err: cause }, 'changing readiness'),
    })
    for (const link of Object.values(links)) link.onChange(() => readiness.refresh())
  })
}

/** SIGTERM: first nothing new, then everything taken, then what is written about it, then the connections. */
async function stop(verifier: {
  readiness: Readiness
  callout: AuthCallout
  verdicts: VerdictLog
  admin: AdminApi
  enrolment: Enrolment | null
  people: People | null
  kicker: Kicker
  quarantine: Quarantine
  breakGlass: BreakGlassWatch | null
  records: VerifierRecords
  audit: Audit
  policy: PolicyFile
  migration: Migration
  stores: Stores
  links: Links
  operations: OperationsListener
  log: Logger
}): Promise<void> {
  const {
    readiness,
    callout,
    verdicts,
    admin,
    enrolment,
    people,
    kicker,
    quarantine,
    breakGlass,
    records,
    audit,
    policy,
    migration,
    stores,
    links,
    operations,
    log,
  } = verifier
  const endsAt = performance.now() + drainMsMax
  const msLeft = () => Math.max(drainStepMs.min, Math.min(drainStepMs.max, endsAt - performance.now()))
  const step = async (name: string, work: () => Promise<unknown> | undefined, ms = msLeft()) => {
    const done = await inTime(Promise.resolve(work()), ms).catch((cause: unknown) => {
      log.error({ err: cause, step: name }, 'draining')
      return true
    })
    if (!done) log.error({ step: name }, 'draining takes too long; going on')
  }
  log.info('draining')
  await step('readiness', () => readiness.stop())
  await step('leave', () => callout.leave())
  await step('in flight', () => callout.idle())
  verdicts.settle()
  await step('quarantine', () => quarantine.settled())
  await step('enrolment', () => enrolment?.app.close())
  await step('admin', () => admin.stop())
  await step('kicks', () => kicker.settle())
  await step('record', () => records.record({ area: 'verifier', outcome: 'succeeded', reason: 'stopped' }, 'The verifier stopped.'))
  const flush = async () => {
    const left = await audit.publisher.flush(flushMsMax)
    if (left.records > 0) log.error(left, 'audit records that could not be sent')
  }
  // However long the steps before it took: here it is said what was lost.
  await step('audit', flush, drainStepMs.max)
  kicker.stop()
  breakGlass?.stop()
  audit.streams.stop()
  policy.close()
  people?.metadata.close()
  await step('migration', () => migration.stop())
  stores.stop()
  await step('connections', () => drainLinks(links))
  await step('operations', () => operations.close())
  log.info('stopped')
}
