/** Identities and circumstances for tests of the policy. */
import { type AccountName, credentialKey, parseAccountName, parseCredentialId } from '../../src/core/identifiers.ts'
import type { Requirements } from '../../src/core/policy/policy.ts'
import type { GrantSubject } from '../../src/core/policy/resolve.ts'
import type { CredentialClass, CredentialRecord, HeldRole } from '../../src/core/records.ts'
import { credentialRecord, handleOf, identityRecord, roleOf } from './records.ts'

function real<T>(value: T | null): T {
  if (value === null) throw new Error('making a test value')
  return value
}

export function accountName(text: string): AccountName {
  return real(parseAccountName(text))
}

/** 12:00 UTC on a Wednesday. */
export const testNow = new Date('2026-03-04T12:00:00Z')

export function heldRole(name: string, held: Partial<Omit<HeldRole, 'name'>> = {}): HeldRole {
  return { name: roleOf(name), source: 'assigned', asOf: 0, ...held }
}

export interface SubjectSpec {
  handle?: string
  class?: CredentialClass
  roles: readonly (string | HeldRole)[]
  claims?: Record<string, string>
  credential?: Partial<CredentialRecord>
  connection?: Partial<Pick<GrantSubject, 'userVerified' | 'byCode' | 'clientType' | 'sourceAddress' | 'rolesMaxAgeSeconds' | 'now'>>
}

/** A machine with nothing special about it, except what `spec` says. `deviceToken` is what `{{device}}` becomes. */
export function grantSubject(spec: SubjectSpec): GrantSubject & { deviceToken: string } {
  const handle = handleOf(spec.handle ?? 'alice')
  const kind = spec.class ?? 'machine'
  const identity = identityRecord(handle, {
    class: kind,
    roles: spec.roles.map((role) => (typeof role === 'string' ? heldRole(role) : role)),
    claims: spec.claims ?? {},
  })
  const credential = credentialRecord({
    id: real(parseCredentialId('AAECAwQFBgcICQoLDA0ODw')),
    backupEligible: false,
    attestation: { format: 'none', trust: 'none' },
    class: kind,
    handle,
    ...spec.credential,
  })
  return {
    identity,
    credential,
    userVerified: false,
    byCode: false,
    clientType: 'nats',
    sourceAddress: '192.0.2.1',
    rolesMaxAgeSeconds: 86_400,
    now: testNow,
    ...spec.connection,
    deviceToken: credentialKey(credential.id),
  }
}

/** What a role demands that demands nothing. */
export const NO_REQUIREMENTS: Requirements = {
  class: null,
  userVerification: false,
  deviceBound: false,
  aaguids: null,
  attestation: null,
  approval: false,
  clientTypes: null,
  sourceCidrs: null,
  timeWindows: null,
}
