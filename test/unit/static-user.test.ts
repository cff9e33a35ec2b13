import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { watchBreakGlass } from '../../src/break-glass.ts'
import type { LifecycleEvent } from '../../src/core/audit-event.ts'
import type { AccountName } from '../../src/core/identifiers.ts'
import { AuditUnavailable } from '../../src/core/ports.ts'
import { breakGlassUsed, isUnexpected, type StaticConnection } from '../../src/core/static-user.ts'
import { testNkey } from '../support/authorization-request.ts'

const { publicKey: nkey } = testNkey('U')
const { publicKey: auditor } = testNkey('U')
const rules = { targets: ['APP', '$G'] as AccountName[], expected: new Set([auditor, 'billing']) }

describe('somebody who connected past the verifier', () => {
  const unexpected = [
    ['APP', nkey, 'an nkey user among the users of the application'],
    ['AUTH', nkey, 'an nkey user in an account of the verifier'],
    ['AUTH', 'alice', 'a handle in an account that nobody is granted'],
    ['SYS', 'legacy:billing', 'the name of a legacy user in an account that nobody is granted'],
    ['OTHER', 'alice', 'a handle in an account that is none of ours'],
    ['APP', '', 'a user without a name'],
    ['APP', 'Alice', 'a name that no handle can be'],
    ['APP', 'alice smith', 'another one'],
    ['app', 'alice', 'an account that is spelled differently'],
    ['APP', `${auditor}x`, 'nearly an expected key'],
  ] as const
  for (const [account, user, what] of unexpected)
    test(`is noticed: ${what}`, () => assert.equal(isUnexpected({ account, user }, rules), true))

  const usual = [
    ['APP', 'alice', 'a handle'],
    ['$G', 'orders_2', 'a handle in another account of the configuration'],
    ['APP', 'legacy:billing', 'a legacy user'],
    ['AUDIT', auditor, 'an expected key, wherever it is'],
    ['APP', 'billing', 'an expected name'],
  ] as const
  for (const [account, user, what] of usual) test(`is not: ${what}`, () => assert.equal(isUnexpected({ account, user }, rules), false))
})

const connection: StaticConnection = {
  serverId: 'NABC',
  serverName: 'nats-1',
  clientId: 7,
  account: 'APP',
  user: nkey,
  host: '192.0.2.1',
  clientName: 'nats cli\u0000\u202e',
  startedAt: Date.UTC(2026, 10, 22, 12),
  isOpen: true,
}

describe('the record of such a connection', () => {
  test('has one id for one connection, whoever sees it, and another for every other', () => {
    const { id } = breakGlassUsed(connection)
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.equal(breakGlassUsed({ ...connection, isOpen: false, clientName: 'other' }).id, id)
    for (const change of [{ serverId: 'NABD' }, { clientId: 8 }, { startedAt: connection.startedAt + 1 }])
      assert.notEqual(breakGlassUsed({ ...connection, ...change }).id, id)
  })

  test('spells out what a client could hide in its name', () => {
    assert.equal(breakGlassUsed(connection).facts['client'], 'nats cli\\u{0}\\u{202e}')
  })
})

describe('the watch', () => {
  function watched(listed: StaticConnection[]) {
    const recorded: LifecycleEvent[] = []
    const failures: unknown[] = []
    let tell: (connection: StaticConnection) => void = () => undefined
    const audit = { broken: false }
    const watch = watchBreakGlass({
      connections: {
        onConnect: (listener) => {
          tell = listener
          return () => undefined
        },
        list: async () => listed,
      },
      lifecycle: {
        record: async (event) => {
          if (audit.broken) throw new AuditUnavailable('recording')
          recorded.push(event)
        },
      },
      actor: 'verifier',
      policyHash: () => '',
      seen: () => undefined,
      onFailure: (cause) => failures.push(cause),
    })
    return { watch, recorded, failures, audit, tell: (one: StaticConnection) => tell(one) }
  }

  test('records a connection once, however often it is seen', async () => {
    const { watch, recorded, tell } = watched([connection])
    tell(connection)
    await watch.look()
    await watch.look()
    assert.equal(recorded.length, 1)
    assert.equal(watch.lastUsedAt(), connection.startedAt / 1000)
    watch.stop()
  })

  test('records it when it looks again, where the trail did not take it the first time', async () => {
    const { watch, recorded, failures, audit } = watched([connection])
    audit.broken = true
    await watch.look()
    assert.deepEqual([recorded.length, failures.length], [0, 1])
    // That somebody was there is known all the same.
    assert.equal(watch.lastUsedAt(), connection.startedAt / 1000)
    audit.broken = false
    await watch.look()
    assert.equal(recorded.length, 1)
    watch.stop()
  })

  test('knows the latest of several, in whatever order they are told', async () => {
    const { watch } = watched([{ ...connection, clientId: 9, startedAt: connection.startedAt + 60_000 }, connection])
    assert.equal(watch.lastUsedAt(), 0)
    await watch.look()
    assert.equal(watch.lastUsedAt(), connection.startedAt / 1000 + 60)
    watch.stop()
  })
})
