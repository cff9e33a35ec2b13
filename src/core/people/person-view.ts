/** What the page shows of the person who is signed in: what they hold, what they have, what they may do next. */
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { credentialKey } from '../identifiers.ts'
import type { Policy } from '../policy/policy.ts'
import { isRoleFresh } from '../policy/resolve.ts'
import type { CredentialRecord, HeldRole, SessionRecord } from '../records.ts'
import { devicesOf, viewDevice, whatIsNeeded } from './device-view.ts'
import type { PeopleWorld, PersonView, SessionView, SignedIn } from './people.ts'

/** Sessions shown, the newest first. */
const sessionsMax = 100

/** The person, as of now. Reads their devices; their sessions are those that this verifier knows of. */
export async function viewPerson(signedIn: SignedIn, { now }: Occasion, world: PeopleWorld): Promise<PersonView> {
  const { login, identity } = { login: signedIn.login.record, identity: signedIn.identity.record }
  const policy = world.policy()
  const devices = await devicesOf(identity, world)
  const records = devices.map(({ record }) => record)
  return {
    handle: identity.handle,
    displayName: identity.displayName,
    how: login.how,
    provider: login.provider,
    loginExpiresAt: login.expiresAt,
    roles: identity.roles.map((role) => viewRole(role, policy, { now, rolesMaxAgeSeconds: world.rules.rolesMaxAgeSeconds })),
    devices: records.map((record) => viewDevice(record, { identity, policy, metadata: world.metadata, login, now })),
    devicesMax: policy.personEnrolment.devicesMax,
    sessions: viewSessions(world.sessions.of(identity.handle), records),
    enrol: whatIsNeeded(signedIn, devices, policy, now),
    rpId: world.rules.person?.rpId ?? '',
    userHandle: identity.userHandle,
  }
}

function viewRole(role: HeldRole, policy: Policy, about: { now: Date; rolesMaxAgeSeconds: number }): PersonView['roles'][number] {
  const { name, source, asOf } = role
  return { name, source, asOf, stale: !isRoleFresh(role, about), known: policy.roles.has(name) }
}

/** A session is as dead as the device it came from, whatever its own record says. */
function viewSessions(sessions: readonly SessionRecord[], devices: readonly CredentialRecord[]): SessionView[] {
  const named = new Map(devices.map(({ id, name }) => [credentialKey(id), { id, name }]))
  return sessions
    .filter(({ credential }) => named.has(credential))
    .sort((one, other) => other.createdAt - one.createdAt)
    .slice(0, sessionsMax)
    .map(({ nkey, label, plain, byCode, credential, createdAt, expiresAt }) => ({
      nkey,
      label,
      plain,
      byCode,
      device: named.get(credential) ?? null,
      createdAt,
      expiresAt,
    }))
}
