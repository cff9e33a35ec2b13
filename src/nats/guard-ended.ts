/** Connections whose end was heard of before their entry was: the server tells one verifier, and the watch may be later. */
import type { LiveConnection } from './guard.ts'

const keptMs = 10_000
const endedMax = 10_000

export class EndedConnections {
  /** When each ended, by the monotonic clock; the oldest first. */
  readonly #ended = new Map<string, number>()

  add(connection: LiveConnection): void {
    this.#ended.set(nameOf(connection), performance.now())
    for (const [name, at] of this.#ended) {
      if (this.#ended.size <= endedMax && performance.now() - at < keptMs) break
      this.#ended.delete(name)
    }
  }

  has(connection: LiveConnection): boolean {
    return this.#ended.has(nameOf(connection))
  }
}

function nameOf({ serverId, clientId }: LiveConnection): string {
  return `${serverId}.${clientId}`
}
