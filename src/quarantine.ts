/**
 * What follows when a verdict quarantines a credential: a record of it, and the end of its live connections. The verdict
 * does not wait for either.
 */
import { randomUUID } from 'node:crypto'
import type { LifecycleCode, LifecycleEvent } from './core/audit-event.ts'
import { credentialKey } from './core/identifiers.ts'
import type { CredentialPort, LifecyclePort } from './core/ports.ts'
import type { CredentialRecord } from './core/records.ts'
import type { Kicker } from './nats/kicker.ts'

export interface Quarantine {
  /** `credentials`, whose compare-and-set tells of every quarantine. */
  watched: CredentialPort
  /** Resolves when everything that followed so far is done. */
  settled(): Promise<void>
}

/** Follows every quarantine that is written through `credentials`. `actor` is the verifier's name. */
export function watchQuarantine(options: {
  credentials: CredentialPort
  kicker: Pick<Kicker, 'kickAll'>
  lifecycle: LifecyclePort
  actor: string
  policyHash(): string
  onFailure(cause: unknown): void
}): Quarantine {
  const { credentials, kicker, lifecycle, actor, policyHash, onFailure } = options
  const following = new Set<Promise<void>>()

  const record = (code: LifecycleCode, subject: CredentialRecord, about: Pick<LifecycleEvent, 'target' | 'detail' | 'facts'>) =>
    lifecycle.record({
      ...code,
      ...about,
      id: randomUUID(),
      at: Date.now(),
      actor: { kind: 'verifier', name: actor },
      handle: subject.handle,
      roles: [],
      policyHash: policyHash(),
    })
  const follow = async (subject: CredentialRecord): Promise<void> => {
    const target = { kind: 'credential', id: subject.id } as const
    const detail = 'The signature counter went back, so the key seems to have been copied.'
    await record({ area: 'credential', outcome: 'succeeded', reason: 'quarantined' }, subject, {
      target,
      detail,
      facts: { signCount: subject.signCount },
    })
      // The quarantine itself is durable, and the verdict's own record names the reason.
      .catch(onFailure)
    await kicker.kickAll({ owner: { credential: credentialKey(subject.id) }, identity: null }, ({ serverId, clientId }, outcome) =>
      record(
        outcome === 'kicked'
          ? { area: 'connection', outcome: 'succeeded', reason: 'kicked' }
          : { area: 'connection', outcome: 'failed', reason: 'kick_failed' },
        subject,
        {
          target: { kind: 'connection', id: `${serverId}/${clientId}` },
          detail: 'A connection was closed because its credential was quarantined.',
          facts: { serverId, clientId, because: `credential ${subject.id}` },
        },
      ),
    )
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
