/** The audit records of enrolment: what happened, by which ticket, from where. Never a ticket, challenge or signature. */
import type { LifecycleCode, LifecycleEvent } from './audit-event.ts'
import { ENROLMENT_REFUSALS, type EnrolmentRefusal } from './enrolment.ts'
import type { CredentialId } from './identifiers.ts'
import type { CredentialRecord, TicketRecord } from './records.ts'

/** What is known about a request so far: what a refusal's record says. */
export interface Known {
  ticket: TicketRecord | null
  credential: CredentialId | null
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
        ? {}
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
export function refusalEvent(refusal: EnrolmentRefusal, occasion: Occasion, count: number): LifecycleEvent {
  const { reason, check } = refusal
  return {
    area: 'enrolment',
    outcome: 'refused',
    reason,
    ...circumstances(occasion),
    detail: ENROLMENT_REFUSALS[reason].doc,
    facts: { source: occasion.source, count, ...(check === null ? {} : { check }) },
  }
}

/** A record of our own failure. */
export function failureEvent(occasion: Occasion, count: number): LifecycleEvent {
  return {
    area: 'enrolment',
    outcome: 'failed',
    reason: 'internal',
    ...circumstances(occasion),
    detail: 'The verifier failed; its log has the cause.',
    facts: { source: occasion.source, count },
  }
}

function circumstances({ known, now, policyHash, uuid }: Occasion) {
  const { ticket, credential } = known
  return {
    id: uuid(),
    at: now.getTime(),
    actor: ticket === null ? { kind: 'unknown' as const, name: '' } : { kind: 'ticket' as const, name: ticket.id },
    target:
      credential !== null
        ? { kind: 'credential' as const, id: credential as string }
        : ticket !== null
          ? { kind: 'ticket' as const, id: ticket.id }
          : { kind: 'none' as const, id: '' },
    handle: ticket?.handle ?? null,
    roles: ticket === null ? [] : [...ticket.roles],
    policyHash,
  }
}
