/** The audit records of a terminal's session: what was endorsed, for which host, and who allowed it. Never a code. */
import type { LifecycleEvent } from '../audit-event.ts'
import { circumstances, type Occasion } from '../enrolment/enrolment-events.ts'
import type { SessionRecord, SessionRequestRecord } from '../records.ts'
import { allowedByDevice, allowedBySession } from './allowed-by.ts'
import type { Endorsement } from './session-endorsement.ts'

const DETAILS = {
  endorsed: { loopback: 'A person endorsed a session; it waits for the terminal.', code: 'A person endorsed a session by a typed code.' },
  completed: 'The terminal completed the session; it is in force.',
} as const

/** A record of a session that is about to be endorsed, or completed. */
export function sessionRequestEvent(
  reason: 'endorsed' | 'completed',
  request: SessionRequestRecord,
  about: { session: SessionRecord; endorsement: Endorsement; occasion: Occasion },
): LifecycleEvent {
  const { session, endorsement, occasion } = about
  return {
    area: 'session',
    outcome: 'succeeded',
    reason,
    ...circumstances(occasion),
    target: { kind: 'session', id: session.nkey },
    handle: session.handle,
    roles: [...endorsement.roles],
    detail: reason === 'endorsed' ? DETAILS.endorsed[request.flow] : DETAILS.completed,
    facts: {
      source: occasion.source,
      allowedBy: allowedByDevice(session.credential),
      host: request.host,
      flow: request.flow,
      plain: session.plain,
      byCode: session.byCode,
      device: session.credential,
      userVerified: session.userVerified,
      account: endorsement.accounts.join(', '),
      sessionExpiresAt: session.expiresAt,
    },
  }
}

/** A record of a session that its own key is about to end. */
export function sessionEndedEvent(session: SessionRecord, occasion: Occasion): LifecycleEvent {
  return {
    area: 'session',
    outcome: 'succeeded',
    reason: 'revoked',
    ...circumstances(occasion),
    target: { kind: 'session', id: session.nkey },
    handle: session.handle,
    detail: 'A session was ended by its own key.',
    facts: {
      source: occasion.source,
      allowedBy: allowedBySession(session.nkey),
      by: 'nkey',
      label: session.label,
      device: session.credential,
    },
  }
}
