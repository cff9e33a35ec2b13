import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Guard, LiveConnection } from '../../src/nats/guard.ts'
import { createKicker, type KickTarget } from '../../src/nats/kicker.ts'
import type { KickOutcome, System } from '../../src/nats/system.ts'
import { guardEntry, handleOf } from '../support/records.ts'

const { serverId } = guardEntry()
const connection = (clientId: number): LiveConnection => ({ serverId, clientId })

function world(
  guarded: LiveConnection[],
  reported: LiveConnection[] | Error,
  outcome: (it: LiveConnection) => KickOutcome = () => 'kicked',
) {
  const kicked: number[] = []
  const failures: unknown[] = []
  const guard = { connectionsWith: () => guarded } as Partial<Guard> as Guard
  const system: System = {
    kick: async (it) => {
      kicked.push(it.clientId)
      return outcome(it)
    },
    connectionsOf: async () => {
      if (reported instanceof Error) throw reported
      return reported
    },
    onDisconnect: () => () => {},
  }
  const kicker = createKicker({ guard, system, againAfterMs: () => 60_000, onFailure: (cause) => failures.push(cause) })
  return { kicker, kicked, failures }
}

const target: KickTarget = { owner: { handle: handleOf('orders') }, identity: handleOf('orders') }

describe('kicker', () => {
  test('closes what the guard and the servers know of, each once', async () => {
    const { kicker, kicked } = world([connection(1), connection(2)], [connection(2), connection(3)])
    const recorded: number[] = []
    assert.deepEqual(await kicker.kickAll(target, async (it) => void recorded.push(it.clientId)), { kicked: 3, failed: 0 })
    assert.deepEqual(kicked.sort(), [1, 2, 3])
    assert.deepEqual(recorded.sort(), [1, 2, 3])
    kicker.stop()
  })

  test('does not ask the servers about one credential of an identity', async () => {
    const { kicker, kicked } = world([connection(1)], [connection(2)])
    await kicker.kickAll({ ...target, identity: null }, async () => {})
    assert.deepEqual(kicked, [1])
    kicker.stop()
  })

  test('records no connection that was gone already, and counts those that could not be closed', async () => {
    const outcomes: KickOutcome[] = ['kicked', 'gone', 'failed']
    const { kicker } = world([connection(0), connection(1), connection(2)], [], (it) => outcomes[it.clientId] ?? assert.fail())
    const recorded: string[] = []
    assert.deepEqual(await kicker.kickAll(target, async (_, outcome) => void recorded.push(outcome)), { kicked: 1, failed: 1 })
    assert.deepEqual(recorded.sort(), ['failed', 'kicked'])
    kicker.stop()
  })

  test('closes every connection even when none can be recorded', async () => {
    const { kicker, kicked, failures } = world(
      Array.from({ length: 40 }, (_, i) => connection(i)),
      [],
    )
    const failing = async () => Promise.reject(new Error('recording'))
    assert.deepEqual(await kicker.kickAll(target, failing), { kicked: 40, failed: 0 })
    assert.equal(kicked.length, 40)
    assert.equal(failures.length, 40)
    kicker.stop()
  })

  test('closes what the guard knows of when the servers cannot be asked', async () => {
    const { kicker, kicked, failures } = world([connection(1)], new Error('asking'))
    assert.deepEqual(await kicker.kickAll(target, async () => {}), { kicked: 1, failed: 0 })
    assert.deepEqual(kicked, [1])
    assert.equal(failures.length, 1)
    kicker.stop()
  })

  test('closes at once, when the verifier stops, what was let in during a revocation: once, and before it resolves', async () => {
    const guarded = [connection(1)]
    const { kicker, kicked } = world(guarded, [])
    await kicker.kickAll({ ...target, identity: null }, async () => {})
    guarded[0] = connection(2)
    await kicker.settle()
    assert.deepEqual(kicked, [1, 2])
    await kicker.settle()
    assert.deepEqual(kicked, [1, 2])
  })
})
