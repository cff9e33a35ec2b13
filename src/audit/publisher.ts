/** The audit trail as the rest of the verifier sees it: records that are waited for, and notes that are not. */
import type { LifecycleEvent, VerdictEvent } from '../core/audit-event.ts'
import { AUDIT_STREAMS, type AuditStreamName, type PublishOutcome } from '../core/audit-streams.ts'
import { type AuditPort, AuditUnavailable, type LifecyclePort } from '../core/ports.ts'
import { type AuditRecord, lifecycleMessage, streamOf, verdictMessage } from './audit-record.ts'
import { type Clock, pause } from './clock.ts'
import { type Backlog, createLane, type Lane } from './lane.ts'
import type { RecordOrigin } from './ocsf-common.ts'
import type { RecordSink } from './record-sink.ts'

/** What the metrics see. */
export interface AuditObserver {
  published(stream: AuditStreamName, outcome: PublishOutcome, seconds: number): void
  coalesced(verdicts: number): void
}

export interface AuditPublisherOptions {
  sink: RecordSink
  origin: RecordOrigin
  clock: Clock
  observer: AuditObserver
  /** How long a grant waits for its record, retries included. */
  ackBudgetMs: number
}

export interface AuditPublisher {
  audit: AuditPort
  lifecycle: LifecyclePort
  /** Records that wait, by stream. */
  backlog(): Record<AuditStreamName, Backlog>
  /** For SIGTERM: sends everything queued and resolves when it is acknowledged, or after `timeoutMs` with what is left. */
  flush(timeoutMs: number): Promise<Backlog>
}

const lifecycleAckBudgetMs = 2000
const queuedAckTimeoutMs = 2000
const retryPauseMs = 25

// Unverified refusals: the bounds that docs/audit.md promises. They also bound what a flood costs JetStream. Verified ones are worth a record each unless something
// runs wild, for each of them needed a valid signature.
const denialLimits = { perSecond: 20, totalPerSecond: 200, waitingMax: 8192, sourcesMax: 512 } as const
const verifiedLimits = { perSecond: 1000, totalPerSecond: 1000, waitingMax: 8192, sourcesMax: 1024 } as const

export function createAuditPublisher({ sink, origin, clock, observer, ackBudgetMs }: AuditPublisherOptions): AuditPublisher {
  async function attempt(record: AuditRecord, timeoutMs: number): Promise<void> {
    const startedAt = clock.now()
    const seconds = () => (clock.now() - startedAt) / 1000
    try {
      const { duplicate } = await sink.publish(record, timeoutMs)
      observer.published(record.stream, duplicate ? 'duplicate' : 'stored', seconds())
    } catch (cause) {
      observer.published(record.stream, 'failed', seconds())
      throw cause
    }
  }

  /** Tries within `budgetMs`, under the same id: at most one copy is stored. */
  async function publish(record: AuditRecord, budgetMs: number): Promise<void> {
    const deadline = clock.now() + budgetMs
    for (let pauseMs = retryPauseMs; ; pauseMs *= 2) {
      try {
        return await attempt(record, Math.max(1, deadline - clock.now()))
      } catch (cause) {
        if (clock.now() + pauseMs >= deadline) throw new AuditUnavailable('publishing the audit record', { cause })
      }
      await pause(clock, pauseMs)
    }
  }

  const lane = (limits: typeof denialLimits | typeof verifiedLimits): Lane =>
    createLane({
      limits,
      clock,
      message: (event) => verdictMessage(event, origin),
      send: (record) => attempt(record, queuedAckTimeoutMs),
      coalesced: (verdicts) => observer.coalesced(verdicts),
    })
  const lanes: Record<AuditStreamName, Lane> = {
    [AUDIT_STREAMS.audit]: lane(verifiedLimits),
    [AUDIT_STREAMS.denials]: lane(denialLimits),
  }

  return {
    audit: {
      record: (event: VerdictEvent) => publish(verdictMessage(event, origin), ackBudgetMs),
      note: (event: VerdictEvent) => lanes[streamOf(event)].note(event),
    },
    lifecycle: {
      record: (event: LifecycleEvent) => publish(lifecycleMessage(event, origin), lifecycleAckBudgetMs),
    },
    backlog: () => ({
      [AUDIT_STREAMS.audit]: lanes[AUDIT_STREAMS.audit].backlog(),
      [AUDIT_STREAMS.denials]: lanes[AUDIT_STREAMS.denials].backlog(),
    }),
    async flush(timeoutMs) {
      const left = await Promise.all(Object.values(lanes).map((each) => each.flush(timeoutMs)))
      return {
        records: left.reduce((sum, { records }) => sum + records, 0),
        verdicts: left.reduce((sum, { verdicts }) => sum + verdicts, 0),
      }
    },
  }
}
