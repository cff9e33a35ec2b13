/** One message of the audit trail: an OCSF record as a CloudEvent in binary mode, ready to be published. */
import type { LifecycleEvent, VerdictEvent } from '../core/audit-event.ts'
import { AUDIT_STREAMS, type AuditStreamName } from '../core/audit-streams.ts'
import type { Outcome } from '../core/denial.ts'
import { cloudEventHeaders } from './cloudevent.ts'
import { lifecycleRecord } from './ocsf-lifecycle.ts'
import { loginRecord } from './ocsf-login.ts'
import { type RecordOrigin, recordId, verdictRecord } from './ocsf-verdict.ts'

/** Immutable once made, so that a retry under the same id carries the same bytes. */
export interface AuditRecord {
  /** CloudEvents `ce-id`, OCSF `metadata.uid`, and the `Nats-Msg-Id` that JetStream deduplicates by. */
  id: string
  stream: AuditStreamName
  subject: string
  headers: readonly (readonly [name: string, value: string])[]
  body: string
}

const ADMITTED: readonly Outcome[] = ['granted', 'reported']

/**
 * What was proven, and every grant, shares a stream with the lifecycle. What anybody on the network can cause goes to
 * the other, so that a flood cannot fill the stream that grants wait for.
 */
export function streamOf(event: VerdictEvent): AuditStreamName {
  return event.verified || ADMITTED.includes(event.verdict.outcome) ? AUDIT_STREAMS.audit : AUDIT_STREAMS.denials
}

export function verdictMessage(event: VerdictEvent, origin: RecordOrigin): AuditRecord {
  const stream = streamOf(event)
  const { outcome, reason } = event.verdict
  const code = `${stream === AUDIT_STREAMS.audit ? 'connection' : 'request'}.${outcome}.${reason}`
  const id = recordId(event)
  const headers = cloudEventHeaders({
    id,
    source: origin.source,
    type: `nats-webauthn.${code}`,
    time: new Date(event.at),
    subject: event.verdict.outcome === 'reported' ? event.verdict.legacy.name : (event.identity?.handle ?? null),
    class: 'authentication',
  })
  return { id, stream, subject: `audit.webauthn.${code}`, headers, body: JSON.stringify(verdictRecord(event, code, origin)) }
}

export function lifecycleMessage(event: LifecycleEvent, origin: RecordOrigin): AuditRecord {
  const code = `${event.area}.${event.outcome}.${event.reason}`
  const headers = cloudEventHeaders({
    id: event.id,
    source: origin.source,
    type: `nats-webauthn.${code}`,
    time: new Date(event.at),
    subject: event.handle,
    class: event.area === 'login' ? 'authentication' : 'entity_management',
  })
  return {
    id: event.id,
    stream: AUDIT_STREAMS.audit,
    subject: `audit.webauthn.${code}`,
    headers,
    body: JSON.stringify(event.area === 'login' ? loginRecord(event, code, origin) : lifecycleRecord(event, code, origin)),
  }
}
