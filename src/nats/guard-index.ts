/** The guard's entries in memory: found by key and by handle, gone some time after they expire, bounded in number. */
import { guardEnd } from '../core/guard-entry.ts'
import type { Handle } from '../core/identifiers.ts'
import type { GuardEntry, Stored } from '../core/records.ts'
import type { ConnectionOwner } from './guard.ts'

export class GuardIndex {
  readonly #entriesMax: number
  readonly #entries = new Map<string, Stored<GuardEntry>>()
  readonly #byHandle = new Map<Handle, Set<string>>()
  /** Keys by the second they are forgotten in. */
  readonly #byEnd = new Map<number, Set<string>>()
  /** Until when (epoch seconds) an entry matters that is in the bucket but no longer here. */
  #forgottenUntil = 0
  #sweptAt = 0
  /** Which servers there are, and since when (epoch milliseconds) that was asked; null before. */
  #servers: { ids: ReadonlySet<string>; askedAtMs: number } | null = null

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get(key: string): GuardEntry | null {
    return this.#entries.get(key)?.record ?? null
  }

  /** 0: it is not here. */
  revisionOf(key: string): number {
    return this.#entries.get(key)?.revision ?? 0
  }

  put(key: string, stored: Stored<GuardEntry>, nowMs: number): void {
    const entry = stored.record
    if (guardEnd(entry) * 1000 <= nowMs) return
    this.remove(key)
    this.#entries.set(key, stored)
    if ('handle' in entry) add(this.#byHandle, entry.handle, key)
    add(this.#byEnd, guardEnd(entry), key)
    if (this.#entries.size > this.#entriesMax) this.#evict()
  }

  remove(key: string): void {
    const entry = this.get(key)
    if (entry === null) return
    this.#entries.delete(key)
    if ('handle' in entry) drop(this.#byHandle, entry.handle, key)
    drop(this.#byEnd, guardEnd(entry), key)
  }

  /** Whether a key that is not here may be in the bucket, and matter. */
  hasForgotten(): boolean {
    return this.#forgottenUntil > this.#sweptAt
  }

  /**
   * Live connections of an identity; with `before`, those whose entry has a lower revision. Connections of a server that is
   * not there any more are over, though nobody said so: they take no place.
   */
  countOf(handle: Handle, nowMs: number, before = Number.POSITIVE_INFINITY): number {
    let count = 0
    for (const { record, revision } of this.#entriesAt(this.#byHandle.get(handle))) {
      if (revision < before && record.exp * 1000 > nowMs && this.#isOnServer(record)) count++
    }
    return count
  }

  /** The servers that there are, as asked at `askedAtMs`. */
  serversSeen(ids: ReadonlySet<string>, askedAtMs: number): void {
    this.#servers = { ids, askedAtMs }
  }

  /** Unexpired entries of one owner. By handle it is a look-up, by anything else a walk: revoking is rare. */
  ownedBy(owner: ConnectionOwner, nowMs: number): GuardEntry[] {
    const candidates = 'handle' in owner ? this.#entriesAt(this.#byHandle.get(owner.handle)) : this.#entries.values()
    const owned: GuardEntry[] = []
    for (const { record: entry } of candidates) {
      if (entry.exp * 1000 > nowMs && isOwnedBy(entry, owner)) owned.push(entry)
    }
    return owned
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

  // A server that came since it was asked is not among them, but its connections came since, too.
  #isOnServer({ serverId, iat }: GuardEntry): boolean {
    return this.#servers === null || this.#servers.ids.has(serverId) || iat * 1000 >= this.#servers.askedAtMs - 1_000
  }

  /** What expires first is the least loss. */
  #evict(): void {
    let first = Number.POSITIVE_INFINITY
    for (const second of this.#byEnd.keys()) if (second < first) first = second
    const keys = this.#byEnd.get(first) ?? new Set()
    this.#forgottenUntil = Math.max(this.#forgottenUntil, first)
    for (const key of [...keys]) this.remove(key)
  }

  *#entriesAt(keys: Set<string> | undefined): Generator<Stored<GuardEntry>> {
    for (const key of keys ?? []) {
      const entry = this.#entries.get(key)
      if (entry !== undefined) yield entry
    }
  }
}

function isOwnedBy(entry: GuardEntry, owner: ConnectionOwner): boolean {
  // A legacy user's connection belongs to no identity.
  if ('legacy' in entry) return false
  if ('credential' in owner) return entry.credential === owner.credential
  return 'session' in owner ? entry.session === owner.session : entry.handle === owner.handle
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
