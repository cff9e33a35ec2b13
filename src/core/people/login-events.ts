/** The audit records of people's identities and logins. Never a cookie, code, token, ticket or signature. */
import type { LifecycleCode, LifecycleEvent } from '../audit-event.ts'
import { circumstances, type Occasion } from '../enrolment/enrolment-events.ts'
import { credentialKey } from '../identifiers.ts'
import type { IdentityRecord, LoginRecord } from '../records.ts'
import { allowedByDevice, allowedByLogin, allowedByProvider, allowedByTicket } from './allowed-by.ts'

type Facts = LifecycleEvent['facts']

/** How a person came in. */
export type Entry =
  | { how: 'idp'; provider: string }
  | { how: 'invitation'; invitedBy: string; ticket: string }
  | { how: 'passkey'; userVerified: boolean }

const IDENTITY_DETAILS = {
  created: 'The identity was created by a first login.',
  roles_changed: 'The identity has the roles and claims of its latest login.',
} as const

/** A record of an identity that is about to be written. `facts`: what changed. */
export function identityEvent(
  reason: keyof typeof IDENTITY_DETAILS,
  identity: IdentityRecord,
  { entry, facts, occasion }: { entry: Entry; facts: Facts; occasion: Occasion },
): LifecycleEvent {
  const { actor, ...moment } = circumstances(occasion)
  return {
    area: 'identity',
    outcome: 'succeeded',
    reason,
    ...moment,
    // A provider speaks for the person; an invitation is an administrator's word, carried by a ticket.
    actor: entry.how === 'invitation' ? actor : { kind: 'identity', name: identity.handle },
    ...about(identity),
    detail: IDENTITY_DETAILS[reason],
    facts: {
      source: occasion.source,
      allowedBy: allowedByEntry(entry, occasion),
      ...entry,
      issuer: identity.issuer,
      subject: identity.subject,
      ...facts,
    },
  }
}

const LOGIN_DETAILS = {
  idp: 'A person signed in at their identity provider.',
  invitation: 'A person signed in with an invitation.',
  passkey: 'A person signed in with a passkey.',
} as const

/** A record of a login that is about to begin. */
export function loginEvent(
  login: LoginRecord,
  identity: IdentityRecord,
  { entry, occasion }: { entry: Entry; occasion: Occasion },
): LifecycleEvent {
  const { credential } = occasion.known
  const { target, ...whose } = about(identity)
  return {
    area: 'login',
    outcome: 'succeeded',
    reason: login.how,
    ...circumstances(occasion),
    ...whose,
    target: credential === null ? target : { kind: 'credential', id: credential },
    detail: LOGIN_DETAILS[login.how],
    facts: {
      source: occasion.source,
      allowedBy: allowedByEntry(entry, occasion),
      ...entry,
      login: login.id,
      expiresAt: login.expiresAt,
      ...(login.authenticatedAt === null ? {} : { authenticatedAt: login.authenticatedAt }),
    },
  }
}

/** Why a login is over. */
export type LoginEnd = 'signed_out' | 'signed_in_again'

/** A record of a login that is about to end. */
export function loginEndedEvent(login: LoginRecord, because: LoginEnd, occasion: Occasion): LifecycleEvent {
  const { handle, how, provider } = login
  return {
    area: 'login',
    outcome: 'succeeded',
    reason: 'ended',
    ...circumstances(occasion),
    actor: { kind: 'identity', name: handle },
    target: { kind: 'identity', id: handle },
    handle,
    roles: [],
    detail: because === 'signed_out' ? 'A person signed out.' : 'A login ended because its browser signed in again.',
    facts: {
      source: occasion.source,
      allowedBy: allowedByLogin(login, null),
      how,
      ...(provider === null ? {} : { provider }),
      login: login.id,
      because,
    },
  }
}

/** A record of a passkey that is about to be shut out. The verifier, `name`, does that of its own accord. */
export function quarantinedEvent(signCount: number, occasion: Occasion, { name }: { name: string }): LifecycleEvent {
  const code: LifecycleCode = { area: 'credential', outcome: 'succeeded', reason: 'quarantined' }
  return {
    ...code,
    ...circumstances(occasion),
    actor: { kind: 'verifier', name },
    detail: 'The signature counter went back, so the key seems to have been copied.',
    facts: { source: occasion.source, signCount },
  }
}

function allowedByEntry(entry: Entry, { known }: Occasion): string {
  switch (entry.how) {
    case 'idp':
      return allowedByProvider(entry.provider)
    case 'invitation':
      return allowedByTicket(entry)
    case 'passkey':
      return known.credential === null ? 'login:passkey' : allowedByDevice(credentialKey(known.credential))
  }
}

function about(identity: IdentityRecord) {
  const { handle, roles } = identity
  return {
    target: { kind: 'identity' as const, id: handle as string },
    handle,
    roles: [...new Set(roles.map(({ name }) => name))],
  }
}
