/** A deployment's audit account with a publisher and a reader. */
import { connect, type NatsConnection, nkeyAuthenticator } from 'nats'
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import { systemClock } from '../../src/audit/clock.ts'
import { type AuditPublisher, createAuditPublisher } from '../../src/audit/publisher.ts'
import { jetStreamSink, type RecordSink } from '../../src/audit/record-sink.ts'
import { type TailOptions, type TrailEntry, tailTrail } from '../../src/audit/tail.ts'
import { createAckedPublisher } from '../../src/nats/acked-publisher.ts'
import { type Deployment, startDeployment } from './deployment.ts'

const GiB = 1024 ** 3
/** Small enough for any disk. */
export const options = { replicas: 1, maxAgeDays: 400, maxBytes: { WEBAUTHN_AUDIT: GiB, WEBAUTHN_DENIALS: GiB } }
/** Streams that are soon full. */
export const small = (bytes: number) => ({ ...options, maxBytes: { WEBAUTHN_AUDIT: bytes, WEBAUTHN_DENIALS: bytes } })

/** As long as a verifier waits where its configuration says nothing else. */
export const ackBudgetMs = 400

export interface Trail {
  deployment: Deployment
  verifier: NatsConnection
  auditor: NatsConnection
  publisher: AuditPublisher
  sink: RecordSink
  read(filter?: string, changes?: Partial<TailOptions>): Promise<TrailEntry[]>
}

/** Runs a test against the shipped configuration, as the verifier's and the auditor's users of the AUDIT account. */
export async function withTrail(
  line: NatsServerLine,
  run: (trail: Trail) => Promise<void>,
  edit: (config: string) => string = (config) => config,
): Promise<void> {
  const deployment = await startDeployment({ line, edit })
  const user = (seed: string, inboxPrefix: string) =>
    connect({
      servers: `127.0.0.1:${deployment.server.port}`,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
      inboxPrefix,
      reconnectTimeWait: 20,
      maxReconnectAttempts: -1,
    })
  const verifier = await user(deployment.seeds.verifierAudit, '_INBOX_verifier_audit')
  const auditor = await user(deployment.seeds.auditor, '_INBOX_auditor')
  const asking = createAckedPublisher(verifier, { inboxPrefix: '_INBOX_verifier_audit', isConnected: () => !verifier.isClosed() })
  const sink = jetStreamSink(verifier, asking.publish)
  const publisher = createAuditPublisher({
    sink,
    origin: { source: 'nats-webauthn/test', version: '0.1.0' },
    clock: systemClock,
    observer: { published: () => {}, coalesced: () => {} },
    ackBudgetMs,
  })
  const read: Trail['read'] = async (filter = '>', changes = {}) => {
    const entries: TrailEntry[] = []
    for await (const entry of tailTrail(auditor, { filter, since: null, follow: false, ...changes })) entries.push(entry)
    return entries
  }
  try {
    await run({ deployment, verifier, auditor, publisher, sink, read })
  } finally {
    await Promise.all([verifier.close(), auditor.close()])
    await deployment.stop()
  }
}
