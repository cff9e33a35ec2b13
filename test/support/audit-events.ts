/** Events for tests of the trail, the log and the metrics. */
import { LIFECYCLE, type LifecycleCode, type LifecycleEvent, type Verdict, type VerdictEvent } from '../../src/core/audit-event.ts'
import { VERDICTS } from '../../src/core/denial.ts'
import { type AccountName, type CredentialId, type Handle, legacyName, type RoleName } from '../../src/core/identifiers.ts'

const POLICY_HASH = '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8'

let made = 0

/** A verdict about a connection of alice; a new id each time. */
export function verdictEvent(verdict: Verdict, changes: Partial<VerdictEvent> = {}): VerdictEvent {
  made++
  const at = changes.at ?? Date.UTC(2026, 10, 22, 4, 26)
  return {
    id: `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`,
    correlates: null,
    at,
    verdict,
    stage: verdict.outcome === 'granted' ? 'record' : 'verify',
    verified: verdict.outcome === 'granted',
    connection: {
      serverId: 'NAJ5HWYAGPV4GYDSBKNLCRTVKCLXTVPQ2KUALYSZMMLFI6OKAK4LY5LN',
      serverName: 'nats-1',
      cluster: null,
      clientId: 12,
      clientHost: '192.0.2.7',
      clientName: 'dashboard',
      clientType: 'websocket',
      userNkey: 'UDNCUJ74WNVJGSMKVFIQKXDHLA7B5GCXZSNJXNQTQOSCZBWWK24FWKBJ',
      tls: true,
      url: 'wss://nats.example:443',
    },
    identity: {
      handle: 'alice' as Handle,
      issuer: 'https://idp.example',
      subject: '00u1',
      displayName: 'Alice Example',
      class: 'person',
      credentialId: 'dGhlIGNyZWRlbnRpYWw' as CredentialId,
      aaguid: '08987058-cadc-4b81-b6e1-30de50dcbe96',
      signCount: 7,
      userPresent: true,
      userVerified: true,
      backupEligible: false,
      backupState: false,
      sessionNkey: null,
    },
    grant:
      verdict.outcome !== 'granted'
        ? null
        : {
            account: 'APP' as AccountName,
            roles: ['orders-reader' as RoleName],
            expiresAt: Math.floor(at / 1000) + 900,
            sessionExpiresAt: null,
          },
    policyHash: POLICY_HASH,
    durationMs: 3.4,
    count: 1,
    firstAt: at,
    lastAt: at,
    ...changes,
  }
}

/** A refusal of somebody who proved nothing, from `host`. */
export function unverifiedDenial(host: string, changes: Partial<VerdictEvent> = {}): VerdictEvent {
  const event = verdictEvent({ outcome: 'denied', reason: 'sig_missing' }, { stage: 'read', identity: null, ...changes })
  return event.connection === null ? event : { ...event, connection: { ...event.connection, clientHost: host } }
}

export function lifecycleEvent(code: LifecycleCode, changes: Partial<LifecycleEvent> = {}): LifecycleEvent {
  made++
  const event = {
    ...code,
    id: `00000000-0000-4000-9000-${String(made).padStart(12, '0')}`,
    at: Date.UTC(2026, 10, 22, 4, 26),
    actor: { kind: 'administrator', name: 'admin' },
    target: { kind: 'credential', id: 'dGhlIGNyZWRlbnRpYWw' },
    handle: 'alice' as Handle,
    roles: ['orders-reader'],
    policyHash: POLICY_HASH,
    detail: 'an administrator did it',
    facts: {},
  }
  return { ...event, ...changes } as LifecycleEvent
}

/** Every verdict there is. */
export const ALL_VERDICTS: readonly Verdict[] = VERDICTS.map(
  (verdict) =>
    (verdict.outcome === 'reported' ? { ...verdict, legacy: { name: legacyName('billing'), kind: 'password' } } : verdict) as Verdict,
)

/** Every lifecycle code there is. */
export const ALL_LIFECYCLE_CODES: readonly LifecycleCode[] = Object.entries(LIFECYCLE).flatMap(([area, outcomes]) =>
  Object.entries(outcomes).flatMap(([outcome, reasons]) => reasons.map((reason: string) => ({ area, outcome, reason }) as LifecycleCode)),
)
