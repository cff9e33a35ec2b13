/** Everything that a restore writes, from the backup, the live buckets and the trail. Pure: what is written is what this says. */
import type { CredentialKey, Handle, UserNkey } from '../identifiers.ts'
import type { CredentialRecord, IdentityRecord, Stored, Tombstone } from '../records.ts'
import { subjectKey } from '../subject-key.ts'
import type { KeptBucket } from './backup-format.ts'
import type { Facts } from './facts.ts'
import { isSameSubject, mergeCredential, mergeIdentity, mergeTombstone } from './merge.ts'

/** Which handle belongs to (issuer, subject), by subjectKey. */
export interface SubjectRecord {
  v: 1
  handle: Handle
}

/** The records of the buckets that are kept. */
export interface KeptState {
  credentials: Map<CredentialKey, Stored<CredentialRecord>>
  identities: Map<Handle, Stored<IdentityRecord>>
  subjects: Map<string, Stored<SubjectRecord>>
  tombstones: Map<UserNkey, Stored<Tombstone>>
  /** Live keys (`bucket/key`) without a record: deleted ones may be written again, those that cannot be read may not. */
  blanks: Map<string, { revision: number; undecodable: boolean }>
}

export function emptyState(): KeptState {
  return { credentials: new Map(), identities: new Map(), subjects: new Map(), tombstones: new Map(), blanks: new Map() }
}

/**
 * `restored`: as in the backup. `narrowed`: with what the trail or the backup took away since. `reserved`: not in the backup;
 * the trail says that the handle was given, or that the credential or nkey was revoked. `held`: restored, but nobody gets in by
 * it before an administrator says so.
 */
export type RestoreAction = 'restored' | 'narrowed' | 'reserved' | 'held'

export interface PlannedWrite {
  bucket: KeptBucket
  key: string
  /** Of the live key, which must not have moved: 0 where there is none. */
  revision: number
  record: CredentialRecord | IdentityRecord | SubjectRecord | Tombstone
  action: RestoreAction
}

export interface RestorePlan {
  writes: PlannedWrite[]
  /** Live records that stay as they are. */
  kept: Record<KeptBucket, number>
  /** Live records that are somebody else's than the backup's, or cannot be read: left alone. */
  conflicts: { bucket: KeptBucket; key: string }[]
}

export interface RestoreInput {
  backup: KeptState
  live: KeptState
  facts: Facts
  /** The trail does not cover the time since the backup, and somebody accepted that. */
  gap: boolean
  /** A new WebAuthn user.id: 32 random bytes, unpadded base64url. */
  userHandle(): string
}

/** Tombstones first and credentials last: a restore that stops half-way has admitted nobody too many. */
export function planRestore(input: RestoreInput): RestorePlan {
  const plan: RestorePlan = {
    writes: [],
    kept: { webauthn_credentials: 0, webauthn_identities: 0, webauthn_revoked_nkeys: 0 },
    conflicts: [],
  }
  planTombstones(input, plan)
  const after = planIdentities(input, plan)
  planCredentials(input, after, plan)
  return plan
}

function planTombstones({ backup, live, facts, gap }: RestoreInput, plan: RestorePlan): void {
  const put = putInto(plan, live, 'webauthn_revoked_nkeys')
  for (const nkey of union(backup.tombstones, live.tombstones, facts.sessions)) {
    const sources = sourcesOf(nkey, { backup: backup.tombstones, live: live.tombstones, facts: facts.sessions, gap })
    put(nkey, sources, mergeTombstone(nkey, sources))
  }
}

/** The identities as they will be. */
function planIdentities(input: RestoreInput, plan: RestorePlan): Map<Handle, IdentityRecord> {
  const after = new Map<Handle, IdentityRecord>()
  const { backup, live, facts, gap, userHandle } = input
  const put = putInto(plan, live, 'webauthn_identities')
  const subjects = new Map([...backup.subjects, ...live.subjects])
  for (const handle of union(backup.identities, live.identities, facts.identities)) {
    const sources = sourcesOf(handle, { backup: backup.identities, live: live.identities, facts: facts.identities, gap })
    const isFree = (owner: { issuer: string; subject: string }) => {
      const holder = subjects.get(subjectKey(owner))?.record.handle
      return holder === undefined || holder === handle
    }
    const merged = mergeIdentity(sources, { handle, isFree, userHandle })
    const isOthers = sources.live !== null && sources.backup !== null && !isSameSubject(sources.live, sources.backup)
    if (isOthers) plan.conflicts.push({ bucket: 'webauthn_identities', key: handle })
    put(handle, sources, merged)
    if (merged !== null) after.set(handle, merged)
    // What was given since the backup needs its index too, or its owner would get another handle.
    if (merged !== null && sources.live === null && sources.backup === null && merged.issuer !== 'restore') {
      subjects.set(subjectKey(merged), { record: { v: 1, handle }, revision: 0 })
    }
  }
  for (const [key, { record }] of subjects) {
    const [there, kept] = [live.subjects.get(key), backup.subjects.get(key)]
    if (there !== undefined && kept !== undefined && there.record.handle !== kept.record.handle) {
      plan.conflicts.push({ bucket: 'webauthn_identities', key })
    }
    put(key, { backup: kept?.record ?? null, live: there?.record ?? null, gap: false }, record)
  }
  return after
}

function planCredentials({ backup, live, facts, gap }: RestoreInput, after: ReadonlyMap<Handle, IdentityRecord>, plan: RestorePlan): void {
  const put = putInto(plan, live, 'webauthn_credentials')
  for (const key of union(backup.credentials, live.credentials, facts.credentials)) {
    const sources = sourcesOf(key, { backup: backup.credentials, live: live.credentials, facts: facts.credentials, gap })
    const { backup: kept, live: there } = sources
    if (kept !== null && there !== null && (kept.publicKey !== there.publicKey || kept.handle !== there.handle)) {
      plan.conflicts.push({ bucket: 'webauthn_credentials', key })
    }
    const merged = mergeCredential(sources)
    const isRestored = kept !== null && there === null && merged !== null
    put(key, sources, isRestored && !isStillOwned(kept, backup, after) ? ended(merged) : merged)
  }
}

/** A credential comes back for whom it was made, never for who has the handle by now. */
function isStillOwned({ handle }: CredentialRecord, backup: KeptState, after: ReadonlyMap<Handle, IdentityRecord>): boolean {
  const [then, now] = [backup.identities.get(handle)?.record, after.get(handle)]
  return then !== undefined && now !== undefined && isSameSubject(then, now)
}

function ended(record: CredentialRecord): CredentialRecord {
  return { ...record, state: 'revoked', endedAt: record.endedAt ?? record.signCountAt }
}

function sourcesOf<K, T, F>(
  key: K,
  from: { backup: ReadonlyMap<K, Stored<T>>; live: ReadonlyMap<K, Stored<T>>; facts: ReadonlyMap<K, F>; gap: boolean },
): { backup: T | null; live: T | null; facts: F | null; gap: boolean } {
  return {
    backup: from.backup.get(key)?.record ?? null,
    live: from.live.get(key)?.record ?? null,
    facts: from.facts.get(key) ?? null,
    gap: from.gap,
  }
}

function putInto(plan: RestorePlan, live: KeptState, bucket: KeptBucket) {
  const revisions: ReadonlyMap<string, Stored<unknown>>[] =
    bucket === 'webauthn_credentials'
      ? [live.credentials]
      : bucket === 'webauthn_identities'
        ? [live.identities, live.subjects]
        : [live.tombstones]
  return (
    key: string,
    { backup, live: there, gap }: { backup: object | null; live: object | null; gap: boolean },
    record: PlannedWrite['record'] | null,
  ): void => {
    if (record === null) return
    if (there !== null && isSame(there, record)) {
      plan.kept[bucket]++
      return
    }
    const blank = live.blanks.get(`${bucket}/${key}`)
    if (blank?.undecodable === true) {
      // It admits nobody as it is, and what it was nobody can say.
      plan.conflicts.push({ bucket, key })
      return
    }
    const revision = revisions.map((map) => map.get(key)?.revision).find((known) => known !== undefined) ?? blank?.revision ?? 0
    plan.writes.push({ bucket, key, revision, record, action: actionOf(record, { backup, live: there, gap }) })
  }
}

function actionOf(record: object, { backup, live, gap }: { backup: object | null; live: object | null; gap: boolean }): RestoreAction {
  if (live !== null) return 'narrowed'
  if (backup === null) return 'reserved'
  if (isSame(backup, record)) return 'restored'
  return gap ? 'held' : 'narrowed'
}

/** Records come out of one schema, or are copies of one that did, so their members stand in one order. */
function isSame(one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function union<K>(...maps: ReadonlyMap<K, unknown>[]): Set<K> {
  return new Set(maps.flatMap((map) => [...map.keys()]))
}
