/** The guard's entries in memory: found by key, by connection and by handle, gone some time after they expire, bounded in number. */
import type { Handle } from '../core/identifiers.ts'
import type { GuardEntry } from '../core/records.ts'
import type { ConnectionOwner } from './guard.ts'

/**
 * How long an entry outlives its grant. nats-server closes a connection up to a second after the grant's expiry, and by a
 * clock of its own: until then a second CONNECT must still meet the entry, or the old proof would get a new expiry. No
 * request is answered whose server's clock is further behind than its validity and the leeway.
 */
const keptSeconds = 300

export class GuardIndex {
  readonly #entriesMax: number
  readonly #entries = new Map<string, GuardEntry>()
  readonly #byHandle = new Map<Handle, Set<string>>()
  readonly #byConnection = new Map<string, Set<string>>()
  /** Keys by the second they are forgotten in. */
  readonly #byEnd = new Map<number, Set<string>>()
  /** Until when (epoch seconds) an entry matters that is in the bucket but no longer here. */
  #forgottenUntil = 0
  #sweptAt = 0

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get(key: string): GuardEntry | null {
    return this.#entries.get(key) ?? null
  }

  put(key: string, entry: GuardEntry, nowMs: number): void {
    if (endOf(entry) * 1000 <= nowMs) return
    this.remove(key)
    this.#entries.set(key, entry)
    add(this.#byHandle, entry.handle, key)
    add(this.#byConnection, connectionKey(entry.serverId, entry.clientId), key)
    add(this.#byEnd, endOf(entry), key)
    if (this.#entries.size > this.#entriesMax) this.#evict()
  }

  remove(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    drop(this.#byHandle, entry.handle, key)
    drop(this.#byConnection, connectionKey(entry.serverId, entry.clientId), key)
    drop(this.#byEnd, endOf(entry), key)
  }

  /** Whether a key that is not here may be in the bucket, and matter. */
  hasForgotten(): boolean {
    return this.#forgottenUntil > this.#sweptAt
  }

  countOf(handle: Handle, nowMs: number): number {
    return this.ownedBy({ handle }, nowMs).length
  }

  /** Unexpired entries of one owner. By handle it is a look-up, by anything else a walk: revoking is rare. */
  ownedBy(owner: ConnectionOwner, nowMs: number): GuardEntry[] {
    const candidates = 'handle' in owner ? this.#entriesAt(this.#byHandle.get(owner.handle)) : this.#entries.values()
    const owned: GuardEntry[] = []
    for (const entry of candidates) {
      if (entry.exp * 1000 > nowMs && isOwnedBy(entry, owner)) owned.push(entry)
    }
    return owned
  }

  keysOf(serverId: string, clientId: number): string[] {
    return [...(this.#byConnection.get(connectionKey(serverId, clientId)) ?? [])]
  }

  sweep(nowMs: number): void {
    this.#sweptAt = Math.floor(nowMs / 1000)
    for (const [second, keys] of this.#byEnd) {
      if (second <= this.#sweptAt) for (const key of [...keys]) this.remove(key)
    }
  }

  size(): number {
    return this.#entries.size
  }

  /** What expires first is the least loss. */
  #evict(): void {
    let first = Number.POSITIVE_INFINITY
    for (const second of this.#byEnd.keys()) if (second < first) first = second
    const keys = this.#byEnd.get(first) ?? new Set()
    this.#forgottenUntil = Math.max(this.#forgottenUntil, first)
    for (const key of [...keys]) this.remove(key)
  }

  *#entriesAt(keys: Set<string> | undefined): Generator<GuardEntry> {
    for (const key of keys ?? []) {
      const entry = this.#entries.get(key)
      if (entry !== undefined) yield entry
    }
  }
}

function endOf({ exp }: GuardEntry): number {
  return exp + keptSeconds
}

function isOwnedBy(entry: GuardEntry, owner: ConnectionOwner): boolean {
  if ('credential' in owner) return entry.credential === owner.credential
  return 'session' in owner ? entry.session === owner.session : entry.handle === owner.handle
}

function connectionKey(serverId: string, clientId: number): string {
  return `${serverId}.${clientId}`
}

function add<K>(index: Map<K, Set<string>>, at: K, key: string): void {
  const keys = index.get(at)
  if (keys === undefined) index.set(at, new Set([key]))
  else keys.add(key)
}

function drop<K>(index: Map<K, Set<string>>, at: K, key: string): void {
  const keys = index.get(at)
  keys?.delete(key)
  if (keys?.size === 0) index.delete(at)
}
