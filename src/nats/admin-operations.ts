/** What administrators can do (docs/admin-api.md). Every change is in the audit trail before it is made. */
import type { LifecycleCode } from '../core/audit-event.ts'
import { connectionClosed } from '../core/connection-events.ts'
import { assignedRoles } from '../core/enrolment/enrolment-events.ts'
import { credentialKey } from '../core/identifiers.ts'
import type { CredentialRecord, IdentityRecord, SessionRecord, Stored } from '../core/records.ts'
import { type About, type Call, changeRecord, done, type Outcome, ROLE_UNKNOWN, read, record, refused } from './admin-call.ts'
import { invite } from './admin-invite.ts'
import { pageOf } from './admin-listing.ts'
import type { AdminAnswers, AdminBody, AdminOperation, Change, CredentialView, IdentityView, Kicks, SessionView } from './admin-protocol.ts'
import { listTickets, revokeTicket, revokeTicketsFor } from './admin-tickets.ts'
import type { KickTarget } from './kicker.ts'
import { standingOf } from './session-store.ts'

type Operations = { [O in AdminOperation]: (body: AdminBody<O>, call: Call) => Promise<Outcome<AdminAnswers[O]>> }

export const OPERATIONS: Operations = {
  status: (_, call) => status(call),
  invite,
  'ticket.list': listTickets,
  'ticket.revoke': revokeTicket,
  'credential.list': async (body, call) => {
    const { cache } = call.world.stores.credentials
    const { handle, state } = body
    const wanted = filtered(cache.cached(), (it) => (handle === null || it.handle === handle) && (state === null || it.state === state))
    const page = { ...pageOf(wanted, body, (it) => viewCredential(it, call)), complete: cache.isComplete() }
    return read(call, { kind: 'none', id: '' }, page)
  },
  'credential.show': async ({ id }, call) => {
    const stored = await call.world.stores.credentials.findOnLeader(credentialKey(id))
    const target = { kind: 'credential', id } as const
    return stored === null ? refused('unknown', UNKNOWN.credential, { target }) : read(call, target, viewCredential(stored.record, call))
  },
  'credential.approve': (body, call) =>
    changeCredential(body, call, {
      reason: 'approved',
      // The first approval stands: who gave it is in the record. What is not in force has to prove itself first.
      next: (it) => (it.state !== 'active' ? null : it.approvedBy !== null ? it : { ...it, approvedBy: call.admin }),
    }),
  'credential.revoke': (body, call) =>
    changeCredential(body, call, {
      reason: 'revoked',
      next: (it) => (it.state === 'revoked' ? it : { ...it, state: 'revoked', endedAt: call.now.getTime() }),
    }),
  'credential.release': (body, call) =>
    changeCredential(body, call, {
      reason: 'released',
      next: (it) => (it.state === 'active' ? it : it.state === 'quarantined' ? { ...it, state: 'active', endedAt: null } : null),
    }),
  'session.list': async (body, call) => {
    const { cache } = call.world.stores.sessions
    const { handle, state } = body
    const matches = (it: SessionRecord) =>
      (handle === null || it.handle === handle) && (state === null || standingOf(it, call.now) === state)
    const page = { ...pageOf(filtered(cache.cached(), matches), body, (it) => viewSession(it, call)), complete: cache.isComplete() }
    return read(call, { kind: 'none', id: '' }, page)
  },
  'session.show': async ({ nkey }, call) => {
    const stored = await call.world.stores.sessions.findOnLeader(nkey)
    const target = { kind: 'session', id: nkey } as const
    return stored === null ? refused('unknown', UNKNOWN.session, { target }) : read(call, target, viewSession(stored.record, call))
  },
  'session.revoke': revokeSession,
  'identity.list': async (body, call) => {
    const { cache } = call.world.stores.identities
    const page = {
      ...pageOf(
        filtered(cache.cached(), () => true),
        body,
        (it) => viewIdentity(it, call),
      ),
      complete: cache.isComplete(),
    }
    return read(call, { kind: 'none', id: '' }, page)
  },
  'identity.show': async ({ handle }, call) => {
    const stored = await call.world.stores.identities.findOnLeader(handle)
    const target = { kind: 'identity', id: handle } as const
    return stored === null ? refused('unknown', UNKNOWN.identity, { target }) : read(call, target, viewIdentity(stored.record, call))
  },
  'identity.disable': (body, call) =>
    changeIdentity(body, call, { reason: 'disabled', next: (it) => (it.state === 'disabled' ? it : { ...it, state: 'disabled' }) }),
  'identity.enable': (body, call) =>
    changeIdentity(body, call, { reason: 'enabled', next: (it) => (it.state === 'active' ? it : { ...it, state: 'active' }) }),
  'identity.roles': setRoles,
}

const UNKNOWN = {
  credential: { area: 'credential', outcome: 'refused', reason: 'unknown' },
  session: { area: 'session', outcome: 'refused', reason: 'unknown' },
  identity: { area: 'identity', outcome: 'refused', reason: 'unknown' },
} as const satisfies Record<string, LifecycleCode>

const NO_KICKS: Kicks = { kicked: 0, failed: 0 }

async function status(call: Call): Promise<Outcome<AdminAnswers['status']>> {
  const { stores, policy, version, isReady } = call.world
  return read(
    call,
    { kind: 'none', id: '' },
    {
      version,
      ready: isReady(),
      policyHash: policy().hash,
      roles: [...policy().roles.keys()].sort(),
      credentials: stores.credentials.counts(),
      sessions: stores.sessions.counts(call.now),
      identities: stores.identities.counts(),
      guardEntries: stores.guard.size(),
    },
  )
}

/** Revoking is final: `next` never leads out of `revoked`, and every other writer compares-and-sets what it read. */
async function changeCredential(
  { id }: AdminBody<'credential.revoke'>,
  call: Call,
  { reason, next }: { reason: 'revoked' | 'released' | 'approved'; next: (it: CredentialRecord) => CredentialRecord | null },
): Promise<Outcome<Change<CredentialView>>> {
  const { credentials } = call.world.stores
  const key = credentialKey(id)
  return change(await credentials.findOnLeader(key), call, {
    about: (it) => ({
      target: { kind: 'credential', id },
      ...(it === null
        ? {}
        : {
            handle: it.handle,
            facts: { class: it.class, aaguid: it.aaguid, attestation: `${it.attestation.format}/${it.attestation.trust}` },
          }),
    }),
    succeeded: { area: 'credential', outcome: 'succeeded', reason },
    unknown: UNKNOWN.credential,
    conflict: { area: 'credential', outcome: 'refused', reason: 'conflict' },
    next,
    replace: (stored, wanted) => credentials.replace(stored, wanted),
    kick: reason === 'revoked' ? { owner: { credential: key }, identity: null } : null,
    view: (it) => viewCredential(it, call),
  })
}

async function revokeSession({ nkey }: AdminBody<'session.revoke'>, call: Call): Promise<Outcome<Change<SessionView>>> {
  const { sessions } = call.world.stores
  return change(await sessions.findOnLeader(nkey), call, {
    about: (it) => ({ target: { kind: 'session', id: nkey }, ...(it === null ? {} : { handle: it.handle }) }),
    succeeded: { area: 'session', outcome: 'succeeded', reason: 'revoked' },
    unknown: UNKNOWN.session,
    conflict: { area: 'session', outcome: 'refused', reason: 'conflict' },
    next: (it) => (it.state === 'revoked' ? it : { ...it, state: 'revoked' as const, endedAt: call.now.getTime() }),
    replace: (stored, wanted) => sessions.revoke(stored, wanted),
    kick: { owner: { session: nkey }, identity: null },
    view: (it) => viewSession(it, call),
  })
}

async function changeIdentity(
  { handle }: { handle: IdentityRecord['handle'] },
  call: Call,
  { reason, next }: { reason: 'disabled' | 'enabled' | 'roles_changed'; next: (it: IdentityRecord) => IdentityRecord },
): Promise<Outcome<Change<IdentityView>>> {
  const { identities } = call.world.stores
  return change(await identities.findOnLeader(handle), call, {
    about: (it) => ({
      target: { kind: 'identity', id: handle },
      handle,
      ...(it === null ? {} : { roles: next(it).roles.map(({ name }) => name), facts: { assigned: assignedRoles(next(it)) } }),
    }),
    succeeded: { area: 'identity', outcome: 'succeeded', reason },
    unknown: UNKNOWN.identity,
    conflict: { area: 'identity', outcome: 'refused', reason: 'conflict' },
    next,
    replace: (stored, wanted) => identities.replace(stored, wanted),
    // Grants hold what the old roles gave, so a change of roles closes connections too: they come back with the new ones.
    kick: reason === 'enabled' ? null : { owner: { handle }, identity: handle },
    view: (it) => viewIdentity(it, call),
  })
}

/** Roles that an identity provider gave stay: they are its to take. */
async function setRoles({ handle, roles }: AdminBody<'identity.roles'>, call: Call): Promise<Outcome<Change<IdentityView>>> {
  const { policy } = call.world
  if (roles.some((name) => !policy().roles.has(name))) {
    return refused('role_unknown', ROLE_UNKNOWN, { target: { kind: 'identity', id: handle }, handle, roles })
  }
  // Roles say when they were given, so that an older invitation does not replace them. No roles say nothing: a ticket that is
  // still out would bring back what was just taken.
  if (roles.length === 0 && (await call.world.stores.identities.findOnLeader(handle)) !== null) await revokeTicketsFor(handle, call)
  return changeIdentity({ handle }, call, {
    reason: 'roles_changed',
    next: (it) => {
      const held = it.roles.filter(({ source }) => source === 'assigned').map(({ name }) => name)
      if (held.length === roles.length && roles.every((name) => held.includes(name))) return it
      const assigned = roles.map((name) => ({ name, source: 'assigned' as const, asOf: call.now.getTime() }))
      return { ...it, roles: [...it.roles.filter(({ source }) => source === 'idp'), ...assigned] }
    },
  })
}

interface ChangePlan<T, V> {
  about(record: T | null): About
  succeeded: LifecycleCode
  unknown: LifecycleCode
  conflict: LifecycleCode
  /** See changeRecord. */
  next(record: T): T | null
  replace(stored: Stored<T>, next: T): Promise<Stored<T> | null>
  kick: KickTarget | null
  view(record: T): V
}

/** Record, then change, then close connections. Asked again, it does again what may be missing. */
async function change<T, V>(stored: Stored<T> | null, call: Call, plan: ChangePlan<T, V>): Promise<Outcome<Change<V>>> {
  if (stored === null) return refused('unknown', plan.unknown, plan.about(null))
  const about = plan.about(stored.record)
  const wanted = plan.next(stored.record)
  if (wanted === null) return refused('conflict', plan.conflict, about)
  const facts = { ...about.facts, changed: wanted !== stored.record }
  await record(call, plan.succeeded, { ...about, facts }, 'An administrator changed state.')
  const changed = await changeRecord(stored, plan.next, plan.replace)
  if (changed === null) return refused('conflict', plan.conflict, about)
  const connections = plan.kick === null ? NO_KICKS : await kick(plan.kick, about, call)
  return done({ item: plan.view(changed.record), changed: changed.changed, connections })
}

function kick(target: KickTarget, about: About, call: Call): Promise<Kicks> {
  return call.world.kicker.kickAll(target, (connection, outcome) => {
    const { code, ...closed } = connectionClosed(connection, outcome, `${about.target.kind} ${about.target.id}`)
    return record(call, code, { ...about, ...closed }, 'A connection was closed because what admitted it changed.')
  })
}

function* filtered<T>(entries: Iterable<[string, Stored<T>]>, matches: (record: T) => boolean): Generator<[string, T]> {
  for (const [key, { record: it }] of entries) if (matches(it)) yield [key, it]
}

function viewCredential({ v: _, publicKey: __, userHandle: ___, ...shown }: CredentialRecord, { world }: Call): CredentialView {
  const key = credentialKey(shown.id)
  return { ...shown, key, connections: world.stores.guard.connectionsWith({ credential: key }).length }
}

function viewSession({ v: _, ...shown }: SessionRecord, { world, now }: Call): SessionView {
  const state = standingOf({ v: 1, ...shown }, now)
  return { ...shown, state, connections: world.stores.guard.connectionsWith({ session: shown.nkey }).length }
}

function viewIdentity({ v: _, userHandle: __, ...shown }: IdentityRecord, { world }: Call): IdentityView {
  return { ...shown, connections: world.stores.guard.connectionsOf(shown.handle) }
}
