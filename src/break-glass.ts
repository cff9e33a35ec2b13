/** Puts every connection that came past the verifier unexpectedly on record, also those that began while no verifier ran. */
import type { LifecyclePort } from './core/ports.ts'
import { breakGlassUsed, type StaticConnection } from './core/static-user.ts'
import type { StaticConnections } from './nats/static-connections.ts'

export interface BreakGlassWatch {
  /** Epoch seconds at which the latest such connection began; 0: none is known. */
  lastUsedAt(): number
  /** Looks through what servers have and remember, and resolves when that is on record. */
  look(): Promise<void>
  stop(): void
}

// What servers remember is no more than this either; an id that is forgotten here is a copy that the stream knows.
const recordedMax = 10_000
const againMs = 10_000

export function watchBreakGlass(options: {
  connections: StaticConnections
  lifecycle: LifecyclePort
  /** The verifier's name. */
  actor: string
  policyHash(): string
  seen(connection: StaticConnection): void
  onFailure(cause: unknown): void
}): BreakGlassWatch {
  const { connections, lifecycle, actor, policyHash, seen, onFailure } = options
  const recorded = new Set<string>()
  let lastUsedAt = 0
  let again: NodeJS.Timeout | null = null
  let stopped = false

  async function record(connection: StaticConnection): Promise<void> {
    const { id, code, target, facts } = breakGlassUsed(connection)
    if (recorded.has(id)) return
    recorded.add(id)
    lastUsedAt = Math.max(lastUsedAt, Math.floor(connection.startedAt / 1000))
    seen(connection)
    try {
      await lifecycle.record({
        ...code,
        id,
        at: Date.now(),
        actor: { kind: 'unknown', name: 'unknown' },
        target,
        handle: null,
        roles: [],
        policyHash: policyHash(),
        detail: `A user of nats-server's own configuration connected without the verifier; ${actor} saw it.`,
        facts,
      })
    } catch (cause) {
      recorded.delete(id)
      fail(cause)
    }
    if (recorded.size > recordedMax)
      for (const oldest of recorded) {
        recorded.delete(oldest)
        break
      }
  }

  async function look(): Promise<void> {
    try {
      for (const connection of await connections.list()) await record(connection)
    } catch (cause) {
      fail(cause)
    }
  }

  /** What could not be asked or recorded is found when it is looked for again. */
  function fail(cause: unknown): void {
    if (stopped) return
    onFailure(cause)
    if (again !== null) return
    again = setTimeout(() => {
      again = null
      void look()
    }, againMs).unref()
  }

  const stopListening = connections.onConnect((connection) => void record(connection), onFailure)
  return {
    lastUsedAt: () => lastUsedAt,
    look,
    stop: () => {
      stopped = true
      if (again !== null) clearTimeout(again)
      stopListening()
    },
  }
}
