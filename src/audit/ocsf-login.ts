/** A person's signing in and out, as OCSF 1.8.0 Authentication events (class 3002). */
import type { LifecycleEvent } from '../core/audit-event.ts'
import type { LoginReason } from '../core/refusal.ts'
import { safeText } from '../core/safe-text.ts'
import { endpointOf, metadata, type RecordOrigin, safeList, targetCharsMax, textCharsMax } from './ocsf-common.ts'
import { actorOf, factsOf, lifecycleSeverity, lifecycleStatus } from './ocsf-lifecycle.ts'

export type LoginEvent = Extract<LifecycleEvent, { area: 'login' }>

/** OCSF auth_protocol_id by what the person came with. */
const PROTOCOLS = {
  openid: { auth_protocol_id: 4, auth_protocol: 'OpenID' },
  webauthn: { auth_protocol_id: 99, auth_protocol: 'FIDO2/WebAuthn' },
  invitation: { auth_protocol_id: 99, auth_protocol: 'One-time invitation' },
  cookie: { auth_protocol_id: 99, auth_protocol: 'Login cookie' },
} as const
type Protocol = keyof typeof PROTOCOLS

/** How each login that succeeded was made. */
const SUCCEEDED = { idp: 'openid', invitation: 'invitation', passkey: 'webauthn', ended: 'cookie' } as const satisfies Record<
  Extract<LoginEvent, { outcome: 'succeeded' }>['reason'],
  Protocol
>

/** Refusals that did not come of a redirect to an identity provider; null where any way of signing in leads there. */
const REFUSED: { readonly [R in LoginReason]?: Protocol | null } = {
  login_missing: 'cookie',
  login_unknown: 'cookie',
  login_ended: 'cookie',
  login_expired: 'cookie',
  ceremony_invalid: 'webauthn',
  passkey_unknown: 'webauthn',
  passkey_invalid: 'webauthn',
  identity_disabled: null,
}

// What happens to people on an ordinary day, and what only a forged, replayed or stolen message causes.
const ORDINARY: readonly LoginReason[] = ['login_missing', 'login_unknown', 'login_expired', 'request_expired', 'provider_unknown']
const FORGED: readonly LoginReason[] = [
  'login_ended',
  'request_used',
  'request_mismatch',
  'algorithm_refused',
  'signature_invalid',
  'issuer_mismatch',
  'audience_mismatch',
  'azp_mismatch',
  'nonce_mismatch',
]

/** One record of one event. */
export function loginRecord(event: LoginEvent, code: string, origin: RecordOrigin) {
  const ended = event.outcome === 'succeeded' && event.reason === 'ended'
  const activity = ended ? { id: 2, name: 'Logoff' } : { id: 1, name: 'Logon' }
  const succeeded = event.outcome === 'succeeded'
  const protocol = protocolOf(event)
  const { source, count } = event.facts
  return {
    activity_id: activity.id,
    activity_name: activity.name,
    category_uid: 3,
    category_name: 'Identity & Access Management',
    class_uid: 3002,
    class_name: 'Authentication',
    type_uid: 300200 + activity.id,
    type_name: `Authentication: ${activity.name}`,
    time: event.at,
    metadata: metadata(origin, { id: event.id, code, correlates: null }),
    ...severityOf(event),
    ...lifecycleStatus(event),
    ...(typeof count === 'number' && count > 1 ? { count } : {}),
    actor: actorOf(event),
    user: userOf(event),
    ...(protocol === null ? { auth_protocol_id: 0, auth_protocol: 'Unknown' } : PROTOCOLS[protocol]),
    ...(succeeded && protocol === 'webauthn' ? factorOf(event) : {}),
    logon_type_id: 3,
    logon_type: 'Network',
    is_remote: true,
    service: { name: 'nats-webauthn' },
    ...(typeof source === 'string' ? { src_endpoint: endpointOf(source) } : {}),
    unmapped: {
      policy_hash: event.policyHash,
      roles: safeList(event.roles),
      target: { type: event.target.kind, uid: safeText(event.target.id, targetCharsMax) },
      facts: factsOf(event),
    },
  }
}

function severityOf(event: LoginEvent): { severity_id: number; severity: string } {
  if (event.outcome !== 'refused') return lifecycleSeverity(event)
  if (ORDINARY.includes(event.reason)) return { severity_id: 2, severity: 'Low' }
  return FORGED.includes(event.reason) ? { severity_id: 4, severity: 'High' } : lifecycleSeverity(event)
}

function protocolOf(event: LoginEvent): Protocol | null {
  switch (event.outcome) {
    case 'succeeded':
      return SUCCEEDED[event.reason]
    case 'failed':
      return null
    case 'refused': {
      const known = REFUSED[event.reason]
      return known === undefined ? 'openid' : known
    }
  }
}

// The subject is the person, who is known only once something was proven: before, the event says `unknown`.
function userOf({ handle }: LoginEvent) {
  if (handle === null) return { uid: 'unknown', type_id: 0, type: 'Unknown' }
  return { name: safeText(handle, textCharsMax), type_id: 1, type: 'User' }
}

/** The passkey, and whether it verified its user: something held and something known or measured. */
function factorOf({ target, facts: { userVerified } }: LoginEvent) {
  return {
    auth_factors: [
      {
        factor_type_id: 10,
        factor_type: 'WebAuthn',
        device: {
          uid: safeText(target.kind === 'credential' ? target.id : '', targetCharsMax) || 'unknown',
          type_id: 99,
          type: 'Authenticator',
        },
      },
    ],
    ...(typeof userVerified === 'boolean' ? { is_mfa: userVerified } : {}),
  }
}
