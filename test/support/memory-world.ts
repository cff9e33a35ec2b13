/** The outside world of the journey as plain objects, with real compare-and-set semantics. */
import type { VerdictEvent } from '../../src/core/audit-event.ts'
import { credentialKey, type Handle } from '../../src/core/identifiers.ts'
import type { Policy } from '../../src/core/policy/policy.ts'
import { type AnswerPort, AuditUnavailable, StoreUnavailable, type World } from '../../src/core/ports.ts'
import type { CredentialRecord, GuardEntry, IdentityRecord, SessionRecord, Stored } from '../../src/core/records.ts'
import { signatures } from './signatures.ts'

export interface MemoryWorld extends World {
  /** Durable records, in order. */
  recorded: VerdictEvent[]
  /** Queued records, in order. */
  noted: VerdictEvent[]
  credentialRecords: Map<string, Stored<CredentialRecord>>
  sessionRecords: Map<string, Stored<SessionRecord>>
  identityRecords: Map<string, IdentityRecord>
  guardEntries: Map<string, GuardEntry>
  /** What is broken right now. */
  broken: { audit: boolean; stores: boolean }
  /** Live connections that have no entry here, of whichever identity. */
  connections: number
}

export interface MemoryState {
  policy: Policy
  credentials: CredentialRecord[]
  sessions: SessionRecord[]
  identities: IdentityRecord[]
  guard: Record<string, GuardEntry>
}

export function memoryWorld(state: MemoryState, answer: AnswerPort): MemoryWorld {
  const stored = <T>(record: T): Stored<T> => ({ record, revision: 1 })
  const credentialRecords = new Map(state.credentials.map((record) => [credentialKey(record.id) as string, stored(record)]))
  const sessionRecords = new Map(state.sessions.map((record) => [record.nkey as string, stored(record)]))
  const identityRecords = new Map(state.identities.map((record) => [record.handle as string, record]))
  const guardEntries = new Map(Object.entries(state.guard))
  const recorded: VerdictEvent[] = []
  const noted: VerdictEvent[] = []
  const broken = { audit: false, stores: false }
  const up = () => {
    if (broken.stores) throw new StoreUnavailable('reading a bucket')
  }
  const world: MemoryWorld = {
    recorded,
    noted,
    credentialRecords,
    sessionRecords,
    identityRecords,
    guardEntries,
    broken,
    connections: 0,
    policy: () => state.policy,
    credentials: {
      find: async (id) => {
        up()
        return credentialRecords.get(credentialKey(id)) ?? null
      },
      findByKey: async (key) => {
        up()
        return credentialRecords.get(key) ?? null
      },
      async replace(was, next) {
        up()
        const key = credentialKey(was.record.id)
        const current = credentialRecords.get(key)
        if (current === undefined) throw new StoreUnavailable('replacing a record that is gone')
        if (current.revision !== was.revision) return current
        credentialRecords.set(key, { record: next, revision: was.revision + 1 })
        return null
      },
    },
    sessions: {
      find: async (nkey) => {
        up()
        return sessionRecords.get(nkey) ?? null
      },
      async reserve(record) {
        up()
        const there = sessionRecords.get(record.nkey)
        if (there !== undefined) return there
        sessionRecords.set(record.nkey, { record, revision: 1 })
        return { record, revision: 1 }
      },
      async replace(was, next) {
        up()
        if (sessionRecords.get(next.nkey)?.revision !== was.revision) return false
        sessionRecords.set(next.nkey, { record: next, revision: was.revision + 1 })
        return true
      },
    },
    identities: {
      find: async (handle) => {
        up()
        return identityRecords.get(handle) ?? null
      },
    },
    guard: {
      find: async (key) => guardEntries.get(key) ?? null,
      async claim(key, entry) {
        up()
        const earlier = guardEntries.get(key) ?? null
        if (earlier === null) guardEntries.set(key, entry)
        const withdraw = () => {
          if (guardEntries.get(key) === entry) guardEntries.delete(key)
        }
        const isAmong = async (max: number) => {
          up()
          const owned = [...guardEntries].filter(([, other]) => handleOf(other) === handleOf(entry))
          return earlier !== null || world.connections + owned.findIndex(([other]) => other === key) < max
        }
        return { earlier, withdraw, isAmong }
      },
      connectionsOf: (handle) => world.connections + [...guardEntries.values()].filter((entry) => handleOf(entry) === handle).length,
    },
    audit: {
      async record(event) {
        if (broken.audit) throw new AuditUnavailable('recording a verdict')
        recorded.push(event)
      },
      note: (event) => void noted.push(event),
    },
    answer,
    legacy: null,
    signatures,
    limits: { refusal: () => null, failed: () => {}, proved: () => {} },
  }
  return world
}

function handleOf(entry: GuardEntry): Handle | null {
  return 'handle' in entry ? entry.handle : null
}
