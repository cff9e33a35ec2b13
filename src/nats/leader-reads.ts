/** Reads of the leader for what a cache lacks. A flood of made-up keys: each is asked for once a second at most, and not too many at a time. */
import { StoreUnavailable } from '../core/ports.ts'

const absentMs = 1_000
const absentMax = 20_000
const inFlightMax = 128
const waitingMax = 10_000
/** How long who is in no hurry lets others go first: their reads may never end. */
const quietMsMax = 20

export class LeaderReads<T> {
  readonly #bucket: string
  readonly #absentUntil = new Map<string, number>()
  readonly #reading = new Map<string, Promise<T>>()
  readonly #waiting: (() => void)[] = []
  readonly #patient = new Set<() => void>()
  readonly #quietMsMax: number

  /** `bucket`: its name, for errors. */
  constructor(bucket: string, msMax = quietMsMax) {
    this.#bucket = bucket
    this.#quietMsMax = msMax
  }

  /** Whether the leader said a moment ago that there is no such key. */
  isAbsent(key: string): boolean {
    const until = this.#absentUntil.get(key)
    return until !== undefined && until > performance.now()
  }

  rememberAbsent(key: string): void {
    if (this.#absentUntil.size >= absentMax) this.#absentUntil.clear()
    this.#absentUntil.set(key, performance.now() + absentMs)
  }

  forgetAbsent(key: string): void {
    this.#absentUntil.delete(key)
  }

  /** The read of this key that is under way: everybody who wants to know waits for the same. */
  of(key: string): Promise<T> | null {
    return this.#reading.get(key) ?? null
  }

  /** Resolves when no read is under way, or when that takes too long. */
  async quiet(): Promise<void> {
    if (this.#reading.size === 0) return
    let resume = () => {}
    const resumed = new Promise<void>((resolve) => {
      resume = resolve
    })
    this.#patient.add(resume)
    const timer = setTimeout(resume, this.#quietMsMax)
    await resumed
    clearTimeout(timer)
    this.#patient.delete(resume)
  }

  isFull(): boolean {
    return this.#reading.size >= inFlightMax
  }

  /** Others find `read` under `key` until it ends. */
  begin(key: string, read: Promise<T>): Promise<T> {
    const shared = read.finally(() => {
      this.#reading.delete(key)
      this.next()
      if (this.#reading.size === 0) for (const resume of this.#patient) resume()
    })
    this.#reading.set(key, shared)
    return shared
  }

  /** Somebody who waits may look again. Whoever had a turn calls it too, or others would wait for a read that never was. */
  next(): void {
    this.#waiting.shift()?.()
  }

  /** Resolves when another read has ended. Throws StoreUnavailable when too many wait for that. */
  turn(): Promise<void> {
    if (this.#waiting.length >= waitingMax) throw new StoreUnavailable(`reading ${this.#bucket}: too many reads at once`)
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
