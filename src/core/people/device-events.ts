/** The audit records of a person's devices and sessions: what happened, who allowed it. Never a challenge or signature. */
import type { LifecycleEvent } from '../audit-event.ts'
import { circumstances, type Occasion } from '../enrolment/enrolment-events.ts'
import type { CredentialRecord, IdentityRecord, SessionRecord, TicketRecord } from '../records.ts'

type Facts = LifecycleEvent['facts']

const ENROLMENT_DETAILS = {
  registered: "A person's passkey was registered; it waits for its first assertion.",
  enrolled: 'The passkey proved possession and is in force.',
} as const

/** A record of a device that is about to be stored, or put in force. */
export function deviceEnrolmentEvent(
  reason: keyof typeof ENROLMENT_DETAILS,
  occasion: Occasion,
  about: { identity: IdentityRecord; credential: CredentialRecord; ticket: TicketRecord | null; userVerified: boolean },
): LifecycleEvent {
  const { identity, credential, ticket, userVerified } = about
  const { aaguid, attestation, backupEligible, backupState, class: kind, enrolledBy, name, rpId, signCount } = credential
  return {
    area: 'enrolment',
    outcome: 'succeeded',
    reason,
    ...circumstances(occasion),
    ...whose(identity),
    target: { kind: 'credential', id: credential.id },
    detail: ENROLMENT_DETAILS[reason],
    facts: {
      source: occasion.source,
      allowedBy: enrolledBy,
      ...(ticket === null ? {} : { invitedBy: ticket.invitedBy, ticket: ticket.id }),
      class: kind,
      aaguid,
      attestation: `${attestation.format}/${attestation.trust}`,
      rpId,
      signCount,
      userVerified,
      backupEligible,
      backupState,
      name,
    },
  }
}

const CREDENTIAL_DETAILS = {
  renamed: 'A person renamed a device of theirs.',
  revoked: 'A person removed a device of theirs.',
} as const

/** A record of a change that a person is about to make to a device of theirs. */
export function ownCredentialEvent(
  reason: keyof typeof CREDENTIAL_DETAILS,
  occasion: Occasion,
  about: { identity: IdentityRecord; credential: CredentialRecord; allowedBy: string; facts: Facts },
): LifecycleEvent {
  const { identity, credential, allowedBy, facts } = about
  return {
    area: 'credential',
    outcome: 'succeeded',
    reason,
    ...circumstances(occasion),
    ...whose(identity),
    target: { kind: 'credential', id: credential.id },
    detail: CREDENTIAL_DETAILS[reason],
    facts: { source: occasion.source, allowedBy, aaguid: credential.aaguid, ...facts },
  }
}

/** A record of a session that its owner is about to end. */
export function ownSessionEvent(
  occasion: Occasion,
  { identity, session, allowedBy }: { identity: IdentityRecord; session: SessionRecord; allowedBy: string },
): LifecycleEvent {
  const { credential, nkey, label, plain } = session
  return {
    area: 'session',
    outcome: 'succeeded',
    reason: 'revoked',
    ...circumstances(occasion),
    ...whose(identity),
    target: { kind: 'session', id: nkey },
    detail: 'A person ended a session of theirs.',
    facts: { source: occasion.source, allowedBy, device: credential, label, plain },
  }
}

function whose({ handle, roles }: IdentityRecord): Pick<LifecycleEvent, 'actor' | 'handle' | 'roles'> {
  return { actor: { kind: 'identity', name: handle }, handle, roles: [...new Set(roles.map(({ name }) => name))] }
}
