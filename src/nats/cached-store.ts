/**
 * A bucket with a bounded cache in front, kept true by a watch of its changes. Hits cost nothing; a miss asks the leader,
 * because the record may have been made a moment ago by another verifier; while the watch is not current, everything does, and
 * once it began anew each record is asked for before it is believed again. So nobody waits for a bucket to be read: one that
 * fits is read in the background, and one that does not is never read as a whole.
 */
import type { z } from 'zod'
import { type RecordPort, StoreUnavailable } from '../core/ports.ts'
import type { Stored } from '../core/records.ts'
import { watchBucket } from './bucket-watch.ts'
import { type CacheFill, fillFrom } from './cache-fill.ts'
import { within } from './first-pass.ts'
import type { BucketEntry, KvBucket } from './kv-bucket.ts'
import { LeaderReads } from './leader-reads.ts'
import type { OnStoreReport } from './record-store.ts'
import { decodeRecord, encodeRecord } from './records-schema.ts'

export interface CachedStoreOptions<T> {
  bucket: KvBucket
  schema: z.ZodType<T>
  /** Which keys are records: `*`, those of one token; `>`, all. */
  keys: '*' | '>'
  /** The key that a record belongs under; under another it is as good as undecodable. */
  keyOf(record: T): string
  entriesMax: number
  /** How many keys of the bucket there are to a record, where it is not one. */
  keysPerRecord?: number
  /** A record that another verifier is about to change: too young to be believed, so the leader is asked. */
  isUnsettled?: (record: T) => boolean
  /** What several records have in common, such as their owner: then `ofGroup` finds them without looking at all others. */
  groupOf?: (record: T) => string
  onReport: OnStoreReport
}

interface Entry<T> {
  revision: number
  /** Null: the key was deleted, or, with `broken`, its value is not a record. */
  stored: Stored<T> | null
  broken: boolean
  /** The watch's pass in which it was told, or asked of the leader; only in that pass it is believed. */
  pass: number
  /** When it was last written here, in changes of this cache. */
  changedAt: number
}

export class CachedStore<T extends object> {
  readonly #options: CachedStoreOptions<T>
  readonly #entries = new Map<string, Entry<T>>()
  /** Keys of cached records by their group. */
  readonly #groups = new Map<string, Set<string>>()
  readonly #reads: LeaderReads<Stored<T> | null>
  readonly #watch
  readonly #watching: Promise<void>
  #fill: CacheFill | null = null
  #pass = 0
  #changes = 0
  /** Whether this pass told every record there is. */
  #filled = false
  #evicted = false

  constructor(options: CachedStoreOptions<T>) {
    this.#options = options
    const { bucket, keys } = options
    this.#reads = new LeaderReads(bucket.name)
    let begun = () => {}
    this.#watching = new Promise((resolve) => (begun = resolve))
    this.#watch = watchBucket({
      bucket,
      keys,
      from: 'now',
      sink: {
        began: () => {
          this.#pass++
          this.#filled = false
          this.#fill?.stop()
        },
        entry: (entry) => this.#follow(entry),
        caughtUp: () => {
          this.#beginFill()
          begun()
        },
      },
      onTrouble: (cause) => this.#tellOf(cause),
    })
  }

  // Only once the watch is current: whatever changes from here on is told by it, with a higher revision.
  #beginFill(): void {
    const { bucket, keys, entriesMax, keysPerRecord = 1 } = this.#options
    this.#fill?.stop()
    this.#fill = fillFrom({
      bucket,
      keys,
      keysMax: entriesMax * keysPerRecord,
      giveWay: () => this.#reads.quiet(),
      onEntry: (entry) => this.#follow(entry),
      onFilled: () => {
        this.#dropUnmentioned()
        this.#filled = true
        this.#evicted = false
      },
      onTooLarge: () => {
        this.#evicted = true
      },
      onTrouble: (cause) => this.#tellOf(cause),
    })
  }

  #tellOf(cause: Error): void {
    this.#options.onReport({ kind: 'watch_restarted', bucket: this.#options.bucket.name, key: null, cause })
  }

  /** The record, from the cache where that is current. The same object until the record changes. */
  async find(key: string): Promise<Stored<T> | null> {
    const entry = this.#entries.get(key)
    if (entry !== undefined && entry.pass === this.#pass && this.#watch.isCurrent() && !this.#isUnsettled(entry)) {
      // Least recently used first: only then is the order worth a write.
      if (this.#evicted) {
        this.#entries.delete(key)
        this.#entries.set(key, entry)
      }
      return this.#answer(entry)
    }
    if (this.#reads.isAbsent(key)) return null
    const reading = this.#reads.of(key)
    if (reading !== null) return reading
    if (!this.#reads.isFull()) return this.#reads.begin(key, this.findOnLeader(key))
    // The watch knows of every record but the very newest; a client that meets this limit tries again.
    if (this.isComplete()) return null
    await this.#reads.turn()
    return this.find(key).finally(() => this.#reads.next())
  }

  /** The record as the leader has it now. */
  async findOnLeader(key: string): Promise<Stored<T> | null> {
    const begunAt = this.#changes
    const pass = this.#passOfAsking()
    const read = await this.#options.bucket.find(key)
    const entry = this.#entries.get(key)
    const changedMeanwhile = entry !== undefined && entry.changedAt > begunAt
    if (read === null) {
      if (changedMeanwhile) return this.#answer(entry)
      this.#drop(key)
      this.#reads.rememberAbsent(key)
      return null
    }
    if (changedMeanwhile && entry.revision > read.revision) return this.#answer(entry)
    return this.#answer(this.#take(read, pass))
  }

  /** Writes the record if its key was never written; null when it was, even if deleted since. */
  async create(key: string, record: T): Promise<Stored<T> | null> {
    return this.#write(key, record, 0)
  }

  /** Compare-and-set: null when it was written, else the record that is there now, read from the leader. */
  async replace(key: string, stored: Stored<T>, next: T): Promise<Stored<T> | null> {
    const written = await this.#write(key, next, stored.revision)
    if (written !== null) return null
    const current = await this.findOnLeader(key)
    if (current === null) throw new StoreUnavailable(`writing ${this.#options.bucket.name}: the record was deleted`)
    return current
  }

  /** The same as a port without a cache, for those who write rarely. */
  asRecords(): RecordPort<T> {
    return {
      find: (key) => this.findOnLeader(key),
      create: async (key, record) => (await this.create(key, record)) !== null,
      replace: async (key, stored, next) => (await this.#write(key, next, stored.revision)) !== null,
    }
  }

  /** Everything in the cache, in no order. */
  *cached(): Generator<[string, Stored<T>]> {
    for (const [key, { stored }] of this.#entries) if (stored !== null) yield [key, stored]
  }

  /** The cached records of one group, in no order. Costs what the group does, not what the cache holds. */
  ofGroup(group: string): Stored<T>[] {
    return [...(this.#groups.get(group) ?? [])].flatMap((key) => this.#entries.get(key)?.stored ?? [])
  }

  /** Whether the cache holds every record there is. */
  isComplete(): boolean {
    return this.#watch.isCurrent() && this.#filled && !this.#evicted
  }

  /** Whether the watch is current: otherwise this verifier should not take requests. */
  isHealthy(): boolean {
    return this.#watch.isCurrent()
  }

  /** Resolves when changes are followed, and the cache is filled or has had its time for that. Throws StoreUnavailable. */
  async ready(): Promise<void> {
    await within(this.#watching, `watching ${this.#options.bucket.name}`)
    await this.#fill?.settled()
  }

  stop(): void {
    this.#watch.stop()
    this.#fill?.stop()
  }

  /** What is asked of the leader from now on is true for this pass; for none while changes may go unheard. */
  #passOfAsking(): number {
    return this.#watch.isCurrent() ? this.#pass : 0
  }

  #isUnsettled({ stored }: Entry<T>): boolean {
    return stored !== null && this.#options.isUnsettled?.(stored.record) === true
  }

  #answer(entry: Entry<T>): Stored<T> | null {
    if (entry.broken) throw new StoreUnavailable(`reading ${this.#options.bucket.name}: undecodable`)
    return entry.stored
  }

  async #write(key: string, record: T, revision: number): Promise<Stored<T> | null> {
    const pass = this.#passOfAsking()
    const written = await this.#options.bucket.write(key, encodeRecord(record), revision)
    if (written === null) return null
    const stored = { record, revision: written }
    const entry = this.#entries.get(key)
    // The watch may have been quicker, with this write or one after it.
    if (entry === undefined || entry.revision < written) this.#put(key, { revision: written, stored, broken: false }, pass)
    return stored
  }

  /** What the watch or the fill tells. Where an earlier pass knew better, nobody is believed before the leader was asked. */
  #follow(read: BucketEntry): void {
    const entry = this.#entries.get(read.key)
    if (entry !== undefined && entry.revision > read.revision) return
    this.#take(read, this.#pass)
  }

  /** Puts a value in, unless it is the one already there: then the object stays the same. */
  #take(read: BucketEntry, pass: number): Entry<T> {
    const entry = this.#entries.get(read.key)
    if (entry !== undefined && entry.revision === read.revision) {
      entry.pass = Math.max(entry.pass, pass)
      return entry
    }
    return this.#put(read.key, { revision: read.revision, ...this.#decode(read) }, pass)
  }

  #decode({ key, revision, value }: BucketEntry): { stored: Stored<T> | null; broken: boolean } {
    if (value === null) return { stored: null, broken: false }
    try {
      const record = decodeRecord(value, this.#options.schema)
      if (this.#options.keyOf(record) !== key) throw new Error('decoding a record: it belongs under another key')
      return { stored: { record, revision }, broken: false }
    } catch (cause) {
      this.#options.onReport({ kind: 'undecodable', bucket: this.#options.bucket.name, key, cause })
      return { stored: null, broken: true }
    }
  }

  #put(key: string, value: Pick<Entry<T>, 'revision' | 'stored' | 'broken'>, pass: number): Entry<T> {
    const entry = { ...value, pass, changedAt: ++this.#changes }
    this.#reads.forgetAbsent(key)
    this.#drop(key)
    this.#entries.set(key, entry)
    this.#enterGroup(key, entry)
    if (this.#entries.size > this.#options.entriesMax) {
      this.#evicted = true
      // What is dropped while the fill goes on might be told by it again, older than it was; what it told may be behind.
      if (this.#fill?.isOver() === false) this.#pass++
      this.#fill?.stop()
      this.#drop(this.#entries.keys().next().value as string)
    }
    return entry
  }

  #drop(key: string): void {
    const group = this.#groupOf(this.#entries.get(key))
    this.#entries.delete(key)
    if (group === null) return
    const keys = this.#groups.get(group)
    keys?.delete(key)
    if (keys?.size === 0) this.#groups.delete(group)
  }

  #enterGroup(key: string, entry: Entry<T>): void {
    const group = this.#groupOf(entry)
    if (group === null) return
    const keys = this.#groups.get(group)
    if (keys === undefined) this.#groups.set(group, new Set([key]))
    else keys.add(key)
  }

  #groupOf(entry: Entry<T> | undefined): string | null {
    const { groupOf } = this.#options
    return entry === undefined || entry.stored === null || groupOf === undefined ? null : groupOf(entry.stored.record)
  }

  #dropUnmentioned(): void {
    for (const [key, entry] of this.#entries) if (entry.pass !== this.#pass) this.#drop(key)
  }
}
