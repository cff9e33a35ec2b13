/** On whose word a person's step is done: `facts.allowedBy` of its record (docs/audit.md). */
import type { CredentialKey, UserNkey } from '../identifiers.ts'
import type { LoginRecord, TicketRecord } from '../records.ts'

/** By what a person who is signed in goes on: an invitation, a tap in this login, or how they came in. */
export function allowedByLogin({ tapped, provider, how }: LoginRecord, ticket: TicketRecord | null): string {
  if (ticket !== null) return allowedByTicket(ticket)
  if (tapped !== null) return allowedByDevice(tapped.credential)
  return provider === null ? `login:${how}` : allowedByProvider(provider)
}

/** By the administrator who wrote the invitation. */
export function allowedByTicket({ invitedBy }: Pick<TicketRecord, 'invitedBy'>): string {
  return `ticket:${invitedBy}`
}

/** By the identity provider of this name. */
export function allowedByProvider(provider: string): string {
  return `idp:${provider}`
}

/** By a tap of this device. */
export function allowedByDevice(credential: CredentialKey): string {
  return `device:${credential}`
}

/** By the session's own key. */
export function allowedBySession(nkey: UserNkey): string {
  return `session:${nkey}`
}
