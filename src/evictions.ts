/** Closes the live connections of what ended, and records each: core's EvictionPort over the kicker. */
import { randomUUID } from 'node:crypto'
import { connectionClosed } from './core/connection-events.ts'
import { credentialKey } from './core/identifiers.ts'
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
    evict: async (ended, handle) => {
      const isCredential = 'credential' in ended
      const owner = isCredential ? { credential: credentialKey(ended.credential) } : ended
      const because = isCredential ? `credential ${ended.credential}` : `session ${ended.session}`
      try {
        return await kicker.kickAll({ owner, identity: null }, (connection, outcome) => {
          const { code, target, facts } = connectionClosed(connection, outcome, because)
          return lifecycle.record({
            ...code,
            id: randomUUID(),
            at: Date.now(),
            actor: { kind: 'verifier', name: actor },
            target,
            handle,
            roles: [],
            policyHash: policyHash(),
            detail: 'A connection was closed because what admitted it ended.',
            facts,
          })
        })
      } catch (cause) {
        // What was ended is ended; its connections close when their grants do.
        onFailure(cause)
        return { kicked: 0, failed: 1 }
      }
    },
  }
}
