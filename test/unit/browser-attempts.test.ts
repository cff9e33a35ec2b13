import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Attempts, createAttempts } from '../../src/browser/attempts.ts'
import type { Loss } from '../../src/core/reconnect-pace.ts'

const YES = { accepted: true, afterMilliseconds: 40 }
const NO = { accepted: false, afterMilliseconds: 30 }
const SILENCE = { accepted: false, afterMilliseconds: 5_000 }

/** Why the connection was lost, and how many lost theirs. */
const circumstances = (why: Loss, spreadMs = 0) => ({ loss: () => why, spreadMs: () => spreadMs })
const pace = circumstances('broken')

/** Attempts with a session that was endorsed by a tap. */
function connected(options: { mayAsk?: boolean; pace?: typeof pace } = {}): Attempts<string> {
  const attempts = createAttempts<string>({ mayAsk: true, pace, ...options })
  attempts.tapped(YES, 'key')
  return attempts
}

/** What comes next, as one word. */
function next(attempts: Attempts<string>): string {
  const attempt = attempts.next()
  if (attempt.kind === 'ask') return attempt.reason
  return attempt.kind === 'end' ? attempt.error.code : attempt.kind
}

describe('the first connection', () => {
  test('begins with a tap, which the program has just asked for', () => {
    assert.equal(next(createAttempts({ mayAsk: false, pace })), 'tap')
  })

  test('still has its tap after a server that could not be reached', () => {
    const attempts = createAttempts<string>({ mayAsk: false, pace })
    attempts.failed('server_unreachable')
    assert.equal(next(attempts), 'tap')
  })

  for (const [what, verdict, code] of [
    ['refused', NO, 'server_refused'],
    ['answered by nobody', SILENCE, 'no_answer'],
    ['cut off', null, 'no_answer'],
  ] as const) {
    test(`ends when the tap is ${what}: there is no second question`, () => {
      const attempts = createAttempts<string>({ mayAsk: true, pace })
      attempts.tapped(verdict, 'key')
      assert.equal(next(attempts), code)
    })
  }
})

describe('a session', () => {
  test('is resumed, however often', () => {
    const attempts = connected()
    for (let i = 0; i < 10; i++) {
      assert.equal(next(attempts), 'resume')
      attempts.resumed(YES)
    }
  })

  test('is over when it was refused three times', () => {
    const attempts = connected()
    for (let i = 0; i < 3; i++) {
      assert.equal(next(attempts), 'resume')
      attempts.resumed(NO)
    }
    assert.equal(next(attempts), 'session_over')
    assert.ok(attempts.isPauseless())
  })

  for (const [when, why, spreadMs, refusals] of [
    ['after its grant ran out', 'expired', 0, 1],
    ['after the program reconnected', 'wanted', 0, 1],
    ['after its grant ran out, where fifty others are', 'expired', 100, 1],
    ['after its grant ran out, where more than fifty others are', 'expired', 101, 2],
    ['after its connection broke', 'broken', 0, 3],
    ['after its connection broke, where many others are', 'broken', 20_000, 3],
  ] as const satisfies [string, Loss, number, number][]) {
    test(`is over at refusal ${refusals} ${when}`, () => {
      const attempts = connected({ pace: circumstances(why, spreadMs) })
      attempts.resumed(YES)
      for (let i = 0; i < refusals; i++) {
        assert.equal(next(attempts), 'resume')
        assert.equal(attempts.isPauseless(), false)
        attempts.resumed(NO)
      }
      assert.equal(next(attempts), 'session_over')
      assert.ok(attempts.isPauseless())
    })

    test(`is not over ${when} when nobody answers, however often`, () => {
      const attempts = connected({ pace: circumstances(why, spreadMs) })
      for (let i = 0; i < 50; i++) attempts.resumed(i % 2 === 0 ? SILENCE : null)
      assert.equal(next(attempts), 'resume')
    })
  }

  test('adds up what refusals in different circumstances say', () => {
    let why: Loss = 'broken'
    let spreadMs = 0
    const attempts = connected({ pace: { loss: () => why, spreadMs: () => spreadMs } })
    attempts.resumed(NO)
    attempts.resumed(NO)
    assert.equal(next(attempts), 'resume')
    ;[why, spreadMs] = ['expired', 20_000]
    attempts.resumed(NO)
    assert.equal(next(attempts), 'session_over')
  })

  test('is not over because nobody answers, the connection breaks, or the server is away', () => {
    const attempts = connected()
    for (let i = 0; i < 50; i++) {
      attempts.resumed(SILENCE)
      attempts.resumed(null)
      attempts.failed('server_unreachable')
      attempts.failed('info_timeout')
      attempts.failed('nonce_missing')
    }
    assert.equal(next(attempts), 'resume')
    assert.equal(attempts.isPauseless(), false)
  })

  test('that works again has all its chances again', () => {
    const attempts = connected()
    attempts.resumed(NO)
    attempts.resumed(NO)
    attempts.resumed(YES)
    attempts.resumed(NO)
    attempts.resumed(NO)
    assert.equal(next(attempts), 'resume')
    assert.equal(attempts.failures(), 2)
  })

  test('on a slow path is judged by what that path took to accept', () => {
    const attempts = createAttempts<string>({ mayAsk: true, pace })
    attempts.tapped({ accepted: true, afterMilliseconds: 2_000 }, 'key')
    for (let i = 0; i < 3; i++) attempts.resumed({ accepted: false, afterMilliseconds: 3_000 })
    assert.equal(next(attempts), 'session_over')
  })

  test('that ends where nobody may be asked ends the connection', () => {
    const attempts = connected({ mayAsk: false })
    for (let i = 0; i < 3; i++) attempts.resumed(NO)
    const end = attempts.next()
    assert.equal(end.kind === 'end' && end.error.code, 'session_over')
  })

  test('is not there where it was not wanted: each reconnect asks', () => {
    const attempts = createAttempts<string>({ mayAsk: true, pace })
    attempts.tapped(YES, null)
    assert.equal(next(attempts), 'session_over')
  })
})

describe('a tap after the session', () => {
  function over(): Attempts<string> {
    const attempts = connected()
    for (let i = 0; i < 3; i++) attempts.resumed(NO)
    return attempts
  }

  test('is made once it was granted, and makes a session', () => {
    const attempts = over()
    attempts.granted()
    assert.equal(next(attempts), 'tap')
    attempts.tapped(YES, 'another key')
    assert.deepEqual(attempts.next(), { kind: 'resume', key: 'another key' })
  })

  test('costs one refused resume, not three, where no session was ever good for anything: a role that allows none', () => {
    const attempts = over()
    for (let tap = 0; tap < 3; tap++) {
      attempts.granted()
      attempts.tapped(YES, 'another key')
      assert.equal(next(attempts), 'resume')
      attempts.resumed(NO)
      assert.equal(next(attempts), 'session_over')
      assert.ok(attempts.isPauseless())
    }
    // It was a bad day, not the role: from here on a session has all its chances.
    attempts.granted()
    attempts.tapped(YES, 'a good key')
    attempts.resumed(SILENCE)
    attempts.resumed(YES)
    attempts.resumed(NO)
    attempts.resumed(NO)
    assert.equal(next(attempts), 'resume')
  })

  test('costs one refused resume from the first time on where grants run out in quiet: a role that allows none', () => {
    const attempts = connected({ pace: circumstances('expired') })
    for (let tap = 0; tap < 3; tap++) {
      assert.equal(next(attempts), 'resume')
      attempts.resumed(NO)
      assert.equal(next(attempts), 'session_over')
      attempts.granted()
      attempts.tapped(YES, 'another key')
    }
  })

  test('leaves the next session all its chances when the one before had worked', () => {
    const attempts = connected()
    attempts.resumed(YES)
    for (let i = 0; i < 3; i++) attempts.resumed(NO)
    attempts.granted()
    attempts.tapped(YES, 'another key')
    attempts.resumed(NO)
    assert.equal(next(attempts), 'resume')
  })

  test('stays granted while the server is away, and the server is not hammered', () => {
    const attempts = over()
    attempts.granted()
    attempts.failed('server_unreachable')
    assert.equal(next(attempts), 'tap')
    assert.equal(attempts.isPauseless(), false)
  })

  test('that was missed is offered again, with the reason, and at most three times', () => {
    const attempts = over()
    for (const reason of ['session_over', 'cancelled', 'interrupted'] as const) {
      assert.equal(next(attempts), reason)
      attempts.granted()
      attempts.failed(reason === 'session_over' ? 'cancelled' : 'interrupted')
    }
    assert.equal(next(attempts), 'interrupted')
    assert.equal(attempts.next().kind, 'end')
  })

  for (const code of ['not_allowed', 'unsupported', 'ceremony_failed'] as const) {
    test(`that failed with ${code} is not offered again`, () => {
      const attempts = over()
      attempts.granted()
      attempts.failed(code)
      assert.equal(next(attempts), code)
    })
  }

  test('that was refused is the last one', () => {
    const attempts = over()
    attempts.granted()
    attempts.tapped(NO, 'key')
    attempts.granted()
    assert.equal(next(attempts), 'server_refused')
  })
})
