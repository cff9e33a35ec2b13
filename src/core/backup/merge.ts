/**
 * What a restore writes: of a record in the backup, the live one and the audit trail, the state that is most final (ADR-0019).
 * Never more than the live record gives, never more than the trail left; so it may be done any number of times.
 */
import { claimsDigest } from '../claims-digest.ts'
import { machineUserHandle } from '../enrolment/enrolment.ts'
import type { Handle, UserNkey } from '../identifiers.ts'
import type { CredentialRecord, HeldRole, IdentityRecord, Tombstone } from '../records.ts'
import type { CredentialFacts, HeldSince, IdentityFacts } from './facts.ts'

/** What is known of one record. `gap`: the trail does not cover the time since the backup. */
export interface Sources<T, F> {
  backup: T | null
  live: T | null
  facts: F | null
  gap: boolean
}

/** The credential that should be there; null: none. A live record of another key under this id is kept as it is. */
export function mergeCredential(sources: Sources<CredentialRecord, CredentialFacts>): CredentialRecord | null {
  const { live, facts, gap } = sources
  const backup = live !== null && sources.backup !== null && !isSameKey(live, sources.backup) ? null : sources.backup
  const base = live ?? backup
  if (base === null) return facts === null ? null : endedCredential(facts)
  const isRevoked = live?.state === 'revoked' || backup?.state === 'revoked' || (facts !== null && facts.revokedAt !== null)
  const isHeld = holds({
    live: live === null ? null : live.state === 'quarantined',
    backup: backup?.state === 'quarantined',
    word: facts?.hold ?? null,
    gap,
  })
  // A pending one admits nobody: held, an administrator could release what never proved possession.
  const state = isRevoked ? 'revoked' : base.state !== 'pending' && isHeld ? 'quarantined' : base.state
  const endedAt =
    state === base.state ? base.endedAt : (facts?.revokedAt ?? backup?.endedAt ?? facts?.hold?.at ?? base.endedAt ?? base.createdAt)
  return { ...base, ...highestCounter(base, backup, facts), state, endedAt, expiresAt: earlier(base.expiresAt, backup?.expiresAt ?? null) }
}

/** The identity that should be there under `handle`; null: none. A live identity of somebody else is kept as it is. */
export function mergeIdentity(
  sources: Sources<IdentityRecord, IdentityFacts>,
  shell: { handle: Handle; isFree(owner: { issuer: string; subject: string }): boolean; userHandle(): string },
): IdentityRecord | null {
  const { live, facts, gap } = sources
  const backup = live !== null && sources.backup !== null && !isSameSubject(live, sources.backup) ? null : sources.backup
  const base = live ?? backup
  if (base === null) return facts === null ? null : spentHandle(facts, shell)
  const isHeld = holds({
    live: live === null ? null : live.state === 'disabled',
    backup: backup?.state === 'disabled',
    word: facts?.hold ?? null,
    gap,
  })
  const held = facts?.held ?? null
  const claimsHold = held === null || held.claims === null || claimsDigest(base.claims) === held.claims
  return {
    ...base,
    roles: held === null ? base.roles : base.roles.filter((role) => isStillHeld(role, held)),
    claims: claimsHold ? base.claims : {},
    state: isHeld ? 'disabled' : base.state,
  }
}

/** A revoked nkey stays revoked, whoever says so. */
export function mergeTombstone(nkey: UserNkey, sources: Sources<Tombstone, number>): Tombstone | null {
  const { backup, live, facts } = sources
  return live ?? backup ?? (facts === null ? null : { v: 1, nkey, revokedAt: facts })
}

/**
 * Whether a record is on hold. The trail's last word counts; one that let go only confirms a live record that followed it,
 * for what came out of a backup is let go by an administrator and not by us.
 */
function holds({
  live,
  backup,
  word,
  gap,
}: {
  live: boolean | null
  backup: boolean
  word: { on: boolean } | null
  gap: boolean
}): boolean {
  if (live === true || word?.on === true) return true
  if (live === null) return backup || gap
  return word === null && backup
}

/** A clone shows by a counter that went back, so none may be restored lower than it was seen. */
function highestCounter(
  base: CredentialRecord,
  backup: CredentialRecord | null,
  facts: CredentialFacts | null,
): Pick<CredentialRecord, 'signCount' | 'signCountAt'> {
  let highest = { signCount: base.signCount, signCountAt: base.signCountAt }
  if (backup !== null && backup.signCount > highest.signCount) highest = { signCount: backup.signCount, signCountAt: backup.signCountAt }
  const seen = facts?.counter ?? null
  return seen !== null && seen.signCount > highest.signCount ? { signCount: seen.signCount, signCountAt: seen.at } : highest
}

function earlier(one: number | null, other: number | null): number | null {
  return one === null ? other : other === null ? one : Math.min(one, other)
}

function isSameKey(one: CredentialRecord, other: CredentialRecord): boolean {
  return one.id === other.id && one.publicKey === other.publicKey && one.handle === other.handle && one.class === other.class
}

/** Whether both records are of one person or machine. */
export function isSameSubject(one: IdentityRecord, other: IdentityRecord): boolean {
  return one.class === other.class && one.issuer === other.issuer && one.subject === other.subject
}

function isStillHeld({ name, source }: HeldRole, held: HeldSince): boolean {
  return held.roles.has(name) && (source === 'idp' || held.assigned.has(name))
}

// A COSE_Key without members: no signature is ever good under it, and nobody can enrol the id again.
const NO_KEY = 'oA'

/** Enrolled and shut out after the backup: its key is lost, its end is not. */
function endedCredential(facts: CredentialFacts): CredentialRecord | null {
  const { id, handle, revokedAt, hold, counter } = facts
  const endedAt = revokedAt ?? (hold?.on === true ? hold.at : null)
  if (endedAt === null || handle === null) return null
  return {
    v: 1,
    id,
    publicKey: NO_KEY,
    signCount: counter?.signCount ?? 0,
    signCountAt: counter?.at ?? endedAt,
    backupEligible: false,
    backupState: false,
    transports: [],
    aaguid: '00000000-0000-0000-0000-000000000000',
    attestation: { format: 'none', trust: 'none' },
    rpId: 'restored',
    class: 'machine',
    handle,
    userHandle: '',
    name: '',
    state: 'revoked',
    createdAt: endedAt,
    expiresAt: null,
    endedAt,
    enrolledBy: 'restore',
    approvedBy: null,
  }
}

/**
 * A handle that was given after the backup is kept for whom it was given to: without roles or devices, until they sign in or
 * are invited again. Where the trail does not say who that is, nobody has it any more.
 */
function spentHandle(
  { at, owner, hold }: IdentityFacts,
  { handle, isFree, userHandle }: { handle: Handle; isFree(owner: { issuer: string; subject: string }): boolean; userHandle(): string },
): IdentityRecord {
  const known = owner !== null && isFree(owner) ? owner : null
  const whose = known ?? { class: 'machine' as const, issuer: 'restore', subject: handle }
  return {
    v: 1,
    handle,
    class: whose.class,
    issuer: whose.issuer,
    subject: whose.subject,
    displayName: handle,
    roles: [],
    claims: {},
    userHandle: whose.class === 'machine' ? machineUserHandle(handle) : userHandle(),
    devices: [],
    state: known === null || hold?.on === true ? 'disabled' : 'active',
    createdAt: at,
  }
}
