/** Verdicts as OCSF 1.8.0 Authentication events (class 3002). Pure: the same event gives the same record. */
import type { ConnectionFacts, GrantFacts, IdentityFacts, Verdict, VerdictEvent } from '../core/audit-event.ts'
import { DENIALS, ERRORS, GRANTS } from '../core/denial.ts'
import { safeText } from '../core/safe-text.ts'
import { endpointOf, identityUid, metadata, type RecordOrigin, safeList, textCharsMax } from './ocsf-common.ts'

export type { RecordOrigin }

/**
 * The record's own id. A grant's is the request's; an error's is not, because it may follow the grant record of the same
 * request, and JetStream would take the second for a copy of the first.
 */
export function recordId(event: VerdictEvent): string {
  return event.verdict.outcome === 'error' ? `${event.id}:error` : event.id
}

// An error in stage record or later may follow a grant record that landed although its acknowledgement did not.
function correlatesOf(event: VerdictEvent): string | null {
  if (event.correlates !== null) return event.correlates
  const mayFollow = event.verdict.outcome === 'error' && (event.stage === 'record' || event.stage === 'answer')
  return mayFollow ? event.id : null
}

/**
 * One record of one verdict, or of several coalesced ones: then it says only what they share. A member that is undefined is
 * not in the record: written out, all records have one shape, and every grant makes one.
 */
export function verdictRecord(event: VerdictEvent, code: string, origin: RecordOrigin) {
  const { verdict, connection, grant } = event
  const admitted = verdict.outcome === 'granted' || verdict.outcome === 'reported'
  const single = event.count === 1
  const identity = single ? event.identity : null
  const proven = verdict.outcome === 'reported' ? null : identity
  const severity = severityOf(verdict)
  return {
    activity_id: 1,
    activity_name: 'Logon',
    category_uid: 3,
    category_name: 'Identity & Access Management',
    class_uid: 3002,
    class_name: 'Authentication',
    type_uid: 300201,
    type_name: 'Authentication: Logon',
    time: event.at,
    metadata: metadata(origin, { id: recordId(event), code, correlates: correlatesOf(event) }),
    severity_id: severity.severity_id,
    severity: severity.severity,
    status_id: admitted ? 1 : 2,
    status: admitted ? 'Success' : 'Failure',
    status_code: verdict.reason,
    status_detail: docOf(verdict),
    count: single ? undefined : event.count,
    start_time: single ? undefined : event.firstAt,
    end_time: single ? undefined : event.lastAt,
    duration: Math.round(event.durationMs),
    user: verdict.outcome === 'reported' ? legacyUserOf(verdict) : userOf(identity, grant?.roles ?? []),
    auth_protocol_id: 99,
    auth_protocol: verdict.outcome === 'reported' ? LEGACY_PROTOCOLS[verdict.legacy.kind] : 'FIDO2/WebAuthn',
    logon_type_id: 3,
    logon_type: 'Network',
    is_remote: true,
    service: { name: 'nats' },
    src_endpoint: connection === null ? undefined : sourceOf(connection, { single }),
    dst_endpoint: connection === null || !single ? undefined : destinationOf(connection),
    auth_factors: proven === null ? undefined : [factorOf(proven)],
    // The factor verified its user by PIN or biometry: something held and something known or measured.
    is_mfa: proven?.userVerified ?? undefined,
    session: proven === null ? undefined : sessionOf(proven, grant),
    unmapped: {
      stage: event.stage,
      verified: event.verified,
      policy_hash: event.policyHash,
      legacy: verdict.outcome === 'reported' ? { user: verdict.legacy.name, kind: verdict.legacy.kind } : undefined,
      nats: connection === null ? undefined : natsFacts(connection, event),
      webauthn: identity === null ? undefined : webauthnFacts(identity),
    },
  }
}

/** What happened, in the registry's own sentence. */
function docOf(verdict: Verdict): string {
  switch (verdict.outcome) {
    case 'granted':
      return GRANTS[verdict.reason]
    case 'denied':
      return DENIALS[verdict.reason].doc
    case 'error':
      return ERRORS[verdict.reason]
    case 'reported':
      return `A legacy user was admitted in report-only mode. Otherwise refused: ${DENIALS[verdict.reason].doc}`
  }
}

const DENIAL_SEVERITIES = {
  notice: { severity_id: 2, severity: 'Low' },
  warning: { severity_id: 3, severity: 'Medium' },
  alert: { severity_id: 4, severity: 'High' },
} as const

function severityOf(verdict: Verdict): { severity_id: number; severity: string } {
  switch (verdict.outcome) {
    case 'granted':
      return { severity_id: 1, severity: 'Informational' }
    case 'denied':
    case 'reported':
      return DENIAL_SEVERITIES[DENIALS[verdict.reason].severity]
    case 'error':
      return { severity_id: 5, severity: 'Critical' }
  }
}

// A real uid always holds the separator of issuer and subject, so nobody can be called `unknown`.
function userOf(identity: IdentityFacts | null, roles: readonly string[]) {
  if (identity === null) return { uid: 'unknown', type_id: 0, type: 'Unknown' }
  const isPerson = identity.class === 'person'
  return {
    name: identity.handle,
    uid: identityUid(identity.issuer, identity.subject),
    full_name: safeText(identity.displayName, textCharsMax),
    type_id: isPerson ? 1 : 4,
    type: isPerson ? 'User' : 'Service',
    groups: roles.length === 0 ? undefined : safeList(roles).map((name) => ({ name, type: 'role' })),
  }
}

const LEGACY_PROTOCOLS = { password: 'NATS password', token: 'NATS token', nkey: 'NATS nkey' } as const

/** Who was let in. Whose proof it was that the journey refused, if there was one, is in `unmapped.webauthn`. */
function legacyUserOf({ legacy }: Extract<Verdict, { outcome: 'reported' }>) {
  return { name: legacy.name, uid: identityUid('legacy', legacy.name), type_id: 99, type: 'Legacy user' }
}

function sourceOf({ clientHost, clientName }: ConnectionFacts, { single }: { single: boolean }) {
  const name = single && clientName !== '' ? safeText(clientName, textCharsMax) : undefined
  return clientHost === '' && name === undefined ? undefined : { ...endpointOf(clientHost), name }
}

function destinationOf({ serverId, serverName }: ConnectionFacts) {
  return { uid: safeText(serverId, textCharsMax), name: safeText(serverName, textCharsMax), svc_name: 'nats' }
}

/** The flags as the authenticator signed them are in `unmapped.webauthn`. */
function factorOf({ credentialId, sessionNkey }: IdentityFacts) {
  const device = { uid: credentialId, type_id: 99, type: 'Authenticator' }
  return sessionNkey === null
    ? { factor_type_id: 10, factor_type: 'WebAuthn', device }
    : { factor_type_id: 99, factor_type: 'Session nkey endorsed by WebAuthn', device }
}

function sessionOf({ sessionNkey }: IdentityFacts, grant: GrantFacts | null) {
  if (sessionNkey === null) return undefined
  const ends = grant?.sessionExpiresAt ?? null
  return { uid: sessionNkey, is_remote: true, expiration_time: ends === null ? undefined : ends * 1000 }
}

function natsFacts(connection: ConnectionFacts, { count, grant }: VerdictEvent) {
  const server_id = safeText(connection.serverId, textCharsMax)
  const server_name = safeText(connection.serverName, textCharsMax)
  const cluster = connection.cluster === null ? null : safeText(connection.cluster, textCharsMax)
  if (count > 1) return { server_id, server_name, cluster }
  return {
    server_id,
    server_name,
    cluster,
    client_id: connection.clientId,
    client_type: safeText(connection.clientType, 32),
    user_nkey: safeText(connection.userNkey, textCharsMax),
    tls: connection.tls,
    url: connection.url === null ? null : safeText(connection.url, 300),
    account: grant?.account,
    roles: grant === null ? undefined : safeList(grant.roles),
    expires_at: grant?.expiresAt,
    session_expires_at: grant?.sessionExpiresAt,
  }
}

function webauthnFacts(identity: IdentityFacts) {
  return {
    credential_id: identity.credentialId,
    aaguid: identity.aaguid,
    class: identity.class,
    sign_count: identity.signCount,
    flags: {
      up: identity.userPresent,
      uv: identity.userVerified,
      be: identity.backupEligible,
      bs: identity.backupState,
    },
    session_nkey: identity.sessionNkey,
  }
}
