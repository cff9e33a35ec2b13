/**
 * What follows when a verdict quarantines a credential: a record of it, and the end of its live connections. The verdict
 * does not wait for either.
 */
import { randomUUID } from 'node:crypto'
import type { EvictionPort } from './core/people/people.ts'
import type { CredentialPort, LifecyclePort } from './core/ports.ts'
import type { CredentialRecord } from './core/records.ts'

export interface Quarantine {
  /** `credentials`, whose compare-and-set tells of every quarantine. */
  watched: CredentialPort
  /** Resolves when everything that followed so far is done. */
  settled(): Promise<void>
}

/** Follows every quarantine that is written through `credentials`. `actor` is the verifier's name. */
export function watchQuarantine(options: {
  credentials: CredentialPort
  evictions: EvictionPort
  lifecycle: LifecyclePort
  actor: string
  policyHash(): string
  onFailure(cause: unknown): void
}): Quarantine {
  const { credentials, evictions, lifecycle, actor, policyHash, onFailure } = options
  const following = new Set<Promise<void>>()

  const follow = async ({ id, handle, signCount }: CredentialRecord): Promise<void> => {
    await lifecycle
      .record({
        area: 'credential',
        outcome: 'succeeded',
        reason: 'quarantined',
        id: randomUUID(),
        at: Date.now(),
        actor: { kind: 'verifier', name: actor },
        target: { kind: 'credential', id },
        handle,
        roles: [],
        policyHash: policyHash(),
        detail: 'The signature counter went back, so the key seems to have been copied.',
        facts: { signCount },
      })
      // The quarantine itself is durable, and the verdict's own record names the reason.
      .catch(onFailure)
    await evictions.evict({ credential: id }, handle)
  }
  return {
    watched: {
      find: (id) => credentials.find(id),
      findByKey: (key) => credentials.findByKey(key),
      replace: async (stored, next) => {
        const other = await credentials.replace(stored, next)
        if (other === null && next.state === 'quarantined' && stored.record.state !== 'quarantined') {
          const done = follow(next).catch(onFailure)
          following.add(done)
          void done.finally(() => following.delete(done))
        }
        return other
      },
    },
    settled: async () => {
      await Promise.all(following)
    },
  }
}
