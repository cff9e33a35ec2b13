/** The metrics that the verifier's parts count in, and the calls they count with. Label children are made once. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { LIFECYCLE, type LifecycleArea, type LifecycleEvent, type VerdictEvent } from '../core/audit-event.ts'
import { AUDIT_STREAMS, type AuditStreamName, PUBLISH_OUTCOMES, type PublishOutcome } from '../core/audit-streams.ts'
import { type Outcome, STAGES, type Stage, VERDICTS } from '../core/denial.ts'

const METRICS_AUTH_MODES = ['basic', 'bearer', 'mtls'] as const
export type MetricsAuthMode = (typeof METRICS_AUTH_MODES)[number]

// 0.5 is the objective; 1.5 and 4.5 are the deadlines (exp − iat − 0.5 s) of authorization.timeout 2 and 5; 0.4 is the
// audit budget.
const verdictBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 4.5]
const stageBucketsSeconds = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 2]
const publishBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 1, 2, 5]

export function verdictMetrics(registers: Registry[]) {
  const verdicts = new Counter({
    name: 'nats_webauthn_verdicts_total',
    help: 'Verdicts on authorization requests.',
    labelNames: ['outcome', 'reason'],
    registers,
  })
  const verdictOf = new Map(VERDICTS.map(({ outcome, reason }) => [`${outcome} ${reason}`, preset(verdicts, { outcome, reason })]))
  const durations = new Histogram({
    name: 'nats_webauthn_verdict_duration_seconds',
    help: "Time from a request's arrival to its verdict.",
    labelNames: ['outcome'],
    buckets: verdictBucketsSeconds,
    registers,
  })
  const durationOf = byLabel(['granted', 'denied', 'error', 'reported'] satisfies Outcome[], (outcome) => zeroed(durations, { outcome }))
  const stages = new Histogram({
    name: 'nats_webauthn_stage_duration_seconds',
    help: 'Time spent in each stage of the journey.',
    labelNames: ['stage'],
    buckets: stageBucketsSeconds,
    registers,
  })
  const stageOf = byLabel(STAGES, (stage) => zeroed(stages, { stage }))
  const shed = new Counter({
    name: 'nats_webauthn_requests_shed_total',
    help: 'Requests dropped unanswered because their deadline had passed.',
    registers,
  })
  return {
    verdict(event: VerdictEvent): void {
      const { outcome, reason } = event.verdict
      verdictOf.get(`${outcome} ${reason}`)?.inc(event.count)
      durationOf[outcome].observe(event.durationMs / 1000)
    },
    stage: (stage: Stage, seconds: number) => stageOf[stage].observe(seconds),
    /** A request that was dropped unanswered because its deadline had passed. */
    shed: () => shed.inc(),
  }
}

/** What a lifecycle record is counted by: its code, and of the facts how many events it stands for. */
export type CountedRecord = Pick<LifecycleEvent, 'area' | 'outcome' | 'reason'> & { facts?: LifecycleEvent['facts'] }

/** Areas with a counter of their own: of events, where `lifecycle` counts records. */
const EVENT_COUNTERS = {
  login: { name: 'nats_webauthn_logins_total', help: 'What became of people who signed in or out at the page.' },
  enrolment: { name: 'nats_webauthn_enrolments_total', help: 'Steps of enrolments, of machines and of devices of people.' },
} as const satisfies Partial<Record<LifecycleArea, { name: string; help: string }>>

export function lifecycleMetrics(registers: Registry[]) {
  const lifecycle = new Counter({
    name: 'nats_webauthn_lifecycle_total',
    help: 'Audited events that are not verdicts.',
    labelNames: ['area', 'outcome', 'reason'],
    registers,
  })
  const codes = lifecycleCodes()
  const lifecycleOf = new Map(codes.map((code) => [`${code.area} ${code.outcome} ${code.reason}`, preset(lifecycle, code)]))
  const eventsOf = new Map<string, Counter.Internal>(
    Object.entries(EVENT_COUNTERS).flatMap(([area, family]) => {
      const events = new Counter({ ...family, labelNames: ['outcome', 'reason'], registers })
      const own = codes.filter((code) => code.area === area)
      return own.map(({ outcome, reason }) => [`${area} ${outcome} ${reason}`, preset(events, { outcome, reason })] as const)
    }),
  )
  return {
    lifecycle: ({ area, outcome, reason, facts }: CountedRecord): void => {
      const code = `${area} ${outcome} ${reason}`
      lifecycleOf.get(code)?.inc()
      // A record of refusals may stand for many (docs/audit.md).
      eventsOf.get(code)?.inc(typeof facts?.['count'] === 'number' && facts['count'] > 1 ? facts['count'] : 1)
    },
  }
}

export function auditMetrics(registers: Registry[]) {
  const records = new Counter({
    name: 'nats_webauthn_audit_records_total',
    help: 'Attempts to publish an audit record, by result.',
    labelNames: ['stream', 'outcome'],
    registers,
  })
  const recordOf = byLabel(Object.values(AUDIT_STREAMS), (stream) =>
    byLabel(PUBLISH_OUTCOMES, (outcome) => preset(records, { stream, outcome })),
  )
  const publishes = new Histogram({
    name: 'nats_webauthn_audit_publish_duration_seconds',
    help: 'Time from publishing an audit record to its acknowledgement.',
    buckets: publishBucketsSeconds,
    registers,
  })
  const coalesced = new Counter({
    name: 'nats_webauthn_audit_coalesced_total',
    help: 'Verdicts whose audit record stands for more than one.',
    registers,
  })
  return {
    auditPublished(stream: AuditStreamName, outcome: PublishOutcome, seconds: number): void {
      recordOf[stream][outcome].inc()
      if (outcome !== 'failed') publishes.observe(seconds)
    },
    auditCoalesced: (verdicts: number) => coalesced.inc(verdicts),
  }
}

export function policyMetrics(registers: Registry[]) {
  const policySuccess = new Gauge({
    name: 'nats_webauthn_policy_last_reload_successful',
    help: 'Whether the last attempt to load the policy succeeded.',
    registers,
  })
  const policyTime = new Gauge({
    name: 'nats_webauthn_policy_last_reload_success_timestamp_seconds',
    help: 'When the policy in force was loaded.',
    registers,
  })
  const policyInfo = new Gauge({
    name: 'nats_webauthn_policy_info',
    help: 'The policy in force, by the SHA-256 of its file.',
    labelNames: ['hash'],
    registers,
  })
  return {
    policyLoaded({ hash, at }: { hash: string; at: Date }): void {
      policySuccess.set(1)
      policyTime.set(at.getTime() / 1000)
      policyInfo.reset()
      policyInfo.set({ hash }, 1)
    },
    policyRejected: () => policySuccess.set(0),
  }
}

export function accessMetrics(registers: Registry[]) {
  const authFailures = new Counter({
    name: 'nats_webauthn_metrics_auth_failures_total',
    help: 'Refused requests for the metrics.',
    labelNames: ['mode'],
    registers,
  })
  const authFailureOf = byLabel(METRICS_AUTH_MODES, (mode) => preset(authFailures, { mode }))
  return { metricsAuthFailed: (mode: MetricsAuthMode) => authFailureOf[mode].inc() }
}

function lifecycleCodes(): { area: string; outcome: string; reason: string }[] {
  return Object.entries(LIFECYCLE).flatMap(([area, outcomes]) =>
    Object.entries(outcomes).flatMap(([outcome, reasons]) => reasons.map((reason: string) => ({ area, outcome, reason }))),
  )
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
