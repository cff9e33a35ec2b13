/** What a person is shown of their devices, and whether they may enrol another now. */
import { credentialKey } from '../identifiers.ts'
import type { Policy } from '../policy/policy.ts'
import { unmetByDevice } from '../policy/requirements.ts'
import type { CredentialRecord, IdentityRecord, LoginRecord, Stored } from '../records.ts'
import { heldRoles } from './device-policy.ts'
import { type DeviceView, freshSeconds, type MetadataPort, type PeopleWorld, type PersonView, type SignedIn } from './people.ts'

// Providers and verifiers have clocks of their own.
const clockSkewMs = 60_000

/** What a device is to its owner's roles: each role held, and what it demands that this device does not meet. */
export function viewDevice(
  record: CredentialRecord,
  about: { identity: IdentityRecord; policy: Policy; metadata: MetadataPort; login: LoginRecord; now: Date },
): DeviceView {
  const { identity, policy, metadata, login } = about
  const { id, name, aaguid, attestation, backupEligible, backupState, transports, state, createdAt } = record
  const roles = heldRoles(identity, policy).map(({ name: role, require }) => {
    const unmet: string[] = unmetByDevice(require, record)
    if (require.approval && record.approvedBy === null) unmet.push('approval')
    return { name: role, unmet }
  })
  return {
    id,
    name,
    aaguid,
    // A name for an AAGUID that anybody may have claimed would be believed.
    model: attestation.trust === 'mds' ? (metadata.entryOf(aaguid)?.description ?? null) : null,
    trust: attestation.trust,
    synced: backupEligible,
    backedUp: backupState,
    transports: [...transports],
    state,
    createdAt,
    roles,
    current: login.tapped?.credential === credentialKey(id),
  }
}

/** The credentials of the identity's list that are in force or on hold, in the order of the list: not pending, not revoked. */
export async function devicesOf(identity: IdentityRecord, world: Pick<PeopleWorld, 'credentials'>): Promise<Stored<CredentialRecord>[]> {
  const found = await Promise.all(identity.devices.map((key) => world.credentials.find(key)))
  return found.filter((stored) => stored !== null).filter(({ record }) => isDevice(record) && record.handle === identity.handle)
}

function isDevice({ state }: CredentialRecord): boolean {
  return state === 'active' || state === 'quarantined'
}

/** Whether a device may be enrolled now, and what is needed first. `devices`: those of devicesOf. */
export function whatIsNeeded(
  { login }: SignedIn,
  devices: readonly Stored<CredentialRecord>[],
  policy: Policy,
  now: Date,
): PersonView['enrol'] {
  return enrolNeeds(
    login.record,
    devices.map(({ record }) => record),
    { policy, now, graceSeconds: 0 },
  )
}

/** As whatIsNeeded, of something that may have begun `graceSeconds` ago. */
export function enrolNeeds(
  login: LoginRecord,
  devices: readonly CredentialRecord[],
  { policy, now, graceSeconds }: { policy: Policy; now: Date; graceSeconds: number },
): PersonView['enrol'] {
  const { devicesMax, anotherDevice } = policy.personEnrolment
  if (devices.length >= devicesMax) return { allowed: false, needs: 'room' }
  if (hasFreshTap(login, devices, { now, graceSeconds })) return MAY_ENROL
  if (devices.length > 0 && anotherDevice === 'device') return { allowed: false, needs: 'tap' }
  // An invitation is one: it is spent by the device it enrols.
  const isFresh = login.authenticatedAt !== null && isWithin(now.getTime() - login.authenticatedAt, freshSeconds + graceSeconds)
  if (login.ticket !== null || (login.how === 'idp' && isFresh)) return MAY_ENROL
  return { allowed: false, needs: devices.length > 0 ? 'fresh_login_or_tap' : 'fresh_login' }
}

/** Whether one of `devices` was tapped in this login a moment ago, and is still in force. */
export function hasFreshTap(
  { tapped }: LoginRecord,
  devices: readonly CredentialRecord[],
  { now, graceSeconds }: { now: Date; graceSeconds: number },
): boolean {
  if (tapped === null || !isWithin(now.getTime() - tapped.at, freshSeconds + graceSeconds)) return false
  return devices.some((it) => it.state === 'active' && credentialKey(it.id) === tapped.credential)
}

const MAY_ENROL = { allowed: true, needs: 'nothing' } as const

/** A time that lies in the future proves as little as one long ago. */
function isWithin(ageMs: number, seconds: number): boolean {
  return ageMs >= -clockSkewMs && ageMs <= seconds * 1000
}
