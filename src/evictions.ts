/** Closes the live connections of what ended, and records each: core's EvictionPort over the kicker. */
import { randomUUID } from 'node:crypto'
import { connectionClosed } from './core/connection-events.ts'
import { credentialKey } from './core/identifiers.ts'
import type { EvictionPort } from './core/people/people.ts'
import type { LifecyclePort } from './core/ports.ts'
import type { Kicker, KickTarget } from './nats/kicker.ts'

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
      const { target: kicked, because } = aimedAt(ended)
      try {
        return await kicker.kickAll(kicked, (connection, outcome) => {
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
            detail: 'A connection was closed because what admitted it ended or changed.',
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

/** Whose connections those are, and what ended, as its own record names it. */
function aimedAt(ended: Parameters<EvictionPort['evict']>[0]): { target: KickTarget; because: string } {
  if ('credential' in ended)
    return { target: { owner: { credential: credentialKey(ended.credential) }, identity: null }, because: `credential ${ended.credential}` }
  if ('session' in ended) return { target: { owner: ended, identity: null }, because: `session ${ended.session}` }
  return { target: { owner: { handle: ended.identity }, identity: ended.identity }, because: `identity ${ended.identity}` }
}
