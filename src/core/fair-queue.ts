/**
 * Lines by source: within a line first come, first served; the lines in turn, one from each. Everything costs the same
 * however many wait. It bounds nothing itself: who fills it takes from the longest line when there are too many.
 */

class Line<T> {
  readonly source: string
  /** What was taken leaves a hole until the array is shifted. */
  readonly items: (T | undefined)[] = []
  /** Index of the first item that still waits. */
  head = 0
  /** Neighbours in the ring of turns. */
  before: Line<T> = this
  after: Line<T> = this
  /** Index among the lines of the same length. */
  rank = 0

  constructor(source: string) {
    this.source = source
  }

  get length(): number {
    return this.items.length - this.head
  }
}

export class FairQueue<T> {
  readonly #lines = new Map<string, Line<T>>()
  /** Lines by their length. */
  readonly #byLength: Line<T>[][] = [[]]
  #turn: Line<T> | null = null
  #longest = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  get sources(): number {
    return this.#lines.size
  }

  waitingFrom(source: string): number {
    return this.#lines.get(source)?.length ?? 0
  }

  push(source: string, item: T): void {
    const line = this.#lines.get(source) ?? this.#open(source)
    this.#resize(line, () => line.items.push(item))
  }

  /** The oldest item of the line whose turn it is, or null when nobody waits. */
  shift(): T | null {
    const line = this.#turn
    if (line === null) return null
    this.#turn = line.after
    return this.#takeFirst(line)
  }

  /**
   * Takes one out of the longest line, of several the one that grew last: its oldest item if `isLost` says so, else its
   * newest. Null when nobody waits.
   */
  dropFromLongest(isLost: (item: T) => boolean): T | null {
    const line = this.#byLength[this.#longest]?.at(-1)
    const oldest = line?.items[line.head]
    if (line === undefined || oldest === undefined) return null
    return isLost(oldest) ? this.#takeFirst(line) : this.#takeLast(line)
  }

  #takeFirst(line: Line<T>): T {
    const item = line.items[line.head] as T
    this.#resize(line, () => {
      line.items[line.head++] = undefined
      // Shifting a long array at each turn would be quadratic.
      if (line.head < 64 || line.head * 2 < line.items.length) return
      line.items.splice(0, line.head)
      line.head = 0
    })
    return item
  }

  #takeLast(line: Line<T>): T {
    const item = line.items.at(-1) as T
    this.#resize(line, () => line.items.pop())
    return item
  }

  #open(source: string): Line<T> {
    const line = new Line<T>(source)
    // The last to come has its turn after all others.
    const turn = this.#turn ?? line
    line.after = turn
    line.before = turn.before
    line.before.after = line
    turn.before = line
    this.#turn = turn
    this.#lines.set(source, line)
    this.#rank(line)
    return line
  }

  #close(line: Line<T>): void {
    this.#lines.delete(line.source)
    if (line.after === line) {
      this.#turn = null
      return
    }
    line.before.after = line.after
    line.after.before = line.before
    if (this.#turn === line) this.#turn = line.after
  }

  /** Changes a line's items by one, and keeps its place among the lengths. */
  #resize(line: Line<T>, change: () => void): void {
    const before = line.length
    this.#unrank(line)
    change()
    const after = line.length
    this.#size += after - before
    if (after === 0) this.#close(line)
    else this.#rank(line)
    this.#longest = Math.max(this.#longest, after)
    if (this.#longest > 0 && this.#byLength[this.#longest]?.length === 0) this.#longest--
  }

  #rank(line: Line<T>): void {
    const length = line.length
    const peers = this.#byLength[length] ?? []
    this.#byLength[length] = peers
    line.rank = peers.length
    peers.push(line)
  }

  #unrank(line: Line<T>): void {
    const peers = this.#byLength[line.length] as Line<T>[]
    const last = peers.pop() as Line<T>
    if (last === line) return
    peers[line.rank] = last
    last.rank = line.rank
  }
}
