/** Closes the live connections of what a person ended, and records each: core's EvictionPort over the kicker. */
import { randomUUID } from 'node:crypto'
import type { LifecycleCode } from './core/audit-event.ts'
import type { EvictionPort } from './core/people.ts'
import type { LifecyclePort } from './core/ports.ts'
import type { Kicker } from './nats/kicker.ts'

export function createEvictions(options: {
  kicker: Pick<Kicker, 'kickAll'>
  lifecycle: LifecyclePort
  /** The verifier's name. */
  actor: string
  policyHash(): string
  onFailure(cause: unknown): void
}): EvictionPort {
  const { kicker, lifecycle, actor, policyHash, onFailure } = options
  return {
    evict: async (owner) => {
      const handle = 'handle' in owner ? owner.handle : null
      const because = Object.entries(owner).map(([kind, id]) => `${kind} ${id}`)[0] ?? ''
      const closed = ({ serverId, clientId }: { serverId: string; clientId: number }, code: LifecycleCode) =>
        lifecycle.record({
          ...code,
          id: randomUUID(),
          at: Date.now(),
          actor: { kind: 'verifier', name: actor },
          target: { kind: 'connection', id: `${serverId}/${clientId}` },
          handle,
          roles: [],
          policyHash: policyHash(),
          detail: 'A connection was closed because what admitted it ended.',
          facts: { serverId, clientId, because },
        })
      try {
        return await kicker.kickAll({ owner, identity: handle }, (connection, outcome) =>
          closed(
            connection,
            outcome === 'kicked'
              ? { area: 'connection', outcome: 'succeeded', reason: 'kicked' }
              : { area: 'connection', outcome: 'failed', reason: 'kick_failed' },
          ),
        )
      } catch (cause) {
        // What was ended is ended; its connections close when their grants do.
        onFailure(cause)
        return { kicked: 0, failed: 1 }
      }
    },
  }
}
