/**
 * Whose login it is: the identity of (issuer, subject), created at the first login and refreshed at each. What changes
 * somebody's access is on record before it is written (docs/signing-in.md).
 */
import { claimsDigest } from '../claims-digest.ts'
import { base64url } from '../encoding.ts'
import { assignedRoles, type Occasion } from '../enrolment/enrolment-events.ts'
import { type Handle, parseRoleName } from '../identifiers.ts'
import type { Policy } from '../policy/policy.ts'
import { StoreUnavailable } from '../ports.ts'
import type { HeldRole, IdentityRecord, Stored, TicketRecord } from '../records.ts'
import { accepted, type Judged, loginRefused, refused } from '../refusal.ts'
import type { PersonClaims } from './claim-mapping.ts'
import { type Entry, identityEvent } from './login-events.ts'
import type { IdpStatement, PeopleWorld } from './people.ts'
import { handleCandidates } from './person-handle.ts'

/** Issuer of people who were invited; their subject is their handle. No identity provider's issuer looks like that. */
const INVITATION_ISSUER = 'invitation'

const attemptsMax = 10
const userHandleBytes = 32
/** As many as a record holds. */
const heldRolesMax = 256

/** What the record of a person is made of, beside their handle. */
type Person = Pick<IdentityRecord, 'issuer' | 'subject' | 'displayName' | 'roles' | 'claims'>
type Identified = Promise<Judged<IdentityRecord>>
interface Surroundings {
  entry: Entry
  occasion: Occasion
  world: PeopleWorld
}

/** The person that the provider's statement is about, with the roles and claims it gives now. */
export async function identifyByClaims(statement: IdpStatement, claims: PersonClaims, occasion: Occasion, world: PeopleWorld): Identified {
  const { issuer, subject, provider } = statement
  const around: Surroundings = { entry: { how: 'idp', provider }, occasion, world }
  const given = rolesGiven(claims, occasion.now)
  if (given.length > heldRolesMax) return loginRefused('role_claim_malformed', 'roles')
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const stored = await world.identities.findBySubject(issuer, subject)
    if (stored === null) {
      if (!holdsAny(given, world.policy())) return rolesNone(claims)
      const { displayName, handleHint } = claims
      const created = await createPerson(handleHint, { issuer, subject, displayName, roles: given, claims: claims.claims }, around)
      if (!created.ok) return created
      if (created.value === null) continue
      return accepted(created.value)
    }
    occasion.known.handle = stored.record.handle
    const next = refreshed(stored.record, claims, given)
    if (!next.ok) return next
    if (!saysAlready(stored.record, next.value) && !(await writePerson(stored, next.value, around))) continue
    // Emptied all the same: roles that the provider took back must not live on in the record.
    return holdsAny(next.value.roles, world.policy()) ? next : rolesNone(claims)
  }
  throw new StoreUnavailable('settling the identity: it kept changing')
}

/** For the administrator, whether it is the claim or the policy that has to be looked at. */
function rolesNone({ roles }: PersonClaims): Judged<never> {
  return loginRefused('roles_none', roles.length === 0 ? 'nothing_mapped' : 'not_in_policy')
}

/** The person that was invited, with the roles of their latest invitation. */
export async function identifyByTicket(ticket: TicketRecord, occasion: Occasion, world: PeopleWorld): Identified {
  const { handle, invitedBy } = ticket
  const around: Surroundings = { entry: { how: 'invitation', invitedBy, ticket: ticket.id }, occasion, world }
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const stored = await world.identities.findOnLeader(handle)
    const next = judgeInvited(stored?.record ?? null, ticket, occasion)
    if (!next.ok) return next
    if (stored === null) {
      await world.lifecycle.record(identityEvent('created', next.value, { ...around, facts: {} }))
      const outcome = await world.identities.createIdentity(next.value)
      if (outcome === 'created') return next
      if (outcome !== 'exists') return refused('handle_taken', outcome)
    } else if (next.value === stored.record || (await writePerson(stored, next.value, around))) return next
  }
  throw new StoreUnavailable('settling the identity: it kept changing')
}

/**
 * A handle belongs to whom it was given: an invitation cannot take over somebody who came from a provider, nor a machine.
 * Of several invitations the one that was issued last counts, whichever is used last.
 */
function judgeInvited(existing: IdentityRecord | null, ticket: TicketRecord, occasion: Occasion): Judged<IdentityRecord> {
  const { handle, displayName, createdAt } = ticket
  const roles = ticket.roles.map((name) => ({ name, source: 'assigned' as const, asOf: createdAt }))
  if (existing === null) {
    return accepted(newPerson(handle, { issuer: INVITATION_ISSUER, subject: handle, displayName, roles, claims: {} }, occasion))
  }
  if (existing.class !== 'person' || existing.issuer !== INVITATION_ISSUER || existing.subject !== handle)
    return refused('handle_taken', null)
  if (existing.state !== 'active') return loginRefused('identity_disabled')
  if (existing.roles.some(({ asOf }) => asOf > createdAt)) return accepted(existing)
  const next = { ...existing, displayName, roles }
  const known = existing.displayName === displayName && existing.roles.every(({ asOf }) => asOf === createdAt) && sameRoles(existing, next)
  return accepted(known ? existing : next)
}

/** The identity as a login at the provider leaves it. `idp` roles are what the claims say now; `assigned` ones stay. */
function refreshed(existing: IdentityRecord, claims: PersonClaims, given: readonly HeldRole[]): Judged<IdentityRecord> {
  if (existing.class !== 'person') return loginRefused('subject_malformed', 'class')
  if (existing.state !== 'active') return loginRefused('identity_disabled')
  const assigned = existing.roles.filter(({ source }) => source === 'assigned')
  if (assigned.length + given.length > heldRolesMax) return loginRefused('role_claim_malformed', 'roles')
  return accepted({ ...existing, displayName: claims.displayName, claims: { ...claims.claims }, roles: [...assigned, ...given] })
}

/** The identity that was created; null when it was there by then, so that the caller looks again. */
async function createPerson(hint: string, person: Person, around: Surroundings): Promise<Judged<IdentityRecord | null>> {
  const { occasion, world } = around
  for (const handle of handleCandidates(hint, person)) {
    const there = await world.identities.findOnLeader(handle)
    const unfinished = there !== null && there.record.issuer === person.issuer && there.record.subject === person.subject
    if (there !== null && !unfinished) continue
    const record = newPerson(handle, person, occasion)
    // Somebody's creation that stopped half-way is finished by creating the same again; its record was made then.
    if (!unfinished) await world.lifecycle.record(identityEvent('created', record, { ...around, facts: {} }))
    const outcome = await world.identities.createIdentity(record)
    switch (outcome) {
      case 'created':
        occasion.known.handle = handle
        return accepted(record)
      case 'exists':
      case 'subject_taken':
        return accepted(null)
      case 'handle_taken':
        continue
    }
  }
  return loginRefused('handle_unavailable')
}

/** Whether it was written: by compare-and-set, with a record of what bears on the person's access. */
async function writePerson(stored: Stored<IdentityRecord>, next: IdentityRecord, around: Surroundings): Promise<boolean> {
  const { world } = around
  const roles = !sameRoles(stored.record, next)
  const claims = !sameClaims(stored.record, next)
  if (roles || claims) {
    const before = [...rolesOf(stored.record)].join(' ')
    // The digest tells a restore whether claims in a backup are still somebody's, and nobody what they are.
    const facts = { rolesBefore: before, claimsChanged: claims, assigned: assignedRoles(next), claims: claimsDigest(next.claims) }
    await world.lifecycle.record(identityEvent('roles_changed', next, { ...around, facts }))
  }
  if ((await world.identities.replace(stored, next)) !== null) return false
  // Open connections have what was given before. They come back, without a tap, with what is given now.
  if (roles || claims) await world.evictions.evict({ identity: next.handle }, next.handle)
  return true
}

function newPerson(handle: Handle, person: Person, { now, random }: Occasion): IdentityRecord {
  return {
    v: 1,
    handle,
    class: 'person',
    ...person,
    userHandle: base64url(random(userHandleBytes)),
    devices: [],
    state: 'active',
    createdAt: now.getTime(),
  }
}

function rolesGiven(claims: PersonClaims, now: Date): HeldRole[] {
  return [...new Set(claims.roles)].map((text) => {
    const name = parseRoleName(text)
    if (name === null) throw new Error('reading the roles of a claim: the mapping names no role')
    return { name, source: 'idp', asOf: now.getTime() }
  })
}

/** Whether one of the roles is in the policy: somebody who may do nothing has no business here. */
function holdsAny(roles: readonly HeldRole[], policy: Policy): boolean {
  return roles.some(({ name }) => policy.roles.has(name))
}

function rolesOf({ roles }: IdentityRecord): Set<string> {
  return new Set(roles.map(({ name, source }) => `${source}:${name}`))
}

function sameRoles(one: IdentityRecord, other: IdentityRecord): boolean {
  const [held, wanted] = [rolesOf(one), rolesOf(other)]
  return held.size === wanted.size && [...held].every((role) => wanted.has(role))
}

/** Another login of this very moment was quicker, and said the same. */
function saysAlready(existing: IdentityRecord, next: IdentityRecord): boolean {
  const asOf = Math.max(0, ...next.roles.map((role) => role.asOf))
  const current = existing.roles.every((role) => role.source === 'assigned' || role.asOf >= asOf)
  return current && existing.displayName === next.displayName && sameRoles(existing, next) && sameClaims(existing, next)
}

function sameClaims({ claims: one }: IdentityRecord, { claims: other }: IdentityRecord): boolean {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
}
