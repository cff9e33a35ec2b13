import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import { credentialKey } from '../../src/core/identifiers.ts'
import { createEvictions } from '../../src/evictions.ts'
import type { Kicker, KickTarget } from '../../src/nats/kicker.ts'
import { handleOf, newCredentialId, newUserNkey } from '../support/records.ts'

/** Evictions over a kicker that reports one connection as kicked and one as failed, or throws. */
function evictions({ kickAll }: { kickAll?: Kicker['kickAll'] } = {}) {
  const events: LifecycleEvent[] = []
  const targets: KickTarget[] = []
  const failures: unknown[] = []
  const kickBoth: Kicker['kickAll'] = async (target, record) => {
    targets.push(target)
    await record({ serverId: 'N', clientId: 5 }, 'kicked')
    await record({ serverId: 'N', clientId: 6 }, 'failed')
    return { kicked: 1, failed: 1 }
  }
  const port = createEvictions({
    kicker: { kickAll: kickAll ?? kickBoth },
    lifecycle: { record: async (event) => void events.push(event) },
    actor: 'verifier-1',
    policyHash: () => 'hash',
    onFailure: (cause) => failures.push(cause),
  })
  return { evict: port.evict, events, targets, failures }
}

describe('closing the connections of what ended', () => {
  test('records each with whose it was, and the credential by the id that its own record has', async () => {
    const { evict, events, targets } = evictions()
    const id = newCredentialId()
    assert.deepEqual(await evict({ credential: id }, handleOf('alice')), { kicked: 1, failed: 1 })
    assert.deepEqual(targets, [{ owner: { credential: credentialKey(id) }, identity: null }])
    assert.deepEqual(
      events.map(({ area, outcome, reason, actor, target, handle, facts }) => [
        `${area}.${outcome}.${reason}`,
        actor.name,
        target.id,
        handle,
        facts['because'],
      ]),
      [
        ['connection.succeeded.kicked', 'verifier-1', 'N/5', 'alice', `credential ${id}`],
        ['connection.failed.kick_failed', 'verifier-1', 'N/6', 'alice', `credential ${id}`],
      ],
    )
  })

  test('of a session names its key and its owner', async () => {
    const { evict, events, targets } = evictions()
    const nkey = newUserNkey()
    await evict({ session: nkey }, handleOf('bob'))
    assert.deepEqual(targets, [{ owner: { session: nkey }, identity: null }])
    assert.deepEqual([events[0]?.handle, events[0]?.facts['because']], ['bob', `session ${nkey}`])
  })

  test('never throws: what could not be asked for is counted as failed, and told', async () => {
    const broken = new Error('asking the servers')
    const { evict, failures } = evictions({ kickAll: () => Promise.reject(broken) })
    assert.deepEqual(await evict({ session: newUserNkey() }, handleOf('bob')), { kicked: 0, failed: 1 })
    assert.deepEqual(failures, [broken])
  })
})
