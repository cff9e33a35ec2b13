/** What the audit record of a closed connection says, whoever closed it. */
import type { LifecycleCode, LifecycleEvent } from './audit-event.ts'

/** `connection`: nats-server's id and the client's id on it. `because`: kind and id of what ended, as its own record names it. */
export function connectionClosed(
  { serverId, clientId }: { serverId: string; clientId: number },
  outcome: 'kicked' | 'failed',
  because: string,
): { code: LifecycleCode; target: LifecycleEvent['target']; facts: LifecycleEvent['facts'] } {
  return {
    code:
      outcome === 'kicked'
        ? { area: 'connection', outcome: 'succeeded', reason: 'kicked' }
        : { area: 'connection', outcome: 'failed', reason: 'kick_failed' },
    target: { kind: 'connection', id: `${serverId}/${clientId}` },
    facts: { serverId, clientId, because },
  }
}
