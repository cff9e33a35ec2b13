/**
 * A map that forgets: what was set last stays longest, and there is never more than a given number. Two generations, of
 * which the older one goes at once, so that nothing costs more with more keys and an attacker's keys go as others do.
 */
export class Generations<V> {
  readonly #keysMax: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  /** Keeps at least the `keysMax / 2` keys that were set last, and never more than `keysMax`. */
  constructor(keysMax: number) {
    this.#keysMax = keysMax
  }

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  set(key: string, value: V): void {
    this.#old.delete(key)
    this.#young.set(key, value)
    if (this.#young.size * 2 < this.#keysMax) return
    this.#old = this.#young
    this.#young = new Map()
  }

  delete(key: string): void {
    this.#young.delete(key)
    this.#old.delete(key)
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }
}
