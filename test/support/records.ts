/** Records that are well formed and in force; tests change what they are about. */
import { randomBytes } from 'node:crypto'
import { createServer, createUser } from 'nkeys.js'
import {
  type CredentialId,
  credentialKey,
  legacyName,
  parseCredentialId,
  parseHandle,
  parseRoleName,
  parseUserNkey,
} from '../../src/core/identifiers.ts'
import type { CredentialRecord, IdentityRecord, LegacyEntry, ProvenEntry, SessionRecord } from '../../src/core/records.ts'

function known<T>(value: T | null): T {
  if (value === null) throw new Error('making a test record')
  return value
}

export const handleOf = (text: string) => known(parseHandle(text))
export const roleOf = (text: string) => known(parseRoleName(text))
export const newCredentialId = (): CredentialId => known(parseCredentialId(randomBytes(32).toString('base64url')))
export const newUserNkey = () => known(parseUserNkey(createUser().getPublicKey()))
export const newGuardKey = () => randomBytes(32).toString('base64url')

export function credentialRecord(changes: Partial<CredentialRecord> = {}): CredentialRecord {
  return {
    v: 1,
    id: newCredentialId(),
    publicKey: randomBytes(77).toString('base64url'),
    signCount: 0,
    signCountAt: 0,
    backupEligible: true,
    backupState: false,
    transports: [],
    aaguid: '00000000-0000-0000-0000-000000000000',
    attestation: { format: 'packed', trust: 'self' },
    rpId: 'machines.example',
    class: 'machine',
    handle: handleOf('orders'),
    userHandle: 'b3JkZXJz',
    name: 'orders',
    state: 'active',
    createdAt: 1,
    expiresAt: null,
    endedAt: null,
    enrolledBy: 'admin',
    approvedBy: null,
    ...changes,
  }
}

export function sessionRecord(changes: Partial<SessionRecord> = {}): SessionRecord {
  return {
    v: 1,
    nkey: newUserNkey(),
    credential: credentialKey(newCredentialId()),
    handle: handleOf('orders'),
    class: 'machine',
    plain: false,
    userVerified: false,
    byCode: false,
    label: '',
    createdAt: Date.now(),
    expiresAt: Date.now() + 3_600_000,
    state: 'pending',
    endedAt: null,
    ...changes,
  }
}

export function identityRecord(handle: string, changes: Partial<IdentityRecord> = {}): IdentityRecord {
  return {
    v: 1,
    handle: handleOf(handle),
    class: 'machine',
    issuer: 'machine',
    subject: handle,
    displayName: handle,
    roles: [{ name: roleOf('orders-writer'), source: 'assigned', asOf: 1 }],
    claims: {},
    userHandle: 'b3JkZXJz',
    devices: [],
    state: 'active',
    createdAt: 1,
    ...changes,
  }
}

export function guardEntry(changes: Partial<ProvenEntry> = {}): ProvenEntry {
  const now = Math.floor(Date.now() / 1000)
  return {
    v: 1,
    serverId: createServer().getPublicKey(),
    clientId: 7,
    proof: randomBytes(32).toString('base64url'),
    credential: credentialKey(newCredentialId()),
    session: null,
    handle: handleOf('orders'),
    iat: now,
    exp: now + 900,
    ...changes,
  }
}

/** A guard entry of a connection that a legacy user was admitted on. */
export function legacyGuardEntry(changes: Partial<LegacyEntry> = {}): LegacyEntry {
  const { v, serverId, clientId, iat, exp } = guardEntry()
  return { v, serverId, clientId, legacy: legacyName('billing'), iat, exp, ...changes }
}
