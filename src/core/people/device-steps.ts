/**
 * A person's devices, top to bottom: begin, register, activate; rename and remove (docs/people.md).
 * As with machines, everything is verified first, then the ticket of an invitation is spent, then the record is durable,
 * and only then does the device admit anybody.
 */
import type { PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server'
import { challengeOf, issueCeremony } from '../enrolment/ceremony.ts'
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { type CredentialId, credentialKey } from '../identifiers.ts'
import { StoreUnavailable } from '../ports.ts'
import type { CredentialRecord, IdentityRecord, Stored } from '../records.ts'
import { accepted, credentialRefused, type Judged, refused } from '../refusal.ts'
import { allowedByLogin } from './allowed-by.ts'
import {
  issueRegistration,
  noteTap,
  openEnrolment,
  pendingDevice,
  recordOrGiveBack,
  spendTicket,
  takeDeviceCeremony,
} from './device-enrolment.ts'
import { deviceEnrolmentEvent, ownCredentialEvent } from './device-events.ts'
import { deviceCreationOptions, devicePossessionOptions } from './device-options.ts'
import { enrolmentGraceSeconds, judgePlace, leavePlace, takePlace } from './device-places.ts'
import { conveyanceOf, judgeDevice, requiresUserVerification } from './device-policy.ts'
import { provePossession } from './device-possession.ts'
import { devicesOf, hasFreshTap } from './device-view.ts'
import type { Evicted, PeopleWorld, SignedIn } from './people.ts'
import { verifyPersonRegistration } from './person-registration.ts'

// A record that is used while it is changed moves its counter, and no more often than a person taps.
const attemptsMax = 8

/** Step 1: a fresh login, an invitation, or a tap begins the registration of a further device. */
export async function beginDevice(
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ ceremony: string; options: PublicKeyCredentialCreationOptionsJSON }>> {
  const opened = await openEnrolment(signedIn, occasion, world)
  if (!opened.ok) return opened
  const { person } = opened.value
  const { record: identity } = signedIn.identity
  const devices = (await devicesOf(identity, world)).map(({ record }) => record)
  const place = judgePlace(signedIn, devices, { world, now: occasion.now, graceSeconds: 0 })
  if (!place.ok) return place
  const issued = await issueRegistration(signedIn, occasion, world)
  if (!issued.ok) return issued
  const policy = world.policy()
  const options = await deviceCreationOptions({
    challenge: challengeOf(issued.value, world.origin),
    identity,
    devices,
    rpId: person.rpId,
    algorithms: world.rules.algorithms,
    attestation: conveyanceOf(identity, policy),
    requireUserVerification: requiresUserVerification(identity, policy, person),
  })
  return accepted({ ceremony: issued.value.id, options })
}

/** Step 2: a registration that the policy accepts becomes a pending credential, which admits nobody. */
export async function registerDevice(
  request: { ceremony: string; name: string; response: unknown },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ ceremony: string; options: PublicKeyCredentialRequestOptionsJSON }>> {
  const opened = await openEnrolment(signedIn, occasion, world)
  if (!opened.ok) return opened
  const { person, ticket } = opened.value
  const { record: identity } = signedIn.identity
  const ceremony = await takeDeviceCeremony(request.ceremony, 'enrol', signedIn, occasion, world)
  if (!ceremony.ok) return ceremony
  const policy = world.policy()
  const requireUserVerification = requiresUserVerification(identity, policy, person)
  const registration = await verifyPersonRegistration(request.response, {
    challenge: challengeOf(ceremony.value, world.origin),
    origin: world.origin,
    rpId: person.rpId,
    algorithms: world.rules.algorithms,
    requireUserVerification,
  })
  if (!registration.ok) return refused('registration_invalid', registration.check)
  occasion.known.credential = registration.value.id

  const enrolledBy = allowedByLogin(signedIn.login.record, ticket?.record ?? null)
  const credential = pendingDevice(registration.value, signedIn, { name: request.name, rpId: person.rpId, enrolledBy, occasion, world })
  const judged = judgeDevice(credential, { identity, policy, metadata: world.metadata })
  if (!judged.ok) return judged
  const devices = (await devicesOf(identity, world)).map(({ record }) => record)
  const place = judgePlace(signedIn, devices, { world, now: occasion.now, graceSeconds: enrolmentGraceSeconds })
  if (!place.ok) return place
  // WebAuthn L3 §7.1 step 27: no two credentials have one id, whoever they are.
  if (!(await world.credentials.create(credentialKey(credential.id), credential))) return refused('credential_taken', null)
  const { userVerified } = registration.value
  const about = { identity, credential, ticket: ticket?.record ?? null, userVerified }
  await world.lifecycle.record(deviceEnrolmentEvent('registered', occasion, about))
  const possession = await issueCeremony(
    world.ceremonies,
    { purpose: 'enrol-possession', subject: credential.id, owner: { ticket: null, login: signedIn.login.record.id } },
    occasion,
  )
  const challenge = challengeOf(possession, world.origin)
  return accepted({
    ceremony: possession.id,
    options: await devicePossessionOptions({ challenge, credential, requireUserVerification }),
  })
}

/** Step 3: the device proves possession, takes one of the person's places, and is in force. */
export async function activateDevice(
  request: { ceremony: string; response: unknown },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ credential: CredentialRecord }>> {
  const opened = await openEnrolment(signedIn, occasion, world)
  if (!opened.ok) return opened
  const { person, ticket } = opened.value
  const ceremony = await takeDeviceCeremony(request.ceremony, 'enrol-possession', signedIn, occasion, world)
  if (!ceremony.ok) return ceremony
  const policy = world.policy()
  const requireUserVerification = requiresUserVerification(signedIn.identity.record, policy, person)
  const proven = await provePossession(request.response, { ceremony: ceremony.value, signedIn, requireUserVerification }, occasion, world)
  if (!proven.ok) return proven
  const { stored, credential, userVerified } = proven.value
  // The policy, the roles and the metadata may have changed since the registration.
  const judged = judgeDevice(credential, { identity: signedIn.identity.record, policy, metadata: world.metadata })
  if (!judged.ok) return judged
  const placed = await takePlace(credential, signedIn, { world, now: occasion.now })
  if (!placed.ok) return placed

  // Of two browsers with one invitation exactly one gets past this write; the other's device stays pending for ever.
  const spent = ticket === null ? null : await spendTicket(ticket, occasion, world)
  if (spent?.ok === false) {
    await leavePlace(credential, world)
    return spent
  }
  const about = { identity: placed.value, credential, ticket: ticket?.record ?? null, userVerified }
  await recordOrGiveBack(deviceEnrolmentEvent('enrolled', occasion, about), { device: credential, ticket }, occasion, world)
  if (!(await world.credentials.replace(credentialKey(credential.id), stored, credential))) {
    // An administrator revoked it at this very moment, or its owner removed it.
    return refused('possession_invalid', 'credential_not_pending')
  }
  await noteTap(credential, signedIn, occasion, world)
  return accepted({ credential })
}

/** Somebody else's device answers like one that does not exist. */
export async function renameDevice(
  { id, name }: { id: CredentialId; name: string },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<null>> {
  const { record: identity } = signedIn.identity
  const stored = await findOwn(id, identity, occasion, world)
  if (stored === null) return credentialRefused('unknown')
  const { state, name: before } = stored.record
  if (state === 'revoked') return credentialRefused('conflict')
  if (before === name) return accepted(null)
  const about = { identity, credential: stored.record, allowedBy: allowedByLogin(signedIn.login.record, null), facts: { name, before } }
  await world.lifecycle.record(ownCredentialEvent('renamed', occasion, about))
  const changed = await change(stored, world, (it) => (it.state === 'revoked' ? null : { ...it, name }))
  return changed === null ? credentialRefused('conflict') : accepted(null)
}

/** The credential is revoked for ever; the journey then refuses its sessions, and its connections are closed. */
export async function removeDevice(
  { id }: { id: CredentialId },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<Evicted>> {
  const { record: identity } = signedIn.identity
  const stored = await findOwn(id, identity, occasion, world)
  if (stored === null) return credentialRefused('unknown')
  if (await needsTapToRemove(stored.record, signedIn, occasion, world)) return refused('step_up_required', 'tap')
  const facts = { name: stored.record.name, changed: stored.record.state !== 'revoked' }
  const about = { identity, credential: stored.record, allowedBy: allowedByLogin(signedIn.login.record, null), facts }
  await world.lifecycle.record(ownCredentialEvent('revoked', occasion, about))
  const endedAt = occasion.now.getTime()
  await change(stored, world, (it) => (it.state === 'revoked' ? null : { ...it, state: 'revoked', endedAt }))
  // Asked again, it closes what may have been left open.
  return accepted(await world.evictions.evict({ credential: id }, identity.handle))
}

/** Where only a tap adds to devices, only a tap takes one away: who has none left needs no tap for the next. */
async function needsTapToRemove(device: CredentialRecord, { login, identity }: SignedIn, { now }: Occasion, world: PeopleWorld) {
  const isDevice = device.state === 'active' || device.state === 'quarantined'
  if (!isDevice || world.policy().personEnrolment.anotherDevice !== 'device') return false
  const devices = (await devicesOf(identity.record, world)).map(({ record }) => record)
  return !hasFreshTap(login.record, devices, { now, graceSeconds: 0 })
}

/** The person's own credential, or null: nobody learns whether somebody else has one by that id. */
async function findOwn(
  id: CredentialId,
  { handle }: IdentityRecord,
  { known }: Occasion,
  world: PeopleWorld,
): Promise<Stored<CredentialRecord> | null> {
  known.handle = handle
  known.credential = id
  const stored = await world.credentials.find(credentialKey(id))
  return stored?.record.handle === handle ? stored : null
}

/** Writes what `next` makes of the record, however often it moves meanwhile; null when `next` says that it may not. */
async function change(
  first: Stored<CredentialRecord>,
  world: PeopleWorld,
  next: (record: CredentialRecord) => CredentialRecord | null,
): Promise<CredentialRecord | null> {
  const key = credentialKey(first.record.id)
  let stored: Stored<CredentialRecord> | null = first
  for (let attempt = 0; attempt < attemptsMax && stored !== null; attempt++) {
    const wanted = next(stored.record)
    if (wanted === null) return null
    if (await world.credentials.replace(key, stored, wanted)) return wanted
    stored = await world.credentials.find(key)
  }
  throw new StoreUnavailable('changing a credential: it kept changing')
}
