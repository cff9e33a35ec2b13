/** What the steps of enrolling a device are made of (device-steps.ts). */
import type { LifecycleEvent } from '../audit-event.ts'
import { base64url, lengthPrefixed } from '../encoding.ts'
import { newCeremony, takeCeremony } from '../enrolment/ceremony.ts'
import { judgeTicket } from '../enrolment/enrolment.ts'
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { credentialKey } from '../identifiers.ts'
import type { CeremonyPurpose } from '../protocol.ts'
import type { CeremonyRecord, CredentialRecord, LoginRecord, Stored, TicketRecord } from '../records.ts'
import { accepted, type Judged, refused } from '../refusal.ts'
import { sha256 } from '../sha256.ts'
import { gradeTrust } from '../webauthn/attestation-trust.ts'
import { leavePlace } from './device-places.ts'
import type { PeopleWorld, SignedIn } from './people.ts'
import type { PersonRegistration } from './person-registration.ts'

/** How many registrations a person may begin until the first of them is forgotten, an hour later. */
export const registrationsPerPersonMax = 20

/** What every step of an enrolment needs: people at all, and an invitation that is still good where one let the person in. */
export async function openEnrolment(
  { login: { record: login }, identity: { record: identity } }: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
) {
  const { person } = world.rules
  occasion.known.handle = identity.handle
  if (person === null) return refused('person_enrolment_unavailable', null)
  if (login.ticket === null) return accepted({ person, ticket: null })
  const ticket = await world.tickets.find(login.ticket)
  occasion.known.ticket = ticket?.record ?? null
  const judged = judgeTicket(ticket?.record ?? null, occasion.now)
  if (!judged.ok) return judged
  if (judged.value.class !== 'person' || judged.value.handle !== identity.handle) return refused('ticket_wrong_class', null)
  return accepted({ person, ticket })
}

/**
 * The nth registration of a person has one place, for all verifiers and logins together: each may leave a credential behind
 * for ever, and nobody fills that bucket by signing in again and again.
 */
export async function issueRegistration(
  { login, identity }: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<CeremonyRecord>> {
  const { id } = login.record
  const { handle } = identity.record
  const about = { purpose: 'enrol', subject: handle, owner: { ticket: null, login: id } } as const
  for (let n = 0; n < registrationsPerPersonMax; n++) {
    const place = base64url(sha256(lengthPrefixed('nats-webauthn/person-registration-place/v1', handle, String(n))))
    const record = newCeremony(place, about, occasion)
    if (await world.ceremonies.create(record.id, record)) return accepted(record)
  }
  return refused('rate_limited', 'person')
}

/** The ceremony of this login, used up. */
export async function takeDeviceCeremony(
  id: string,
  purpose: CeremonyPurpose,
  { login }: SignedIn,
  { now }: Occasion,
  world: PeopleWorld,
): Promise<Judged<CeremonyRecord>> {
  const taken = await takeCeremony(world.ceremonies, id, { purpose, owner: { ticket: null, login: login.record.id }, now })
  return taken.ok ? taken : refused('ceremony_invalid', taken.check)
}

/** What is stored of a registration until its device has proven possession. */
export function pendingDevice(
  registration: PersonRegistration,
  { identity: { record: identity } }: SignedIn,
  about: { name: string; rpId: string; enrolledBy: string; occasion: Occasion; world: PeopleWorld },
): CredentialRecord {
  const { id, publicKey, signCount, backupEligible, backupState, transports, aaguid, statement } = registration
  const { name, rpId, enrolledBy, occasion, world } = about
  const now = occasion.now.getTime()
  const trust = gradeTrust({ statement, aaguid }, world.metadata.entryOf(aaguid), occasion.now)
  return {
    v: 1,
    id,
    publicKey: base64url(publicKey),
    signCount,
    signCountAt: now,
    backupEligible,
    backupState,
    transports,
    aaguid,
    attestation: { format: statement.format, trust },
    rpId,
    class: 'person',
    handle: identity.handle,
    userHandle: identity.userHandle,
    name,
    state: 'pending',
    createdAt: now,
    expiresAt: null,
    endedAt: null,
    enrolledBy,
    approvedBy: null,
  }
}

/** Once, by compare-and-set. */
export async function spendTicket(ticket: Stored<TicketRecord>, { now }: Occasion, world: PeopleWorld): Promise<Judged<null>> {
  const spent: TicketRecord = { ...ticket.record, state: 'used', usedAt: now.getTime() }
  return (await world.tickets.replace(spent.id, ticket, spent)) ? accepted(null) : refused('ticket_used', 'race')
}

/**
 * Without a record nothing comes into force: the device's place and its invitation are free again, so that its owner may
 * begin anew. Where that fails too, the place is free in time, and the invitation stays spent.
 */
export async function recordOrGiveBack(
  event: LifecycleEvent,
  { device, ticket }: { device: CredentialRecord; ticket: Stored<TicketRecord> | null },
  { now }: Occasion,
  world: PeopleWorld,
): Promise<void> {
  try {
    await world.lifecycle.record(event)
  } catch (cause) {
    await Promise.allSettled([leavePlace(device, world), ticket === null ? null : giveTicketBack(ticket, now, world)])
    throw cause
  }
}

async function giveTicketBack({ record }: Stored<TicketRecord>, now: Date, world: PeopleWorld): Promise<void> {
  const spent = await world.tickets.find(record.id)
  if (spent?.record.state === 'used' && spent.record.usedAt === now.getTime()) await world.tickets.replace(record.id, spent, record)
}

/**
 * The first assertion was a tap like any other, and the invitation is gone. A login that ended or changed meanwhile stays
 * as it is.
 */
export async function noteTap(credential: CredentialRecord, { login }: SignedIn, { now }: Occasion, world: PeopleWorld): Promise<void> {
  const tapped = { credential: credentialKey(credential.id), at: now.getTime() }
  const next: LoginRecord = { ...login.record, ticket: null, tapped }
  await world.logins.replace(next.id, login, next)
}
