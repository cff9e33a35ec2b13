/**
 * Enrolling a machine, top to bottom: begin, register, activate (docs/enrolment.md). Everything is verified first, then
 * the ticket is spent, then the record is durable, and only then does the credential admit anybody.
 */
import { credentialKey, type Handle, parseCredentialId } from '../identifiers.ts'
import { type LifecyclePort, type RecordPort, StoreUnavailable } from '../ports.ts'
import { type CeremonyPurpose, MACHINE_ORIGIN } from '../protocol.ts'
import type { CeremonyRecord, CredentialRecord, IdentityRecord, Stored, TicketRecord } from '../records.ts'
import { accepted, type Judged, refused } from '../refusal.ts'
import type { Rules } from '../rules.ts'
import { judgeSignCount, verifyAssertion } from '../webauthn/assertion.ts'
import { parseAssertionResponse } from '../webauthn/assertion-response.ts'
import { verifyMachineRegistration } from '../webauthn/registration.ts'
import { type CeremonyOwner, challengeOf, issueCeremony, newCeremony, takeCeremony } from './ceremony.ts'
import {
  type IdentityPlan,
  judgeIdentity,
  judgeTicket,
  pendingCredential,
  registrationPlace,
  registrationsPerTicketMax,
  ticketId,
} from './enrolment.ts'
import { type CeremonyOffer, creationOptions, type EnrolledCredential, requestOptions } from './enrolment-answers.ts'
import { type Occasion, succeeded } from './enrolment-events.ts'

/** The identities, as enrolment needs them. Reads come from the leader; all throw StoreUnavailable. */
export interface IdentityRegistry {
  findOnLeader(handle: Handle): Promise<Stored<IdentityRecord> | null>
  /** Created-if-absent: the handle and (issuer, subject) are unique and never reused. `exists`: that very identity is there. */
  createIdentity(record: IdentityRecord): Promise<'created' | 'exists' | 'handle_taken' | 'subject_taken'>
  /** Compare-and-set: null when it was written, else what is there instead. */
  replace(stored: Stored<IdentityRecord>, next: IdentityRecord): Promise<Stored<IdentityRecord> | null>
}

export interface EnrolmentWorld {
  rules: Rules
  /** The verifier's own web origin, as clients dial it. */
  origin: string
  /** NATS addresses that an enrolled machine may use. */
  urls: readonly string[]
  tickets: RecordPort<TicketRecord>
  ceremonies: RecordPort<CeremonyRecord>
  /** Key = CredentialKey. */
  credentials: RecordPort<CredentialRecord>
  identities: IdentityRegistry
  lifecycle: LifecyclePort
}

const identityAttemptsMax = 3

/** Step 1: a good ticket begins a registration. */
export async function beginEnrolment(
  request: { ticket: string },
  occasion: Occasion,
  world: EnrolmentWorld,
): Promise<Judged<CeremonyOffer & { class: 'machine'; handle: Handle; roles: string[]; expiresAt: number }>> {
  const found = await openTicket(request.ticket, occasion, world)
  if (!found.ok) return found
  const { record: ticket } = found.value.ticket
  const issued = await issueRegistration(ticket, occasion, world)
  if (!issued.ok) return issued
  const ceremony = issued.value
  const options = await creationOptions(challengeOf(ceremony, world.origin), ticket, world.rules)
  const { handle, roles } = ticket
  return accepted({
    ceremony: ceremony.id,
    issued: ceremony.issued,
    options,
    class: 'machine',
    handle,
    roles,
    expiresAt: ceremony.expiresAt,
  })
}

/** Step 2: a registration of the right key becomes a pending credential, which admits nobody. */
export async function registerCredential(
  request: { ticket: string; ceremony: string; name: string; response: unknown },
  occasion: Occasion,
  world: EnrolmentWorld,
): Promise<Judged<CeremonyOffer>> {
  const { rules } = world
  const found = await openTicket(request.ticket, occasion, world)
  if (!found.ok) return found
  const { record: ticket } = found.value.ticket
  const ceremony = await take(request.ceremony, { purpose: 'enrol', ticket }, occasion, world)
  if (!ceremony.ok) return ceremony
  const challenge = challengeOf(ceremony.value, world.origin)
  const registration = await verifyMachineRegistration(request.response, {
    challenge,
    rpId: rules.machine.rpId,
    algorithms: rules.algorithms,
  })
  if (!registration.ok) return refused('registration_invalid', registration.check)
  const { id } = registration.value
  occasion.known.credential = id

  const credential = pendingCredential(registration.value, ticket, { name: request.name, rpId: rules.machine.rpId, now: occasion.now })
  if (!(await world.credentials.create(credentialKey(id), credential))) return refused('credential_taken', null)
  await world.lifecycle.record(
    succeeded({ area: 'enrolment', outcome: 'succeeded', reason: 'registered' }, occasion, { ticket, credential }),
  )
  const possession = await issueCeremony(world.ceremonies, { purpose: 'enrol-possession', subject: id, owner: ownedBy(ticket) }, occasion)
  const options = await requestOptions(challengeOf(possession, world.origin), id, rules)
  return accepted({ ceremony: possession.id, issued: possession.issued, options })
}

/** Step 3: the key proves possession, the ticket is spent, the credential is in force. */
export async function activateCredential(
  request: { ticket: string; ceremony: string; response: unknown },
  occasion: Occasion,
  world: EnrolmentWorld,
): Promise<Judged<EnrolledCredential>> {
  const found = await openTicket(request.ticket, occasion, world)
  if (!found.ok) return found
  const { ticket } = found.value
  const ceremony = await take(request.ceremony, { purpose: 'enrol-possession', ticket: ticket.record }, occasion, world)
  if (!ceremony.ok) return ceremony
  const pending = await provePossession(request.response, ceremony.value, occasion, world)
  if (!pending.ok) return pending

  // Of two enrolments on one ticket exactly one gets past this write; the other's credential stays pending for ever.
  const spent: TicketRecord = { ...ticket.record, state: 'used', usedAt: occasion.now.getTime() }
  if (!(await world.tickets.replace(spent.id, ticket, spent))) return refused('ticket_used', 'race')
  const settled = await settleIdentity(spent, found.value.plan, occasion, world)
  if (!settled.ok) return settled

  const { stored, credential } = pending.value
  await world.lifecycle.record(
    succeeded({ area: 'enrolment', outcome: 'succeeded', reason: 'enrolled' }, occasion, { ticket: spent, credential }),
  )
  if (!(await world.credentials.replace(credentialKey(credential.id), stored, credential))) {
    // Nobody but an administrator writes a pending credential: it was revoked at this very moment.
    throw new Error('activating the credential: it was changed meanwhile')
  }
  const { id, handle, rpId, userHandle } = credential
  return accepted({
    credential: { id, handle, class: 'machine', rpId, userHandle, roles: spent.roles },
    urls: [...world.urls],
    inboxPrefix: `_INBOX_${handle}`,
  })
}

/** A ticket that is good now, and what it would do to the identity. */
async function openTicket(
  text: string,
  occasion: Occasion,
  world: EnrolmentWorld,
): Promise<Judged<{ ticket: Stored<TicketRecord>; plan: { stored: Stored<IdentityRecord> | null; plan: IdentityPlan } }>> {
  const stored = await world.tickets.find(ticketId(text))
  occasion.known.ticket = stored?.record ?? null
  const judged = judgeTicket(stored?.record ?? null, occasion.now)
  if (!judged.ok) return judged
  if (judged.value.class === 'person') return refused('ticket_wrong_class', null)
  const plan = await planIdentity(judged.value, occasion, world)
  if (!plan.ok) return plan
  return accepted({ ticket: stored as Stored<TicketRecord>, plan: plan.value })
}

async function planIdentity(ticket: TicketRecord, occasion: Occasion, world: EnrolmentWorld) {
  const stored = await world.identities.findOnLeader(ticket.handle)
  const plan = judgeIdentity(stored?.record ?? null, ticket, occasion.now)
  return plan.ok ? accepted({ stored, plan: plan.value }) : plan
}

async function issueRegistration(ticket: TicketRecord, occasion: Occasion, world: EnrolmentWorld): Promise<Judged<CeremonyRecord>> {
  for (let n = 0; n < registrationsPerTicketMax; n++) {
    const record = newCeremony(registrationPlace(ticket, n), { purpose: 'enrol', subject: ticket.id, owner: ownedBy(ticket) }, occasion)
    if (await world.ceremonies.create(record.id, record)) return accepted(record)
  }
  return refused('rate_limited', 'ticket')
}

/** The ceremony of this ticket, used up. */
async function take(
  id: string,
  expected: { purpose: CeremonyPurpose; ticket: TicketRecord },
  occasion: Occasion,
  world: EnrolmentWorld,
): Promise<Judged<CeremonyRecord>> {
  const { purpose, ticket } = expected
  const taken = await takeCeremony(world.ceremonies, id, { purpose, owner: ownedBy(ticket), now: occasion.now })
  return taken.ok ? taken : refused('ceremony_invalid', taken.check)
}

function ownedBy(ticket: TicketRecord): CeremonyOwner {
  return { ticket: ticket.id, login: null }
}

/** The pending credential that the ceremony is about, and what it becomes now that its key has signed. */
async function provePossession(
  value: unknown,
  ceremony: CeremonyRecord,
  occasion: Occasion,
  world: EnrolmentWorld,
): Promise<Judged<{ stored: Stored<CredentialRecord>; credential: CredentialRecord }>> {
  const id = parseCredentialId(ceremony.subject)
  if (id === null) throw new Error('reading a ceremony: its subject is no credential id')
  occasion.known.credential = id
  const stored = await world.credentials.find(credentialKey(id))
  if (stored?.record.state !== 'pending') return refused('possession_invalid', 'credential_not_pending')
  const { rules } = world
  const response = parseAssertionResponse(value)
  if (!response.ok) return refused('possession_invalid', response.denial)
  const verified = verifyAssertion(response.value, stored.record, {
    challenge: challengeOf(ceremony, world.origin),
    rpId: rules.machine.rpId,
    origins: [MACHINE_ORIGIN],
    class: 'machine',
    requireUserVerification: false,
    algorithms: rules.algorithms,
  })
  if (!verified.ok) return refused('possession_invalid', verified.denial)
  const counted = judgeSignCount(stored.record, verified.value, occasion.now)
  if (!counted.ok) return refused('possession_invalid', counted.denial)
  const { signCount, backupState } = verified.value
  const credential: CredentialRecord = { ...stored.record, state: 'active', signCount, backupState, signCountAt: occasion.now.getTime() }
  return accepted({ stored, credential })
}

/** Creates the machine's identity, or gives it the ticket's roles; each change is on record before it is made. */
async function settleIdentity(
  ticket: TicketRecord,
  first: { stored: Stored<IdentityRecord> | null; plan: IdentityPlan },
  occasion: Occasion,
  world: EnrolmentWorld,
): Promise<Judged<null>> {
  let current = first
  for (let attempt = 0; attempt < identityAttemptsMax; attempt++) {
    const { stored, plan } = current
    if (plan.kind === 'keep') return accepted(null)
    const reason = plan.kind === 'create' ? ('created' as const) : ('roles_changed' as const)
    await world.lifecycle.record(succeeded({ area: 'identity', outcome: 'succeeded', reason }, occasion, { ticket, credential: null }))
    if (stored === null) {
      const outcome = await world.identities.createIdentity(plan.record)
      if (outcome === 'created') return accepted(null)
      if (outcome !== 'exists') return refused('handle_taken', outcome)
    } else if ((await world.identities.replace(stored, plan.record)) === null) return accepted(null)
    // Another enrolment of this machine was faster: look again at what it left.
    const again = await planIdentity(ticket, occasion, world)
    if (!again.ok) return again
    current = again.value
  }
  throw new StoreUnavailable('settling the identity: it kept changing')
}
