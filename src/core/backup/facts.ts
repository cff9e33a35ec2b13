/**
 * What the audit trail says of credentials, sessions and identities since a backup was made: what a restore must not undo.
 * A word that widens (released, enabled) is known only so that a live record that followed it is left alone.
 */
import { type CredentialId, type CredentialKey, credentialKey, type Handle, type UserNkey } from '../identifiers.ts'
import type { CredentialClass } from '../records.ts'

/** Whose an identity is. */
export interface Owner {
  class: CredentialClass
  issuer: string
  subject: string
}

/** Roles and claims as somebody's latest change left them. */
export interface HeldSince {
  roles: ReadonlySet<string>
  /** Those of the roles that an administrator gave. */
  assigned: ReadonlySet<string>
  /** claimsDigest of the claims, or null where they were not touched. */
  claims: string | null
}

/** One record of the trail, as a restore reads it. `at`: epoch milliseconds. */
export type AuditFact = { at: number } & (
  | { kind: 'credential'; id: CredentialId; handle: Handle | null; became: 'revoked' | 'quarantined' | 'released' }
  | { kind: 'counter'; id: CredentialId; signCount: number }
  | { kind: 'session_revoked'; nkey: UserNkey }
  | { kind: 'identity'; handle: Handle; became: 'disabled' | 'enabled' }
  | { kind: 'created'; handle: Handle; owner: Owner | null }
  | { kind: 'held'; handle: Handle; held: HeldSince }
)

export interface CredentialFacts {
  id: CredentialId
  handle: Handle | null
  revokedAt: number | null
  /** The last word on a quarantine. */
  hold: { on: boolean; at: number } | null
  /** The highest counter of a grant. */
  counter: { signCount: number; at: number } | null
}

export interface IdentityFacts {
  /** When the handle was first mentioned. */
  at: number
  /** Null: the trail does not say, or names several. */
  owner: Owner | null
  /** The last word on being disabled. */
  hold: { on: boolean; at: number } | null
  held: HeldSince | null
}

export interface Facts {
  credentials: ReadonlyMap<CredentialKey, CredentialFacts>
  sessions: ReadonlyMap<UserNkey, number>
  identities: ReadonlyMap<Handle, IdentityFacts>
}

/** Adds up facts that come in the order of the trail. */
export function collectFacts(): { add(fact: AuditFact): void; facts: Facts } {
  const credentials = new Map<CredentialKey, CredentialFacts>()
  const sessions = new Map<UserNkey, number>()
  const identities = new Map<Handle, IdentityFacts>()
  const credential = (id: CredentialId): CredentialFacts =>
    entry(credentials, credentialKey(id), () => ({ id, handle: null, revokedAt: null, hold: null, counter: null }))
  const identity = (handle: Handle, at: number): IdentityFacts =>
    entry(identities, handle, () => ({ at, owner: null, hold: null, held: null }))
  const add = (fact: AuditFact): void => {
    const { at } = fact
    switch (fact.kind) {
      case 'credential': {
        const known = credential(fact.id)
        known.handle ??= fact.handle
        if (fact.became === 'revoked') known.revokedAt ??= at
        else known.hold = { on: fact.became === 'quarantined', at }
        return
      }
      case 'counter': {
        const known = credential(fact.id)
        if (fact.signCount > (known.counter?.signCount ?? 0)) known.counter = { signCount: fact.signCount, at }
        return
      }
      case 'session_revoked':
        if (!sessions.has(fact.nkey)) sessions.set(fact.nkey, at)
        return
      case 'identity':
        identity(fact.handle, at).hold = { on: fact.became === 'disabled', at }
        return
      case 'created': {
        // A record comes before its effect: of two people who were about to get one handle, the trail does not say who did.
        const isFirst = !identities.has(fact.handle)
        const known = identity(fact.handle, at)
        if (isFirst) known.owner = fact.owner
        else if (fact.owner === null || !isSameOwner(known.owner, fact.owner)) known.owner = null
        return
      }
      case 'held': {
        const known = identity(fact.handle, at)
        // Not every change of roles says what the claims are: then they are what they were.
        known.held = { ...fact.held, claims: fact.held.claims ?? known.held?.claims ?? null }
        return
      }
    }
  }
  return { add, facts: { credentials, sessions, identities } }
}

/** Whether both are the same person or machine. */
function isSameOwner(one: Owner | null, other: Owner | null): boolean {
  return one !== null && other !== null && one.class === other.class && one.issuer === other.issuer && one.subject === other.subject
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const there = map.get(key)
  if (there !== undefined) return there
  const made = make()
  map.set(key, made)
  return made
}
