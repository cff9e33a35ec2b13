/**
 * What Prometheus sees (docs/metrics.md). Every label value comes from a closed set and every series is there from the
 * start, so traffic changes values and never the number of series.
 */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { VerdictEvent } from '../core/audit-event.ts'
import type { AuditStreamName, PublishOutcome } from '../core/audit-streams.ts'
import type { Stage } from '../core/denial.ts'
import {
  accessMetrics,
  auditMetrics,
  type CountedRecord,
  lifecycleMetrics,
  type MetricsAuthMode,
  policyMetrics,
  verdictMetrics,
} from './metric-families.ts'
import { type MetricSources, registerSources } from './metric-sources.ts'

export type { MetricSources, MetricsAuthMode }

export interface MetricsOptions {
  build: { version: string; revision: string }
  sources: MetricSources
}

/** What the rest of the verifier tells. Cheap: a verdict costs a few microseconds. */
export interface Metrics {
  verdict(event: VerdictEvent): void
  /** A durable lifecycle record. */
  lifecycle(event: CountedRecord): void
  stage(stage: Stage, seconds: number): void
  /** A request that was dropped unanswered because its deadline had passed. */
  shed(): void
  auditPublished(stream: AuditStreamName, outcome: PublishOutcome, seconds: number): void
  auditCoalesced(verdicts: number): void
  policyLoaded(policy: { hash: string; at: Date }): void
  policyRejected(): void
  metricsAuthFailed(mode: MetricsAuthMode): void
  /** The exposition. Scrapes at the same time share one. */
  exposition(): Promise<{ contentType: string; body: string }>
  registry: Registry
}

/** Metrics with a registry of their own: two verifiers in one process do not collide. */
export function createMetrics({ build, sources }: MetricsOptions): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  new Gauge({ name: 'nats_webauthn_build_info', help: 'The running program.', labelNames: ['version', 'revision', 'node'], registers }).set(
    { ...build, node: process.version },
    1,
  )
  const families = {
    ...verdictMetrics(registers),
    ...lifecycleMetrics(registers),
    ...auditMetrics(registers),
    ...policyMetrics(registers),
    ...accessMetrics(registers),
  }
  registerSources(sources, registry)
  let scrape: Promise<string> | null = null
  return {
    ...families,
    registry,
    async exposition() {
      scrape ??= registry.metrics().finally(() => {
        scrape = null
      })
      return { contentType: registry.contentType, body: await scrape }
    },
  }
}
