/**
 * What Prometheus sees (docs/metrics.md). Every label value comes from a closed set and every series is there from the
 * start, so traffic changes values and never the number of series.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { LIFECYCLE, type LifecycleEvent, type VerdictEvent } from '../core/audit-event.ts'
import { type Outcome, STAGES, type Stage, VERDICTS } from '../core/denial.ts'

/** States as they are now, asked for at each scrape: a count that is kept can drift, the truth cannot. */
export interface MetricSources {
  requestsInFlight(): number
  ready(): boolean
  /** Throws or rejects when unknown; then the scrape has no such series. */
  credentials(): CountsByState<(typeof CREDENTIAL_STATES)[number]>
  sessions(): CountsByState<(typeof SESSION_STATES)[number]>
  /** Records that wait, by stream. */
  auditQueue(): Record<AuditStream, number>
  natsConnected(): Record<NatsAccount, boolean>
}
type CountsByState<State extends string> = Record<State, number> | Promise<Record<State, number>>

export interface MetricsOptions {
  build: { version: string; revision: string }
  sources: MetricSources
}

/** What the rest of the verifier tells. Cheap: a verdict costs a few microseconds. */
export interface Metrics {
  verdict(event: VerdictEvent): void
  lifecycle(event: Pick<LifecycleEvent, 'area' | 'outcome' | 'reason'>): void
  stage(stage: Stage, seconds: number): void
  /** A request that was dropped unanswered because its deadline had passed. */
  shed(): void
  auditPublished(stream: AuditStream, outcome: PublishOutcome, seconds: number): void
  auditCoalesced(verdicts: number): void
  policyLoaded(policy: { hash: string; at: Date }): void
  policyRejected(): void
  metricsAuthFailed(mode: MetricsAuthMode): void
  /** The exposition. Scrapes at the same time share one. */
  exposition(): Promise<{ contentType: string; body: string }>
  registry: Registry
}

const CREDENTIAL_STATES = ['pending', 'active', 'quarantined', 'revoked'] as const
const SESSION_STATES = ['pending', 'active', 'revoked'] as const
const AUDIT_STREAMS = ['WEBAUTHN_AUDIT', 'WEBAUTHN_DENIALS'] as const
const PUBLISH_OUTCOMES = ['stored', 'duplicate', 'failed'] as const
const NATS_ACCOUNTS = ['AUTH', 'AUDIT', 'SYS'] as const
const METRICS_AUTH_MODES = ['basic', 'bearer', 'mtls'] as const
type AuditStream = (typeof AUDIT_STREAMS)[number]
type PublishOutcome = (typeof PUBLISH_OUTCOMES)[number]
type NatsAccount = (typeof NATS_ACCOUNTS)[number]
export type MetricsAuthMode = (typeof METRICS_AUTH_MODES)[number]

// 0.5 is the objective; 1.5 and 4.5 are the deadlines (exp − iat − 0.5 s) of authorization.timeout 2 and 5; 0.4 is the
// audit budget.
const verdictBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 4.5]
const stageBucketsSeconds = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 2]
const publishBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 1, 2, 5]

/** Metrics with a registry of their own: two verifiers in one process do not collide. */
export function createMetrics({ build, sources }: MetricsOptions): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const verdicts = new Counter({ name: 'nats_webauthn_verdicts_total', help: 'Verdicts on authorization requests.', labelNames: ['outcome', 'reason'], registers })
  const verdictOf = new Map(VERDICTS.map(({ outcome, reason }) => [`${outcome} ${reason}`, preset(verdicts, { outcome, reason })]))
  const durations = new Histogram({
    name: 'nats_webauthn_verdict_duration_seconds', help: 'Time from a request\'s arrival to its verdict.', labelNames: ['outcome'], buckets: verdictBucketsSeconds, registers,
  })
  const durationOf = byLabel(['granted', 'denied', 'error'] satisfies Outcome[], (outcome) => zeroed(durations, { outcome }))
  const stages = new Histogram({
    name: 'nats_webauthn_stage_duration_seconds', help: 'Time spent in each stage of the journey.', labelNames: ['stage'], buckets: stageBucketsSeconds, registers,
  })
  const stageOf = byLabel(STAGES, (stage) => zeroed(stages, { stage }))
  const shed = new Counter({ name: 'nats_webauthn_requests_shed_total', help: 'Requests dropped unanswered because their deadline had passed.', registers })

  const lifecycle = new Counter({ name: 'nats_webauthn_lifecycle_total', help: 'Audited events that are not verdicts.', labelNames: ['area', 'outcome', 'reason'], registers })
  const lifecycleOf = new Map(lifecycleCodes().map((code) => [`${code.area} ${code.outcome} ${code.reason}`, preset(lifecycle, code)]))

  const records = new Counter({ name: 'nats_webauthn_audit_records_total', help: 'Attempts to publish an audit record, by result.', labelNames: ['stream', 'outcome'], registers })
  const recordOf = byLabel(AUDIT_STREAMS, (stream) => byLabel(PUBLISH_OUTCOMES, (outcome) => preset(records, { stream, outcome })))
  const publishes = new Histogram({ name: 'nats_webauthn_audit_publish_duration_seconds', help: 'Time from publishing an audit record to its acknowledgement.', buckets: publishBucketsSeconds, registers })
  const coalesced = new Counter({ name: 'nats_webauthn_audit_coalesced_total', help: 'Verdicts whose audit record stands for more than one.', registers })

  const policySuccess = new Gauge({ name: 'nats_webauthn_policy_last_reload_successful', help: 'Whether the last attempt to load the policy succeeded.', registers })
  const policyTime = new Gauge({ name: 'nats_webauthn_policy_last_reload_success_timestamp_seconds', help: 'When the policy in force was loaded.', registers })
  const policyInfo = new Gauge({ name: 'nats_webauthn_policy_info', help: 'The policy in force, by the SHA-256 of its file.', labelNames: ['hash'], registers })
  const authFailures = new Counter({ name: 'nats_webauthn_metrics_auth_failures_total', help: 'Refused requests for the metrics.', labelNames: ['mode'], registers })
  const authFailureOf = byLabel(METRICS_AUTH_MODES, (mode) => preset(authFailures, { mode }))
  new Gauge({ name: 'nats_webauthn_build_info', help: 'The running program.', labelNames: ['version', 'revision', 'node'], registers })
    .set({ ...build, node: process.version }, 1)
  registerSources(sources, registry)

  let scrape: Promise<string> | null = null
  return {
    registry,
    verdict(event) {
      const { outcome, reason } = event.verdict
      verdictOf.get(`${outcome} ${reason}`)?.inc(event.count)
      durationOf[outcome].observe(event.durationMs / 1000)
    },
    lifecycle: ({ area, outcome, reason }) => lifecycleOf.get(`${area} ${outcome} ${reason}`)?.inc(),
    stage: (stage, seconds) => stageOf[stage].observe(seconds),
    shed: () => shed.inc(),
    auditPublished(stream, outcome, seconds) {
      recordOf[stream][outcome].inc()
      if (outcome !== 'failed') publishes.observe(seconds)
    },
    auditCoalesced: (count) => coalesced.inc(count),
    policyLoaded({ hash, at }) {
      policySuccess.set(1)
      policyTime.set(at.getTime() / 1000)
      policyInfo.reset()
      policyInfo.set({ hash }, 1)
    },
    policyRejected: () => policySuccess.set(0),
    metricsAuthFailed: (mode) => authFailureOf[mode].inc(),
    async exposition() {
      scrape ??= registry.metrics().finally(() => {
        scrape = null
      })
      return { contentType: registry.contentType, body: await scrape }
    },
  }
}

/** Gauges that are computed when somebody looks. */
function registerSources(sources: MetricSources, registry: Registry): void {
  const gauge = <Label extends string>(name: string, help: string, label: Label | null, read: () => Values | Promise<Values>) =>
    new Gauge({
      name, help, labelNames: label === null ? [] : [label], registers: [registry],
      async collect() {
        try {
          for (const [value, count] of Object.entries(await read())) {
            if (label === null) this.set(count)
            else this.set({ [label]: value } as Record<Label, string>, count)
          }
        } catch {
          // An old number would be a lie; Prometheus marks a missing series as stale.
          this.reset()
          if (label === null) this.remove({})
        }
      },
    })
  gauge('nats_webauthn_requests_in_flight', 'Requests that are being decided.', null, () => ({ all: sources.requestsInFlight() }))
  gauge('nats_webauthn_ready', 'Whether the verifier takes requests.', null, () => ({ all: Number(sources.ready()) }))
  gauge('nats_webauthn_credentials', 'Enrolled credentials by state.', 'state', () => sources.credentials())
  gauge('nats_webauthn_sessions', 'Endorsed sessions by state.', 'state', () => sources.sessions())
  gauge('nats_webauthn_audit_queue_records', 'Audit records that wait to be published.', 'stream', () => sources.auditQueue())
  gauge('nats_webauthn_nats_connected', 'Whether the connection to each account is up.', 'account', () =>
    Object.fromEntries(Object.entries(sources.natsConnected()).map(([account, up]) => [account, Number(up)])))
}
type Values = Record<string, number>

function lifecycleCodes(): { area: string; outcome: string; reason: string }[] {
  return Object.entries(LIFECYCLE).flatMap(([area, outcomes]) =>
    Object.entries(outcomes).flatMap(([outcome, reasons]) => reasons.map((reason: string) => ({ area, outcome, reason }))))
}

/** The child for `labels`, present in the exposition as 0 from the start. */
function preset<Label extends string>(counter: Counter<Label>, labels: Record<Label, string>): Counter.Internal {
  const child = counter.labels(labels)
  child.inc(0)
  return child
}

function zeroed<Label extends string>(histogram: Histogram<Label>, labels: Record<Label, string>): Histogram.Internal<Label> {
  histogram.zero(labels)
  return histogram.labels(labels)
}

function byLabel<Value extends string, Child>(values: readonly Value[], make: (value: Value) => Child): Record<Value, Child> {
  return Object.fromEntries(values.map((value) => [value, make(value)])) as Record<Value, Child>
}
