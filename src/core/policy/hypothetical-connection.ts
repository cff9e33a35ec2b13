/** A connection that never was, for explanations and policy tests: the same facts that a real one is judged by. */
import { credentialKey, type Handle, parseCredentialId, type RoleName } from '../identifiers.ts'
import type { CredentialClass, HeldRole } from '../records.ts'
import type { GrantSubject } from './resolve.ts'

export interface HypotheticalConnection {
  handle: Handle
  class: CredentialClass
  /** `ageSeconds` null: assigned by an administrator; otherwise a claim of that age. */
  roles: readonly { name: RoleName; ageSeconds: number | null }[]
  claims: Record<string, string>
  userVerified: boolean
  deviceBound: boolean
  aaguid: string
  attestation: 'none' | 'attested' | 'mds'
  /** An administrator approved the credential. */
  approved: boolean
  /** The session was endorsed by a code that was typed elsewhere. */
  byCode: boolean
  clientType: 'nats' | 'websocket'
  sourceAddress: string | null
  rolesMaxAgeSeconds: number
  now: Date
}

const credentialId = parseCredentialId('aHlwb3RoZXRpY2Fs')

/** What `{{device}}` becomes for every hypothetical connection. */
export function hypotheticalDevice(): string {
  return credentialKey(subjectCredentialId())
}

/** The subject that resolveGrant judges. */
export function hypotheticalSubject(connection: HypotheticalConnection): GrantSubject {
  const { handle, now } = connection
  return {
    identity: {
      v: 1,
      handle,
      class: connection.class,
      issuer: 'hypothetical',
      subject: handle,
      displayName: handle,
      roles: connection.roles.map(
        ({ name, ageSeconds }): HeldRole => ({
          name,
          source: ageSeconds === null ? 'assigned' : 'idp',
          asOf: now.getTime() - (ageSeconds ?? 0) * 1000,
        }),
      ),
      claims: connection.claims,
      userHandle: '',
      devices: [],
      state: 'active',
      createdAt: 0,
    },
    credential: {
      v: 1,
      id: subjectCredentialId(),
      publicKey: '',
      signCount: 0,
      signCountAt: 0,
      backupEligible: !connection.deviceBound,
      backupState: false,
      transports: [],
      aaguid: connection.aaguid,
      attestation: { format: 'none', trust: connection.attestation },
      rpId: 'hypothetical',
      class: connection.class,
      handle,
      userHandle: '',
      name: 'hypothetical',
      state: 'active',
      createdAt: 0,
      expiresAt: null,
      endedAt: null,
      enrolledBy: 'hypothetical',
      approvedBy: connection.approved ? 'hypothetical' : null,
    },
    userVerified: connection.userVerified,
    byCode: connection.byCode,
    clientType: connection.clientType,
    sourceAddress: connection.sourceAddress,
    rolesMaxAgeSeconds: connection.rolesMaxAgeSeconds,
    now,
  }
}

function subjectCredentialId() {
  if (credentialId === null) throw new Error('making a hypothetical connection')
  return credentialId
}
