/** A deployment with one verifier that serves the admin API, and an administrator's connection to it. */
import assert from 'node:assert/strict'
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import { parseAccountName } from '../../src/core/identifiers.ts'
import { DEFAULT_PERSON_ENROLMENT, type Policy, type Role } from '../../src/core/policy/policy.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { serveAdminApi } from '../../src/nats/admin.ts'
import { adminRequest } from '../../src/nats/admin-client.ts'
import type { AdminOperation, AdminReply, AdminRequest } from '../../src/nats/admin-protocol.ts'
import type { Link, LinkEvent } from '../../src/nats/connection.ts'
import { createKicker } from '../../src/nats/kicker.ts'
import { createSystem } from '../../src/nats/system.ts'
import { type Deployment, startDeployment } from './deployment.ts'
import { linkTo, openVerifier, type TestVerifier } from './links.ts'
import { NO_REQUIREMENTS } from './policy-subject.ts'
import { roleOf } from './records.ts'

export interface AdminDeployment {
  deployment: Deployment
  verifier: TestVerifier
  admin: Link
  /** What happened to the administrator's connection. */
  events: LinkEvent[]
  /** What the verifier could not do. */
  failures: unknown[]
  /** What was recorded since the last `reset`. */
  records: LifecycleEvent[]
  audit: { works: boolean }
  ask<O extends AdminOperation>(operation: O, body: AdminRequest<O>): Promise<AdminReply<O>>
  /** Sends bytes that may be no request at all. */
  askRaw(operation: string, payload: string | Uint8Array): Promise<{ error?: { code: string; message: string } }>
  /** Area, outcome and reason of the last record. */
  lastCode(): string | undefined
  reset(): void
  close(): Promise<void>
}

/** `pageOrigin` null: a verifier that serves machines alone. */
export async function startAdminDeployment(
  line: NatsServerLine,
  { pageOrigin }: { pageOrigin: string | null } = { pageOrigin: 'http://localhost:9465' },
): Promise<AdminDeployment> {
  const deployment = await startDeployment({ line })
  const verifier = await openVerifier(deployment)
  const system = await linkTo(deployment, 'verifierSys')
  const events: LinkEvent[] = []
  const admin = await linkTo(deployment, 'admin', (event) => events.push(event))
  const failures: unknown[] = []
  const records: LifecycleEvent[] = []
  const audit = { works: true }
  const { stores } = verifier
  const onFailure = (cause: unknown) => failures.push(cause)
  const kicker = createKicker({ guard: stores.guard, system: createSystem(system), againAfterMs: () => 200, onFailure })
  const api = serveAdminApi({
    link: verifier.link,
    onFailure,
    world: {
      stores,
      kicker,
      lifecycle: {
        record: async (event) => {
          if (!audit.works) throw new AuditUnavailable('recording')
          records.push(event)
        },
      },
      policy: () => policyOf('orders-writer', 'orders-reader', 'machines-only'),
      enrolmentUrl: 'http://localhost:9465',
      pageOrigin,
      version: '0.1.0',
      isReady: () => stores.isHealthy(),
    },
  })
  await verifier.link.nats.flush()
  return {
    deployment,
    verifier,
    admin,
    events,
    failures,
    records,
    audit,
    ask: (operation, body) => adminRequest(admin, 'admin', operation, body),
    askRaw: async (operation, payload) =>
      (await admin.nats.request(`nats-webauthn.admin.admin.${operation}`, payload, { timeout: 5_000 })).json(),
    lastCode: () => records.map(({ area, outcome, reason }) => `${area}.${outcome}.${reason}`).at(-1),
    reset: () => {
      records.length = 0
      failures.length = 0
      audit.works = true
    },
    close: async () => {
      await api.stop()
      kicker.stop()
      for (const link of [admin, system]) await link.drain()
      await verifier.close()
      await deployment.stop()
    },
  }
}

/** The answer, where there must be one. */
export function answerOf<O extends AdminOperation>(reply: AdminReply<O>) {
  if (!reply.ok) assert.fail(`refused: ${reply.error.code}`)
  return reply.value
}

export function errorOf<O extends AdminOperation>(reply: AdminReply<O>): string {
  return reply.ok ? 'none' : reply.error.code
}

function policyOf(...names: string[]): Policy {
  const roles = names.map(
    (name): Role => ({
      name: roleOf(name),
      account: known(parseAccountName('APP')),
      publish: { allow: [], deny: [] },
      subscribe: { allow: [], deny: [] },
      allowResponses: null,
      ttlSeconds: 900,
      sessionSeconds: null,
      plainSessions: false,
      loginByCode: false,
      privileged: false,
      limits: { connections: null },
      require: { ...NO_REQUIREMENTS, class: name === 'machines-only' ? 'machine' : NO_REQUIREMENTS.class },
    }),
  )
  return { roles: new Map(roles.map((role) => [role.name, role])), personEnrolment: DEFAULT_PERSON_ENROLMENT, hash: 'policy-hash' }
}

function known<T>(value: T | null): T {
  return value ?? assert.fail()
}
