/** Metrics of a verifier that is ready and has nothing to do. */
import { createMetrics, type MetricSources, type Metrics } from '../../src/observability/metrics.ts'

function idleSources(changes: Partial<MetricSources> = {}): MetricSources {
  return {
    requestsInFlight: () => 0,
    requestsWaiting: () => ({ known: 0, unknown: 0 }),
    ready: () => true,
    credentials: () => ({ pending: 0, active: 2, quarantined: 0, revoked: 1 }),
    sessions: () => ({ pending: 0, active: 1, revoked: 0 }),
    auditQueue: () => ({ WEBAUTHN_AUDIT: 0, WEBAUTHN_DENIALS: 0 }),
    breakGlassLastUsed: () => 0,
    reportOnly: () => ({ on: false, untilMs: 0, users: 0 }),
    natsConnected: () => ({ AUTH: true, AUDIT: true, SYS: false }),
    ...changes,
  }
}

export function testMetrics(changes: Partial<MetricSources> = {}): Metrics {
  return createMetrics({ build: { version: '0.1.0', revision: 'abc123' }, sources: idleSources(changes) })
}

/** Value of one series, written as in the exposition: `name{label="value"}`; null when there is none. */
export function seriesValue(body: string, series: string): number | null {
  const line = body.split('\n').find((each) => each.startsWith(`${series} `))
  return line === undefined ? null : Number(line.slice(series.length + 1))
}
