/** The audit records of enrolment: what happened, by which ticket, from where. Never a ticket, challenge or signature. */
import type { LifecycleCode, LifecycleEvent } from '../audit-event.ts'
import type { CredentialId, Handle, UserNkey } from '../identifiers.ts'
import type { CredentialRecord, IdentityRecord, TicketRecord } from '../records.ts'
import { type Refusal, type RefusalArea, refusalRow } from '../refusal.ts'

/** What is known about a request so far: what a refusal's record says. */
export interface Known {
  ticket: TicketRecord | null
  credential: CredentialId | null
  /** The person who is signed in, or who was recognised. */
  handle: Handle | null
  session: UserNkey | null
}

/** One request, and what core may not find out by itself. */
export interface Occasion {
  now: Date
  /** The client's address, as the edge trusts it. */
  source: string
  policyHash: string
  known: Known
  random(bytes: number): Uint8Array
  uuid(): string
}

type Success = Extract<LifecycleCode, { outcome: 'succeeded' }>

const SUCCESS_DETAILS: Partial<Record<Success['reason'], string>> = {
  registered: 'A key was registered; it waits for proof of possession.',
  enrolled: 'The key proved possession and its credential is in force.',
  created: 'The identity was created by an enrolment.',
  roles_changed: 'The identity has the roles of its latest invitation.',
}

/** A record of something that enrolment is about to put in force. With a credential it is about that, else about the identity. */
export function succeeded(
  code: Success,
  occasion: Occasion,
  about: { ticket: TicketRecord; credential: CredentialRecord | null },
): LifecycleEvent {
  const { ticket, credential } = about
  return {
    ...code,
    ...circumstances(occasion),
    target: credential === null ? { kind: 'identity', id: ticket.handle } : { kind: 'credential', id: credential.id },
    detail: SUCCESS_DETAILS[code.reason] ?? '',
    facts: {
      source: occasion.source,
      invitedBy: ticket.invitedBy,
      ticket: ticket.id,
      class: ticket.class,
      ...(credential === null
        ? { assigned: ticket.roles.join(' ') }
        : {
            aaguid: credential.aaguid,
            attestation: `${credential.attestation.format}/${credential.attestation.trust}`,
            rpId: credential.rpId,
            signCount: credential.signCount,
            backupEligible: credential.backupEligible,
            name: credential.name,
          }),
    },
  }
}

/** A record of a refusal. `count` says how many like it this one stands for. */
export function refusalEvent(refusal: Refusal, occasion: Occasion, count: number): LifecycleEvent {
  const { area, reason, check } = refusal
  return {
    ...({ area, outcome: 'refused', reason } as LifecycleCode),
    ...circumstances(occasion),
    detail: refusalRow(refusal).doc,
    facts: { source: occasion.source, count, ...(check === null ? {} : { check }) },
  }
}

/** A record of our own failure in what `area` names. */
export function failureEvent(area: RefusalArea, occasion: Occasion, count: number): LifecycleEvent {
  return {
    area,
    outcome: 'failed',
    reason: 'internal',
    ...circumstances(occasion),
    detail: 'The verifier failed; its log has the cause.',
    facts: { source: occasion.source, count },
  }
}

/** Names of the roles that an administrator gave, apart from those that an identity provider may take: what a restore goes by. */
export function assignedRoles({ roles }: Pick<IdentityRecord, 'roles'>): string {
  return roles.flatMap(({ name, source }) => (source === 'assigned' ? [name] : [])).join(' ')
}

export function circumstances({ known, now, policyHash, uuid }: Occasion) {
  const { ticket, credential, session } = known
  const handle = known.handle ?? ticket?.handle ?? null
  return {
    id: uuid(),
    at: now.getTime(),
    actor: actorOf(known),
    target:
      session !== null
        ? { kind: 'session' as const, id: session as string }
        : credential !== null
          ? { kind: 'credential' as const, id: credential as string }
          : ticket !== null
            ? { kind: 'ticket' as const, id: ticket.id }
            : handle !== null
              ? { kind: 'identity' as const, id: handle as string }
              : { kind: 'none' as const, id: '' },
    handle,
    roles: ticket === null ? [] : [...ticket.roles],
    policyHash,
  }
}

function actorOf({ ticket, handle }: Known): LifecycleEvent['actor'] {
  if (handle !== null) return { kind: 'identity', name: handle }
  return ticket === null ? { kind: 'unknown', name: '' } : { kind: 'ticket', name: ticket.id }
}
