import { placesShare } from '../core/waiting-room.ts'

/**
 * Places that are held for a while, fair by source: when there is none left, whoever holds most gives up what it took last.
 * Known sources and others have the shares of a waiting room: as long as one kind has less than its own, the other kind gives.
 */
export class HeldPlaces<T extends { source: string }> {
  readonly #max: number
  readonly #isKnown: (source: string) => boolean
  readonly #bySource = new Map<string, T[]>()
  #taken = 0

  constructor(max: number, isKnown: (source: string) => boolean = () => false) {
    this.#max = max
    this.#isKnown = isKnown
  }

  /** Who has to leave so that no more than `max` are held: null mostly, `item` itself where nobody owes it a place. */
  enter(item: T): T | null {
    const leaves = this.#taken < this.#max ? null : this.#whoGives(item)
    if (leaves === item) return item
    if (leaves !== null) this.leave(leaves)
    const own = this.#bySource.get(item.source) ?? []
    own.push(item)
    this.#bySource.set(item.source, own)
    this.#taken++
    return leaves
  }

  /** Does nothing when it left already. */
  leave(item: T): void {
    const items = this.#bySource.get(item.source)
    const at = items?.lastIndexOf(item) ?? -1
    if (items === undefined || at < 0) return
    items.splice(at, 1)
    this.#taken--
    if (items.length === 0) this.#bySource.delete(item.source)
  }

  #whoGives(item: T): T {
    const own = this.#bySource.get(item.source) ?? []
    const isKnown = this.#isKnown(item.source)
    let held = 0
    let most = own
    let mostOfOthers: T[] = []
    for (const [source, items] of this.#bySource) {
      if (this.#isKnown(source) !== isKnown) {
        if (items.length > mostOfOthers.length) mostOfOthers = items
        continue
      }
      held += items.length
      if (items.length > most.length) most = items
    }
    if (held < this.#max * placesShare(isKnown)) return mostOfOthers.at(-1) ?? item
    return most.length > own.length + 1 ? (most.at(-1) ?? item) : item
  }
}
