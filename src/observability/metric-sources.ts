/** States as they are at the scrape: a count that is kept can drift, the truth cannot. */
import { Gauge, type Registry } from 'prom-client'
import type { AuditStreamName } from '../core/audit-streams.ts'
import type { CredentialRecord, SessionRecord } from '../core/records.ts'

type NatsAccount = 'AUTH' | 'AUDIT' | 'SYS'

/** Asked for at each scrape. What throws, rejects or takes too long is left out of it. */
export interface MetricSources {
  requestsInFlight(): number
  /** By whether somebody was granted a connection from their source lately. */
  requestsWaiting(): { known: number; unknown: number }
  ready(): boolean
  credentials(): CountsByState<CredentialRecord['state']>
  sessions(): CountsByState<SessionRecord['state']>
  /** Records that wait, by stream. */
  auditQueue(): Record<AuditStreamName, number>
  natsConnected(): Record<NatsAccount, boolean>
  /** Epoch seconds at which somebody last connected past the verifier, or 0. */
  breakGlassLastUsed(): number
  /** `untilMs`: epoch milliseconds; 0 without a migration. */
  reportOnly(): { on: boolean; untilMs: number; users: number }
}
type CountsByState<State extends string> = Record<State, number> | Promise<Record<State, number>>

/** Gauges that are computed when somebody looks. */
export function registerSources(sources: MetricSources, registry: Registry): void {
  const gauge = <Label extends string>(name: string, help: string, label: Label | null, read: () => Values | Promise<Values>) =>
    new Gauge({
      name,
      help,
      labelNames: label === null ? [] : [label],
      registers: [registry],
      async collect() {
        try {
          for (const [value, count] of Object.entries(await inTime(read()))) {
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
  gauge('nats_webauthn_requests_waiting', 'Requests that wait for their turn, by kind of source.', 'source', () => ({
    ...sources.requestsWaiting(),
  }))
  gauge('nats_webauthn_ready', 'Whether the verifier takes requests.', null, () => ({ all: Number(sources.ready()) }))
  gauge('nats_webauthn_credentials', 'Enrolled credentials by state.', 'state', () => sources.credentials())
  gauge('nats_webauthn_sessions', 'Endorsed sessions whose time is not over, by state.', 'state', () => sources.sessions())
  gauge('nats_webauthn_audit_queue_records', 'Audit records that wait to be published.', 'stream', () => sources.auditQueue())
  gauge(
    'nats_webauthn_break_glass_last_used_timestamp_seconds',
    'When somebody last connected without the verifier, unexpectedly.',
    null,
    () => ({ all: sources.breakGlassLastUsed() }),
  )
  gauge('nats_webauthn_report_only', 'Whether legacy users are admitted without WebAuthn.', null, () => ({
    all: Number(sources.reportOnly().on),
  }))
  gauge('nats_webauthn_report_only_end_timestamp_seconds', 'When the migration ends.', null, () => ({
    all: sources.reportOnly().untilMs / 1000,
  }))
  gauge('nats_webauthn_legacy_users', 'Users in the file of legacy users.', null, () => ({ all: sources.reportOnly().users }))
  gauge('nats_webauthn_nats_connected', 'Whether the connection to each account is up.', 'account', () =>
    Object.fromEntries(Object.entries(sources.natsConnected()).map(([account, up]) => [account, Number(up)])),
  )
}
type Values = Record<string, number>

const sourceTimeoutMs = 2000

async function inTime(values: Values | Promise<Values>): Promise<Values> {
  if (!(values instanceof Promise)) return values
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('asking a source of metrics')), sourceTimeoutMs)
  })
  return Promise.race([values, late]).finally(() => clearTimeout(timer))
}
