/** The guard's entries in memory: found by key, by connection and by handle, gone when they expire, bounded in number. */
import type { Handle } from '../core/identifiers.ts'
import type { GuardEntry } from '../core/records.ts'
import type { ConnectionOwner } from './guard.ts'

export class GuardIndex {
  readonly #entriesMax: number
  readonly #entries = new Map<string, GuardEntry>()
  readonly #byHandle = new Map<Handle, Set<string>>()
  readonly #byConnection = new Map<string, Set<string>>()
  /** Keys by the second they expire in. */
  readonly #byExpiry = new Map<number, Set<string>>()
  /** Until when (epoch seconds) an entry is in force that is in the bucket but no longer here. */
  #forgottenUntil = 0
  #sweptAt = 0

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get(key: string): GuardEntry | null {
    return this.#entries.get(key) ?? null
  }

  put(key: string, entry: GuardEntry, nowMs: number): void {
    if (entry.exp * 1000 <= nowMs) return
    this.remove(key)
    this.#entries.set(key, entry)
    add(this.#byHandle, entry.handle, key)
    add(this.#byConnection, connectionKey(entry.serverId, entry.clientId), key)
    add(this.#byExpiry, entry.exp, key)
    if (this.#entries.size > this.#entriesMax) this.#evict()
  }

  remove(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    drop(this.#byHandle, entry.handle, key)
    drop(this.#byConnection, connectionKey(entry.serverId, entry.clientId), key)
    drop(this.#byExpiry, entry.exp, key)
  }

  /** Whether a key that is not here may be in the bucket, in force. */
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
    for (const [second, keys] of this.#byExpiry) {
      if (second <= this.#sweptAt) for (const key of [...keys]) this.remove(key)
    }
  }

  size(): number {
    return this.#entries.size
  }

  /** What expires first is the least loss. */
  #evict(): void {
    let first = Number.POSITIVE_INFINITY
    for (const second of this.#byExpiry.keys()) if (second < first) first = second
    const keys = this.#byExpiry.get(first) ?? new Set()
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
