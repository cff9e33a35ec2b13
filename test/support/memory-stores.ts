/** Stores in memory with the compare-and-set of the real ones. Every operation yields first, so that races are real. */
import { setImmediate as turn } from 'node:timers/promises'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import type { IdentityRegistry } from '../../src/core/enrolment/enrolment-steps.ts'
import { AuditUnavailable, type LifecyclePort, type RecordPort } from '../../src/core/ports.ts'
import type { IdentityRecord, Stored } from '../../src/core/records.ts'

export interface MemoryRecords<T> extends RecordPort<T> {
  all(): Map<string, Stored<T>>
  /** What is there now, without waiting. */
  get(key: string): T | undefined
  /** Writes without asking, as a test's set-up. */
  put(key: string, record: T): void
}

export function memoryRecords<T>(): MemoryRecords<T> {
  const kept = new Map<string, Stored<T>>()
  let revision = 0
  const write = (key: string, record: T) => kept.set(key, { record: structuredClone(record), revision: ++revision })
  return {
    async find(key) {
      await turn()
      return kept.get(key) ?? null
    },
    async create(key, record) {
      await turn()
      if (kept.has(key)) return false
      write(key, record)
      return true
    },
    async replace(key, stored, next) {
      await turn()
      if (kept.get(key)?.revision !== stored.revision) return false
      write(key, next)
      return true
    },
    all: () => kept,
    get: (key) => kept.get(key)?.record,
    put: write,
  }
}

export interface MemoryIdentities extends IdentityRegistry {
  records: MemoryRecords<IdentityRecord>
}

export function memoryIdentities(): MemoryIdentities {
  const records = memoryRecords<IdentityRecord>()
  return {
    records,
    findOnLeader: (handle) => records.find(handle),
    async createIdentity(record) {
      const others = [...records.all().values()].map((stored) => stored.record)
      if (others.some((other) => other.handle !== record.handle && other.issuer === record.issuer && other.subject === record.subject))
        return 'subject_taken'
      if (await records.create(record.handle, record)) return 'created'
      const there = records.get(record.handle)
      return there?.issuer === record.issuer && there.subject === record.subject ? 'exists' : 'handle_taken'
    },
    async replace(stored, next) {
      return (await records.replace(stored.record.handle, stored, next)) ? null : await records.find(stored.record.handle)
    },
  }
}

export interface MemoryLifecycle extends LifecyclePort {
  events: LifecycleEvent[]
  /** `area.outcome.reason` of each event, in order. */
  codes(): string[]
  /** Refuses to record what `failing` matches. */
  failing: (event: LifecycleEvent) => boolean
}

export function memoryLifecycle(): MemoryLifecycle {
  const events: LifecycleEvent[] = []
  const lifecycle: MemoryLifecycle = {
    events,
    failing: () => false,
    codes: () => events.map(({ area, outcome, reason }) => `${area}.${outcome}.${reason}`),
    async record(event) {
      await turn()
      if (lifecycle.failing(event)) throw new AuditUnavailable('recording a lifecycle event')
      events.push(structuredClone(event))
    },
  }
  return lifecycle
}
