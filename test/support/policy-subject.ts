/** Identities and circumstances for tests of the policy. */
import {
  type AccountName,
  credentialKey,
  type Handle,
  parseAccountName,
  parseCredentialId,
  parseHandle,
  parseRoleName,
} from '../../src/core/identifiers.ts'
import type { CredentialClass, CredentialRecord, HeldRole, IdentityRecord } from '../../src/core/records.ts'
import type { GrantSubject } from '../../src/core/resolve.ts'

function real<T>(value: T | null): T {
  if (value === null) throw new Error('making a test value')
  return value
}

export function accountName(text: string): AccountName {
  return real(parseAccountName(text))
}

export function handleOf(text: string): Handle {
  return real(parseHandle(text))
}

/** 12:00 UTC on a Wednesday. */
export const testNow = new Date('2026-03-04T12:00:00Z')

export function heldRole(name: string, held: Partial<Omit<HeldRole, 'name'>> = {}): HeldRole {
  return { name: real(parseRoleName(name)), source: 'assigned', asOf: 0, ...held }
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
  const identity: IdentityRecord = {
    v: 1,
    handle,
    class: kind,
    issuer: kind,
    subject: handle,
    displayName: handle,
    roles: spec.roles.map((role) => (typeof role === 'string' ? heldRole(role) : role)),
    claims: spec.claims ?? {},
    userHandle: 'AA',
    devices: [],
    state: 'active',
    createdAt: 0,
  }
  const credential: CredentialRecord = {
    v: 1,
    id: real(parseCredentialId('AAECAwQFBgcICQoLDA0ODw')),
    publicKey: 'pQ',
    signCount: 0,
    signCountAt: 0,
    backupEligible: false,
    backupState: false,
    transports: [],
    aaguid: '00000000-0000-0000-0000-000000000000',
    attestation: { format: 'none', trust: 'none' },
    rpId: 'example.com',
    class: kind,
    handle,
    userHandle: 'AA',
    name: 'test',
    state: 'active',
    createdAt: 0,
    expiresAt: null,
    endedAt: null,
    enrolledBy: 'test',
    approvedBy: null,
    ...spec.credential,
  }
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
