/** What a person's device must be to be enrolled, and what the browser is asked for so that it can show that. */
import type { Policy, Role } from '../policy/policy.ts'
import { unmetByDevice } from '../policy/requirements.ts'
import type { CredentialRecord, IdentityRecord } from '../records.ts'
import { accepted, type Judged, refused } from '../refusal.ts'
import type { Rules } from '../rules.ts'
import { type RefusedStatus, refusedStatusOf } from '../webauthn/attestation-trust.ts'
import type { MetadataPort } from './people.ts'

/** Which demand a device does not meet: the `check` of `device_refused`. */
export const DEVICE_CHECKS = {
  mds_revoked: "FIDO's metadata says of the model: REVOKED.",
  mds_user_key_physical_compromise: "FIDO's metadata says of the model: USER_KEY_PHYSICAL_COMPROMISE.",
  mds_user_key_remote_compromise: "FIDO's metadata says of the model: USER_KEY_REMOTE_COMPROMISE.",
  mds_user_verification_bypass: "FIDO's metadata says of the model: USER_VERIFICATION_BYPASS.",
  mds_attestation_key_compromise: "FIDO's metadata says of the model: ATTESTATION_KEY_COMPROMISE.",
  class: 'The roles are for machines.',
  device_bound: 'The passkey may be copied to other devices (BE=1), and only a device-bound one is accepted.',
  aaguids: 'The model (AAGUID) is not in the list.',
  attestation: 'The device did not show what it is as well as is demanded: by a certificate, or by one that FIDO vouches for.',
  roles: 'The person holds no role of the policy.',
} as const

/** Whether the device is accepted: its model, what everybody's devices must be, and at least one role that it would give. */
export function judgeDevice(
  credential: CredentialRecord,
  { identity, policy, metadata }: { identity: IdentityRecord; policy: Policy; metadata: MetadataPort },
): Judged<null> {
  // Whatever the policy says, and although an AAGUID may be made up: who claims to be a broken model is refused as one.
  const status = refusedStatusOf(metadata.entryOf(credential.aaguid))
  if (status !== null) return refused('device_refused', STATUS_CHECKS[status])
  const { attestation, aaguids, deviceBound } = policy.personEnrolment
  const demands = { class: 'person' as const, deviceBound, aaguids, attestation: attestation === 'none' ? null : attestation }
  const [unmet] = unmetByDevice(demands, credential)
  if (unmet !== undefined) return refused('device_refused', unmet)
  // A device that gives no role is refused now, while the person can still take another.
  const unmetOfRoles = heldRoles(identity, policy).map(({ require }) => unmetByDevice(require, credential))
  if (unmetOfRoles.some((list) => list.length === 0)) return accepted(null)
  return refused('device_refused', unmetOfRoles[0]?.[0] ?? 'roles')
}

/** Attestation conveyance. Browsers may blank the AAGUID as well where none is asked for, so a list of models needs it too. */
export function conveyanceOf(identity: IdentityRecord, policy: Policy): 'none' | 'direct' {
  const { attestation, aaguids } = policy.personEnrolment
  const demanded = attestation !== 'none' || aaguids !== null
  return demanded || heldRoles(identity, policy).some(({ require }) => require.attestation !== null || require.aaguids !== null)
    ? 'direct'
    : 'none'
}

/** Whether a ceremony of this person must verify them, and not only see that somebody is there. */
export function requiresUserVerification(identity: IdentityRecord, policy: Policy, person: NonNullable<Rules['person']>): boolean {
  return person.requireUserVerification || heldRoles(identity, policy).some(({ require }) => require.userVerification)
}

/** The roles of the policy that the identity holds, by name. */
export function heldRoles(identity: IdentityRecord, policy: Policy): Role[] {
  const names = [...new Set(identity.roles.map(({ name }) => name))].sort()
  return names.flatMap((name) => policy.roles.get(name) ?? [])
}

const STATUS_CHECKS = {
  REVOKED: 'mds_revoked',
  USER_KEY_PHYSICAL_COMPROMISE: 'mds_user_key_physical_compromise',
  USER_KEY_REMOTE_COMPROMISE: 'mds_user_key_remote_compromise',
  USER_VERIFICATION_BYPASS: 'mds_user_verification_bypass',
  ATTESTATION_KEY_COMPROMISE: 'mds_attestation_key_compromise',
} as const satisfies Record<RefusedStatus, keyof typeof DEVICE_CHECKS>
