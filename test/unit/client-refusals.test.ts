/** What the SDK makes of a refusal: NATS says the same whether a session is over or a verifier had no time. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Attempts, createAttempts } from '../../src/client/attempts.ts'
import { followConnection } from '../../src/client/connection-watch.ts'
import { createReconnectPace } from '../../src/core/reconnect-pace.ts'
import type { Refusal } from '../../src/core/session-evidence.ts'
import { fakeConnection } from '../support/fake-connection.ts'

const refused = { type: 'error', data: 'AUTHORIZATION_VIOLATION' }

/** Attempts that came up by a proof, and had a session that worked. */
function connected(): Attempts<string> {
  let made = 0
  const attempts = createAttempts(() => `K${++made}`)
  for (const _ of ['proof', 'resume']) {
    attempts.next(performance.now())
    attempts.worked()
  }
  attempts.watch(true)
  return attempts
}

describe('a session', () => {
  for (const [refusal, resumesMax] of [
    ['verdict', 1],
    ['crowded', 2],
    ['troubled', 3],
    ['unanswered', 6],
  ] as const satisfies [Refusal, number][]) {
    test(`is given up after ${resumesMax} refusals of the kind "${refusal}", and then the key is asked`, () => {
      const attempts = connected()
      for (let i = 0; i < resumesMax; i++) {
        assert.equal(attempts.next(0).kind, 'resume')
        attempts.refused(refusal)
      }
      assert.equal(attempts.next(0).kind, 'proof')
    })
  }

  test('has all its chances again once it worked', () => {
    const attempts = connected()
    for (let round = 0; round < 5; round++) {
      for (const refusal of ['troubled', 'troubled', null] as const) {
        assert.equal(attempts.next(0).kind, 'resume')
        if (refusal === null) attempts.worked()
        else attempts.refused(refusal)
      }
    }
  })

  test('is tried again when the proof was refused too, and has all its chances', () => {
    const attempts = connected()
    attempts.next(0)
    attempts.refused('verdict')
    attempts.next(0)
    attempts.refused('unanswered')
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(attempts.next(0), { kind: 'resume', session: 'K1' })
      attempts.refused('troubled')
    }
    assert.equal(attempts.next(0).kind, 'proof')
  })

  test('that verifiers in trouble refused says nothing of the role: the SDK goes on with sessions', () => {
    let made = 0
    const attempts = createAttempts(() => `K${++made}`)
    attempts.next(0)
    attempts.worked()
    attempts.watch(true)
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 3; i++) {
        assert.equal(attempts.next(0).kind, 'resume')
        attempts.refused('troubled')
      }
      const attempt = attempts.next(0)
      assert.equal(attempt.kind, 'proof')
      assert.notEqual(attempt.session, null)
      attempts.worked()
    }
  })
})

describe('a refusal', () => {
  /** Follows a connection whose loss is reported as `reports`, and says how its next refusal was taken. */
  async function taken(reports: { type: string; data?: string }[], { clientId = 1 } = {}): Promise<string[]> {
    const seen: string[] = []
    const attempts = { ...connected(), refused: (refusal?: Refusal) => void seen.push(refusal ?? 'none') }
    const connection = { ...fakeConnection(), info: { server_id: 'NSERVER', client_id: clientId } }
    const following = followConnection(connection, { attempts, pace: createReconnectPace() })
    for (const report of reports) await connection.emit(report)
    attempts.next(performance.now())
    await connection.emit(refused)
    connection.end()
    await following
    return seen
  }
  const expired = { type: 'error', data: 'AUTHENTICATION_EXPIRED' }
  const lost = { type: 'disconnect' }

  test('at once, after the grant was over, is a verdict', async () => {
    assert.deepEqual(await taken([expired, lost]), ['verdict'])
  })

  test('at once, after the program reconnected, is a verdict', async () => {
    assert.deepEqual(await taken([{ type: 'client initiated reconnect' }, lost]), ['verdict'])
    assert.deepEqual(await taken([{ type: 'forceReconnect' }, lost]), ['verdict'])
  })

  test('at once, after the connection broke, may be trouble', async () => {
    assert.deepEqual(await taken([lost]), ['troubled'])
  })

  test('at once, in a large fleet, may be the crowd', async () => {
    assert.deepEqual(await taken([expired, lost], { clientId: 5_000 }), ['crowded'])
  })

  test('after as long as a server waits is no verdict, for that takes no time', async () => {
    const seen: string[] = []
    const attempts = { ...connected(), refused: (refusal?: Refusal) => void seen.push(refusal ?? 'none') }
    const connection = fakeConnection()
    const following = followConnection(connection, { attempts, pace: createReconnectPace() })
    await connection.emit(expired)
    attempts.next(performance.now() - 1_900)
    await connection.emit(refused)
    connection.end()
    await following
    assert.deepEqual(seen, ['unanswered'])
  })

  for (const [what, info] of [
    ['nothing', undefined],
    ['text', 'INFO'],
    ['a number that is none', { server_id: 'N', client_id: Number.NaN }],
    ['a negative number', { server_id: 'N', client_id: -5_000 }],
    ['half a number', { server_id: 'N', client_id: 5_000.5 }],
    ['no server', { client_id: 5_000 }],
  ] as const) {
    test(`is judged without the size of the fleet where a server says ${what} of it`, async () => {
      const attempts = connected()
      const pace = createReconnectPace()
      const connection = Object.assign(fakeConnection(), { info })
      const following = followConnection(connection, { attempts, pace })
      connection.end()
      await following
      assert.equal(pace.spreadMs(), 0)
    })
  }
})
