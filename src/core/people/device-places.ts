/** The places for a person's devices: the identity's list, which moves by compare-and-set and never grows beyond the policy. */
import { ceremonySeconds } from '../enrolment/ceremony.ts'
import { type CredentialKey, credentialKey } from '../identifiers.ts'
import { StoreUnavailable } from '../ports.ts'
import type { CredentialRecord, IdentityRecord, Stored } from '../records.ts'
import { accepted, type Judged, loginRefused, refused } from '../refusal.ts'
import { enrolNeeds } from './device-view.ts'
import type { PeopleWorld, SignedIn } from './people.ts'

// Each attempt that loses means that another device of the same person won.
const attemptsMax = 64
/** An enrolment that was begun while the login was fresh may end this much later: two ceremonies. */
export const enrolmentGraceSeconds = 2 * ceremonySeconds

/** Whether another device may take a place now; `graceSeconds` is how long ago it may have begun. */
export function judgePlace(
  signedIn: SignedIn,
  devices: readonly CredentialRecord[],
  { world, now, graceSeconds }: { world: PeopleWorld; now: Date; graceSeconds: number },
): Judged<null> {
  const { needs } = enrolNeeds(signedIn.login.record, devices, { policy: world.policy(), now, graceSeconds })
  switch (needs) {
    case 'nothing':
      return accepted(null)
    case 'room':
      return refused('devices_full', null)
    case 'fresh_login':
    case 'tap':
    case 'fresh_login_or_tap':
      return refused('step_up_required', needs)
  }
}

/**
 * Puts the device into the identity's list, and what no longer counts out of it. Of any number of devices that come at
 * once, as many get a place as there is room for.
 */
export async function takePlace(
  device: CredentialRecord,
  signedIn: SignedIn,
  { world, now }: { world: PeopleWorld; now: Date },
): Promise<Judged<IdentityRecord>> {
  const key = credentialKey(device.id)
  let stored: Stored<IdentityRecord> | null = signedIn.identity
  for (let attempt = 0; attempt < attemptsMax && stored !== null; attempt++) {
    const identity: IdentityRecord = stored.record
    if (identity.state !== 'active') return loginRefused('identity_disabled')
    const kept = await countedDevices(identity, key, { world, now })
    const judged = judgePlace(signedIn, kept, { world, now, graceSeconds: enrolmentGraceSeconds })
    if (!judged.ok) return judged
    const next = { ...identity, devices: [...kept.map(({ id }) => credentialKey(id)), key] }
    stored = await world.identities.replace(stored, next)
    if (stored === null) return accepted(next)
  }
  throw new StoreUnavailable('taking a place for a device: the identity kept changing')
}

/** Gives the place of a device back that is not coming into force, so that the next need not wait until it no longer counts. */
export async function leavePlace(device: CredentialRecord, world: PeopleWorld): Promise<void> {
  const key = credentialKey(device.id)
  let stored = await world.identities.findOnLeader(device.handle)
  for (let attempt = 0; attempt < attemptsMax && stored?.record.devices.includes(key); attempt++) {
    const { record }: Stored<IdentityRecord> = stored
    stored = await world.identities.replace(stored, { ...record, devices: record.devices.filter((other) => other !== key) })
  }
}

/** The other devices of the list that count: revoked ones do not, nor those whose enrolment stopped and can no longer end. */
async function countedDevices(
  identity: IdentityRecord,
  own: CredentialKey,
  { world, now }: { world: PeopleWorld; now: Date },
): Promise<CredentialRecord[]> {
  const found = await Promise.all(identity.devices.filter((key) => key !== own).map((key) => world.credentials.find(key)))
  return found.flatMap((stored) => {
    if (stored === null || stored.record.handle !== identity.handle) return []
    const { state, createdAt } = stored.record
    const isAbandoned = state === 'pending' && createdAt + enrolmentGraceSeconds * 1000 <= now.getTime()
    return state === 'revoked' || isAbandoned ? [] : [stored.record]
  })
}
