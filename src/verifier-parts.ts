/** How each part of the verifier is made from the configuration. Their order is in main.ts. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { systemClock } from './audit/clock.ts'
import { type AuditPublisher, createAuditPublisher } from './audit/publisher.ts'
import { jetStreamSink } from './audit/record-sink.ts'
import { type AuditStreamOptions, ensureStreams, inspectStreams, type StreamWeakness } from './audit/stream.ts'
import type { BreakGlassWatch } from './break-glass.ts'
import { type Config, ConfigInvalid, heldNext, type ListenAddress, readSecretFile, readSeed } from './config.ts'
import type { Journey } from './core/arrival.ts'
import { AUDIT_STREAMS } from './core/audit-streams.ts'
import { createSignatureLimits } from './core/failed-signatures.ts'
import { nkeySignatures } from './core/nkey-signatures.ts'
import type { AuditPort, CredentialPort, LegacyPort, LifecyclePort } from './core/ports.ts'
import type { Crypto } from './crypto.ts'
import { createHttpServer, DEFAULT_RATE_LIMITS } from './http/server.ts'
import { createAnswer, issuerFromSeed } from './nats/answer.ts'
import { type AuthCallout, createAuthCallout } from './nats/auth-callout.ts'
import type { Stores } from './nats/stores.ts'
import { xkeyFromSeed } from './nats/xkey.ts'
import type { Logger } from './observability/logger.ts'
import type { MetricSources, Metrics } from './observability/metrics.ts'
import { createOperationsListener, type OperationsListener } from './observability/operations.ts'
import type { VerdictLog } from './observability/verdict-log.ts'
import { untilThere } from './patience.ts'
import { type PolicyFile, PolicyInvalid, type PolicyRefusal, watchPolicyFile } from './policy/policy-file.ts'
import type { Readiness } from './readiness.ts'
import { type StreamWatch, watchStreams } from './stream-watch.ts'
import { type Links, readPem } from './verifier-links.ts'
import type { Migration } from './verifier-migration.ts'
import type { People } from './verifier-people.ts'
import { refusalLines, type VerifierRecords } from './verifier-records.ts'
import { VERSION } from './version.ts'

/** What comes to be while the verifier starts, and is asked about before it is there. */
export interface Parts {
  stores: Stores | null
  callout: AuthCallout | null
  links: Links | null
  audit: Audit | null
  readiness: Readiness | null
  records: VerifierRecords | null
  breakGlass: BreakGlassWatch | null
  migration: Migration | null
}

/** Numbers that are looked up at each scrape; what is not there yet has none. */
export function metricSources(parts: Parts): MetricSources {
  const stores = () => there(parts.stores)
  return {
    requestsInFlight: () => parts.callout?.inFlight() ?? 0,
    requestsWaiting: () => parts.callout?.waiting() ?? { known: 0, unknown: 0 },
    ready: () => parts.readiness?.isReady() ?? false,
    credentials: () => there(stores().credentials.census()),
    sessions: () => there(stores().sessions.census(new Date())),
    auditQueue: () => {
      const backlog = there(parts.audit).publisher.backlog()
      return {
        [AUDIT_STREAMS.audit]: backlog[AUDIT_STREAMS.audit].records,
        [AUDIT_STREAMS.denials]: backlog[AUDIT_STREAMS.denials].records,
      }
    },
    breakGlassLastUsed: () => parts.breakGlass?.lastUsedAt() ?? 0,
    reportOnly: () => parts.migration?.state(new Date()) ?? { on: false, untilMs: 0, users: 0 },
    natsConnected: () => ({
      AUTH: parts.links?.auth.isConnected() ?? false,
      AUDIT: parts.links?.audit.isConnected() ?? false,
      SYS: parts.links?.system.isConnected() ?? false,
    }),
  }
}

function there<T>(part: T | null): T {
  if (part === null) throw new Error('asking for what is not there yet')
  return part
}

/** The operations listener. Throws OperationsConfigError when its files cannot be used. */
export function openOperations(
  config: Config,
  { parts, log, metrics }: { parts: Parts; log: Logger; metrics: Metrics },
): Promise<OperationsListener> {
  const { listen, auth, tls } = config.operations
  return createOperationsListener({
    listen,
    auth,
    tls,
    metrics,
    ready: () => parts.readiness?.isReady() ?? false,
    failed: (cause) => log.error({ err: cause }, 'operations listener'),
  })
}

/** The policy, and what is recorded of each change. Throws ConfigInvalid when the first one cannot be used. */
export async function openPolicy(
  config: Config,
  { parts, log, metrics }: { parts: Parts; log: Logger; metrics: Metrics },
): Promise<PolicyFile> {
  const { accounts, policyFile: path } = config
  const refused = async (refusal: PolicyRefusal): Promise<void> => {
    metrics.policyRejected()
    for (const line of refusalLines(path, refusal)) log.error(line)
    await parts.records?.policyRefused(refusal)
  }
  let loadedAt = new Date()
  try {
    const policy = await watchPolicyFile({
      path,
      targetAccounts: accounts.targets,
      reservedAccounts: [accounts.auth, accounts.audit, accounts.system],
      onChange: async (next) => {
        if (parts.records === null) throw new Error('taking over a policy while the verifier starts')
        const facts = { roles: next.roles.size }
        await parts.records.record(
          { area: 'policy', outcome: 'succeeded', reason: 'loaded' },
          'A new policy is in force.',
          facts,
          next.hash,
        )
        loadedAt = new Date()
        metrics.policyLoaded({ hash: next.hash, at: loadedAt })
        log.info({ policy: next.hash.slice(0, 12), roles: next.roles.size }, 'policy loaded')
      },
      onRefused: (refusal) => void refused(refusal).catch((cause: unknown) => log.error({ err: cause }, 'recording a refused policy')),
      onMended: ({ hash }) => {
        metrics.policyLoaded({ hash, at: loadedAt })
        log.info({ policy: hash.slice(0, 12) }, 'the policy file holds the policy in force again')
      },
    })
    metrics.policyLoaded({ hash: policy.current().hash, at: loadedAt })
    for (const { line, message } of policy.document().warnings) log.warn(`${path}:${line}: ${message}`)
    return policy
  } catch (error) {
    if (error instanceof PolicyInvalid) throw new ConfigInvalid(refusalLines(path, { kind: 'invalid', issues: [...error.issues] }))
    throw new ConfigInvalid([`${path}: cannot be read`])
  }
}

export interface Audit {
  publisher: AuditPublisher
  /** Records that are durable, counted and logged. */
  lifecycle: LifecyclePort
  /** What the live streams lack. */
  weaknesses: StreamWeakness[]
  streams: StreamWatch
}

/** The audit trail; waits for its streams. */
export async function openAudit(config: Config, links: Links, { metrics, log }: { metrics: Metrics; log: Logger }): Promise<Audit> {
  const options = auditStreamOptions(config)
  const connection = links.audit.nats
  const weaknesses = await untilThere('preparing the audit streams', log, () => ensureStreams(connection, options))
  const publisher = createAuditPublisher({
    sink: jetStreamSink(connection, links.audit.ask),
    origin: { source: `nats-webauthn/${config.nats.name}`, version: VERSION },
    clock: systemClock,
    observer: { published: metrics.auditPublished, coalesced: metrics.auditCoalesced },
    ackBudgetMs: config.audit.ackBudgetMs,
  })
  const lifecycle: LifecyclePort = {
    record: async (event) => {
      await publisher.lifecycle.record(event)
      metrics.lifecycle(event)
      log.info(
        { area: event.area, outcome: event.outcome, reason: event.reason, actor: event.actor.name, target: event.target.id },
        'record',
      )
    },
  }
  const streams = watchStreams(async () => (await inspectStreams(connection, options)).every(({ setting }) => setting !== 'stream'))
  return { publisher, lifecycle, weaknesses, streams }
}

/** The audit streams that the configuration asks for. */
export function auditStreamOptions({ audit }: Config): AuditStreamOptions {
  return {
    replicas: audit.replicas,
    maxBytes: { [AUDIT_STREAMS.audit]: audit.maxBytes, [AUDIT_STREAMS.denials]: audit.denialsMaxBytes },
    maxAgeDays: audit.maxAgeDays,
  }
}

/** The callout, which has not joined the queue group yet. */
export function openCallout(
  config: Config,
  {
    links,
    stores,
    policy,
    log,
    verdicts,
    metrics,
    audit,
    credentials,
    crypto,
    legacy,
  }: {
    links: Links
    stores: Stores
    credentials: CredentialPort
    policy: PolicyFile
    log: Logger
    verdicts: VerdictLog
    metrics: Metrics
    audit: AuditPort
    crypto: Crypto
    legacy: LegacyPort | null
  },
): AuthCallout {
  const { inFlightMax, queueMax, signatureLimits } = config.callout
  const next = heldNext(config)
  const signatures = nkeySignatures(crypto.ed25519)
  const limits = createSignatureLimits(signatureLimits)
  const { sessions, identities, guard } = stores
  const world = { credentials, sessions, identities, guard, audit, signatures, limits, legacy, policy: policy.current }
  const journeyWith = ({ issuerSeedFile, xkeySeedFile }: Pick<Config['callout'], 'issuerSeedFile' | 'xkeySeedFile'>): Journey => {
    const xkey = xkeySeedFile === null ? null : xkeyFromSeed(readSeed(xkeySeedFile, 'X'), crypto.secretBox)
    const issuer = issuerFromSeed(readSeed(issuerSeedFile, 'A'), crypto.ed25519)
    return { rules: config.rules, xkey, world: { ...world, answer: createAnswer({ issuer, xkey, now: () => new Date() }) } }
  }
  if (next !== null) log.info('holding the next issuer and xkey too: a rotation is under way')
  return createAuthCallout({
    connection: links.auth.nats,
    journey: journeyWith(config.callout),
    next: next === null ? null : journeyWith(next),
    observer: {
      verdict: (event) => {
        metrics.verdict(event)
        verdicts.verdict(event)
      },
      stage: metrics.stage,
      // One that found no room is a verdict, `overloaded`, and counted as such.
      shed: (why) => {
        if (why === 'deadline') metrics.shed()
      },
      failed: (cause, id) => log.error({ id, err: cause }, 'deciding a request'),
    },
    inFlightMax,
    queueMax,
    version: VERSION,
  })
}

export interface Enrolment {
  app: FastifyInstance
  address: ListenAddress
}

/** The HTTP listener of machines that enrol and of people, or null where the configuration has none. */
export async function openEnrolment(
  config: Config,
  parts: { stores: Stores; policy: PolicyFile; log: Logger; lifecycle: LifecyclePort; people: People | null },
): Promise<Enrolment | null> {
  const { enrolment, rules } = config
  if (enrolment === null) return null
  const { stores, policy, log, lifecycle, people } = parts
  const { listen, origin, tls, trustedProxies } = enrolment
  const app = createHttpServer({
    rules,
    origin,
    urls: rules.urls.map(({ url }) => url),
    tickets: stores.tickets,
    ceremonies: stores.ceremonies,
    credentials: stores.credentials.records,
    identities: stores.identities,
    lifecycle,
    people: people?.world ?? null,
    page: people?.page ?? null,
    policyHash: () => policy.current().hash,
    logger: log,
    tls: tls === null ? null : { cert: readPem(tls.certFile), key: readSecretFile(tls.keyFile) },
    trustProxy: trustedProxies.length === 0 ? false : trustedProxies,
    rateLimits: DEFAULT_RATE_LIMITS,
    now: () => new Date(),
    random: (bytes) => randomBytes(bytes),
    uuid: () => randomUUID(),
  })
  await app.listen(listen)
  const address = app.server.address()
  return { app, address: typeof address === 'object' && address !== null ? { host: address.address, port: address.port } : listen }
}
