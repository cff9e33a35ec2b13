/**
 * The outside world of people's steps in memory: stores with real compare-and-set, providers that say what a test tells
 * them. It is longer than 300 lines because every port of that world is here, and tests set up one thing.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { ticketId, ticketText } from '../../src/core/enrolment/enrolment.ts'
import type { Occasion } from '../../src/core/enrolment/enrolment-events.ts'
import { credentialKey, type Handle, parseAccountName, parseCredentialId, type UserNkey } from '../../src/core/identifiers.ts'
import type {
  ClaimMapping,
  EvictionPort,
  IdpPort,
  IdpStatement,
  MetadataEntry,
  PeopleWorld,
  PersonIdentities,
  SessionRegistry,
} from '../../src/core/people/people.ts'
import { DEFAULT_PERSON_ENROLMENT, type Policy, type Requirements, type Role } from '../../src/core/policy/policy.ts'
import type {
  CeremonyRecord,
  CredentialRecord,
  IdentityRecord,
  IdpRequestRecord,
  LoginRecord,
  SessionRecord,
  SessionRequestRecord,
  Stored,
  TicketRecord,
} from '../../src/core/records.ts'
import { accepted, type Judged, loginRefused, type Refusal } from '../../src/core/refusal.ts'
import type { Rules } from '../../src/core/rules.ts'
import {
  type MemoryIdentities,
  type MemoryLifecycle,
  type MemoryRecords,
  memoryIdentities,
  memoryLifecycle,
  memoryRecords,
} from './memory-stores.ts'
import { type Passkey, softwarePasskey } from './passkey.ts'
import { NO_REQUIREMENTS } from './policy-subject.ts'
import { credentialRecord, handleOf, identityRecord, roleOf } from './records.ts'
import { testRules } from './rules.ts'
import { b64u } from './test-authenticator.ts'

export const RP_ID = 'nats.example.com'
export const ORIGIN = 'https://nats.example.com'
const START = Date.parse('2026-01-05T12:00:00Z')

/** A role of people in account APP that publishes under its own name, with `change`. */
export function personRole(name: string, change: Partial<Omit<Role, 'require'>> & { require?: Partial<Requirements> } = {}): Role {
  const account = parseAccountName('APP')
  if (account === null) throw new Error('making a test role')
  return {
    name: roleOf(name),
    account,
    publish: { allow: [`${name}.{{user}}.>`], deny: [] },
    subscribe: { allow: [`${name}.>`], deny: [] },
    allowResponses: null,
    ttlSeconds: 900,
    sessionSeconds: null,
    plainSessions: true,
    loginByCode: false,
    privileged: false,
    limits: { connections: null },
    ...change,
    require: { ...NO_REQUIREMENTS, ...change.require },
  }
}

/** Roles: `reader` (login by code), `writer`, `admin` (privileged, approval), `vault` (session 0), `bound` (device bound). */
export function personPolicy(roles: Role[] = DEFAULT_ROLES, change: Partial<Policy> = {}): Policy {
  return {
    roles: new Map(roles.map((role) => [role.name, role])),
    personEnrolment: DEFAULT_PERSON_ENROLMENT,
    hash: 'policy-hash',
    ...change,
  }
}

const DEFAULT_ROLES = [
  personRole('reader', { loginByCode: true }),
  personRole('writer'),
  personRole('admin', { privileged: true, require: { approval: true } }),
  personRole('vault', { sessionSeconds: 0 }),
  personRole('bound', { require: { deviceBound: true } }),
]

export function personRules(change: Partial<Rules> = {}): Rules {
  const person = { rpId: RP_ID, origins: [ORIGIN], requireUserVerification: true }
  return testRules({ person, machine: { rpId: 'machines.nats.example.com' }, ...change })
}

/** Groups `readers`, `writers` and `admins` give the role without the s; handle from preferred_username; claim `team`. */
export function mappingFor(prefix: string): ClaimMapping {
  return {
    roles: {
      pointer: '/groups',
      map: new Map([
        ['readers', ['reader']],
        ['writers', ['writer']],
        ['admins', ['admin']],
        ['everything', ['reader', 'writer', 'vault']],
      ]),
      listMax: null,
    },
    handle: { pointer: '/preferred_username', prefix },
    displayName: { pointer: '/name' },
    claims: { team: '/team' },
  }
}

export interface TestIdp extends IdpPort {
  /** What each provider says next, by name. */
  statements: Map<string, IdpStatement>
  /** Refuses at `begin` or `finish` with this. */
  refusing: { begin: Refusal | null; finish: Refusal | null }
  /** How often a code was exchanged. */
  exchanges: number
}

/** Providers `corp` (no prefix) and `partner` (prefix `p-`). */
function testIdp(): TestIdp {
  const providers = [
    { name: 'corp', label: 'Corp', mapping: mappingFor('') },
    { name: 'partner', label: 'Partner', mapping: mappingFor('p-') },
    { name: 'twin', label: 'Twin', mapping: mappingFor('') },
  ]
  const idp: TestIdp = {
    statements: new Map(providers.map(({ name }) => [name, statementOf(name)])),
    refusing: { begin: null, finish: null },
    exchanges: 0,
    list: () => providers,
    async begin(provider, { state, nonce }, { fresh }) {
      if (idp.refusing.begin !== null) return { ok: false, refusal: idp.refusing.begin }
      if (!providers.some(({ name }) => name === provider)) return loginRefused('provider_unknown')
      const url = new URL(`https://${provider}.example/authorize`)
      url.search = new URLSearchParams({ state, nonce, ...(fresh ? { prompt: 'login' } : {}) }).toString()
      return accepted(url)
    },
    async finish(provider, { state }, callback): Promise<Judged<IdpStatement>> {
      if (idp.refusing.finish !== null) return { ok: false, refusal: idp.refusing.finish }
      if (callback.get('state') !== state) return loginRefused('request_mismatch')
      if (callback.has('error')) return loginRefused('provider_refused', callback.get('error'))
      idp.exchanges++
      const statement = idp.statements.get(provider)
      return statement === undefined ? loginRefused('provider_unknown') : accepted(statement)
    },
  }
  return idp
}

/** A person at `provider`: subject `subject-1`, alice, in the group of readers. */
export function statementOf(provider: string, claims: Record<string, unknown> = {}, change: Partial<IdpStatement> = {}): IdpStatement {
  return {
    provider,
    issuer: `https://${provider}.example`,
    subject: 'subject-1',
    authenticatedAt: START,
    claims: { preferred_username: 'alice', name: 'Alice Example', team: 'blue', groups: ['readers'], ...claims },
    ...change,
  }
}

export interface MemoryPersonIdentities extends MemoryIdentities, PersonIdentities {}

function personIdentities(): MemoryPersonIdentities {
  const identities = memoryIdentities()
  return {
    ...identities,
    async findBySubject(issuer, subject) {
      const found = [...identities.records.all().values()].find(({ record }) => record.issuer === issuer && record.subject === subject)
      return found === undefined ? null : identities.records.find(found.record.handle)
    },
  }
}

export interface MemorySessions extends SessionRegistry {
  records: MemoryRecords<SessionRecord>
  /** Revoked for ever. */
  tombstones: Set<UserNkey>
}

function memorySessions(now: () => number): MemorySessions {
  const records = memoryRecords<SessionRecord>()
  const tombstones = new Set<UserNkey>()
  const there = async (nkey: UserNkey): Promise<Stored<SessionRecord>> => {
    const stored = await records.find(nkey)
    if (stored === null) throw new Error('reading a test session')
    return stored
  }
  return {
    records,
    tombstones,
    findOnLeader: (nkey) => records.find(nkey),
    async reserve(record) {
      if (tombstones.has(record.nkey)) return { record: { ...record, state: 'revoked', endedAt: record.createdAt }, revision: 0 }
      await records.create(record.nkey, record)
      return there(record.nkey)
    },
    replace: (stored, next) => records.replace(stored.record.nkey, stored, next),
    async revoke(stored, next) {
      tombstones.add(next.nkey)
      return (await records.replace(next.nkey, stored, next)) ? null : there(next.nkey)
    },
    of: (handle) =>
      [...records.all().values()]
        .map(({ record }) => record)
        .filter((record) => record.handle === handle && record.state === 'active' && record.expiresAt > now()),
  }
}

/** What was asked to be closed, and whose it was. */
export type Evicted = Parameters<EvictionPort['evict']>[0] & { handle: Handle }

/** A world with the members that tests look into. */
export interface TestPeopleWorld extends PeopleWorld {
  /** Epoch milliseconds: tests move it. */
  clock: { now: number }
  idp: TestIdp
  tickets: MemoryRecords<TicketRecord>
  ceremonies: MemoryRecords<CeremonyRecord>
  signins: MemoryRecords<CeremonyRecord>
  logins: MemoryRecords<LoginRecord>
  idpRequests: MemoryRecords<IdpRequestRecord>
  sessionRequests: MemoryRecords<SessionRequestRecord>
  credentials: MemoryRecords<CredentialRecord>
  identities: MemoryPersonIdentities
  sessions: MemorySessions
  lifecycle: MemoryLifecycle
  /** Whose connections were closed, in order. */
  evicted: Evicted[]
  /** Entries of FIDO's metadata by AAGUID; null: not loaded. */
  models: { entries: Map<string, MetadataEntry> | null }
  /** A request of now, with nothing known yet. */
  occasion(change?: Partial<Occasion>): Occasion
}

export function peopleWorld(change: { policy?: Policy; rules?: Partial<Rules>; origin?: string; now?: number } = {}): TestPeopleWorld {
  const clock = { now: change.now ?? START }
  const policy = change.policy ?? personPolicy()
  const evicted: Evicted[] = []
  const models: TestPeopleWorld['models'] = { entries: null }
  return {
    clock,
    evicted,
    models,
    rules: personRules(change.rules),
    name: 'verifier-1',
    origin: change.origin ?? ORIGIN,
    urls: ['tls://nats.example.com:4222', 'wss://nats.example.com:443'],
    policy: () => policy,
    idp: testIdp(),
    metadata: { isLoaded: () => models.entries !== null, entryOf: (aaguid) => models.entries?.get(aaguid) ?? null },
    tickets: memoryRecords(),
    ceremonies: memoryRecords(),
    signins: memoryRecords(),
    logins: memoryRecords(),
    idpRequests: memoryRecords(),
    sessionRequests: memoryRecords(),
    credentials: memoryRecords(),
    identities: personIdentities(),
    sessions: memorySessions(() => clock.now),
    lifecycle: memoryLifecycle(),
    evictions: {
      async evict(ended, handle) {
        evicted.push({ ...ended, handle })
        return { kicked: 1, failed: 0 }
      },
    },
    occasion: (occasion = {}) => ({
      now: new Date(clock.now),
      source: '192.0.2.7',
      policyHash: policy.hash,
      known: { ticket: null, credential: null, handle: null, session: null },
      random: (bytes) => randomBytes(bytes),
      uuid: () => randomUUID(),
      ...occasion,
    }),
  }
}

/** A person of the world, as an IdP login left them. */
export function putPerson(world: TestPeopleWorld, handle = 'alice', change: Partial<IdentityRecord> = {}): IdentityRecord {
  const record = identityRecord(handle, {
    class: 'person',
    issuer: 'https://corp.example',
    subject: `subject of ${handle}`,
    displayName: `${handle} Example`,
    roles: [{ name: roleOf('reader'), source: 'idp', asOf: world.clock.now }],
    userHandle: b64u(randomBytes(32)),
    createdAt: world.clock.now,
    ...change,
  })
  world.identities.records.put(record.handle, record)
  return record
}

/** A passkey in force for a person who is in the world. */
export function putDevice(
  world: TestPeopleWorld,
  handle: Handle | string,
  { passkey, ...change }: Partial<CredentialRecord> & { passkey?: Passkey } = {},
): { passkey: Passkey; credential: CredentialRecord } {
  const device = passkey ?? softwarePasskey({ origin: world.origin })
  const stored = world.identities.records.get(handle)
  const id = parseCredentialId(device.id)
  if (stored === undefined || id === null) throw new Error('making a test device')
  device.userHandle = stored.userHandle
  const credential = credentialRecord({
    id,
    publicKey: b64u(device.key.cose),
    signCount: device.counter ?? 0,
    backupEligible: device.backupEligible,
    backupState: device.backupState,
    transports: device.transports,
    aaguid: device.aaguid,
    attestation: { format: 'none', trust: 'none' },
    rpId: RP_ID,
    class: 'person',
    handle: stored.handle,
    userHandle: stored.userHandle,
    name: 'laptop',
    createdAt: world.clock.now,
    enrolledBy: stored.handle,
    ...change,
  })
  const key = credentialKey(id)
  world.credentials.put(key, credential)
  world.identities.records.put(stored.handle, { ...stored, devices: [...stored.devices, key] })
  return { passkey: device, credential }
}

/** A login in force; `cookie` is what the browser holds. */
export function putLogin(
  world: TestPeopleWorld,
  handle: Handle | string,
  change: Partial<LoginRecord> = {},
): { cookie: string; login: LoginRecord } {
  const cookie = b64u(randomBytes(32))
  const login: LoginRecord = {
    v: 1,
    id: ticketId(cookie),
    how: 'idp',
    handle: handleOf(handle),
    provider: 'corp',
    ticket: null,
    authenticatedAt: world.clock.now,
    tapped: null,
    createdAt: world.clock.now,
    expiresAt: world.clock.now + 30 * 60_000,
    state: 'active',
    ...change,
  }
  world.logins.put(login.id, login)
  return { cookie, login }
}

/** A person's ticket; its text is what is in their link. */
export function putTicket(world: TestPeopleWorld, change: Partial<TicketRecord> = {}): { ticket: string; record: TicketRecord } {
  const ticket = ticketText(randomBytes(32))
  const record: TicketRecord = {
    v: 1,
    id: ticketId(ticket),
    class: 'person',
    handle: handleOf('bob'),
    displayName: 'Bob Example',
    roles: [roleOf('reader')],
    invitedBy: 'admin',
    createdAt: world.clock.now,
    expiresAt: world.clock.now + 24 * 3_600_000,
    state: 'issued',
    usedAt: null,
    ...change,
  }
  world.tickets.put(record.id, record)
  return { ticket, record }
}

/** `area.reason` of a refusal, with `/check` where there is one; the text of an accepted value never matches that. */
export function refusalOf(judged: Judged<unknown>): string {
  if (judged.ok) return 'accepted'
  const { area, reason, check } = judged.refusal
  return check === null ? `${area}.${reason}` : `${area}.${reason}/${check}`
}
