/** Places that are held for a while, fair by source: when there is none left, whoever holds most gives up what it took last. */
export class HeldPlaces<T extends { source: string }> {
  readonly #max: number
  readonly #bySource = new Map<string, T[]>()
  #taken = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Who has to leave so that no more than `max` are held: null mostly, `item` itself where no other source holds more than its own. */
  enter(item: T): T | null {
    const own = this.#bySource.get(item.source) ?? []
    let leaves: T | null = null
    if (this.#taken >= this.#max) {
      let most = own
      for (const items of this.#bySource.values()) if (items.length > most.length) most = items
      if (most.length <= own.length + 1) return item
      leaves = most.at(-1) ?? item
      this.leave(leaves)
    }
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
}
