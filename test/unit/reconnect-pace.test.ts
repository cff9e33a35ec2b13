import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createReconnectPace, createRedial, type Loss } from '../../src/core/reconnect-pace.ts'

const serverId = 'NSERVER'
const at = (clientId: number, id = serverId) => ({ serverId: id, clientId })
const last = () => 0.999_999
const first = () => 0
const minute = 60_000

/** A pace whose connection was up twice on one server, with a grant's end between. */
function paceOfFleet(clients: number, lastedMs = 15 * minute) {
  const pace = createReconnectPace()
  pace.up(at(1_000), 0)
  pace.lost('expired')
  pace.up(at(1_000 + clients), lastedMs)
  return pace
}

describe('the size of a fleet', () => {
  test('is what the server counted while a grant lasted', () => {
    assert.equal(paceOfFleet(1_000).spreadMs(), 2_000)
    assert.equal(paceOfFleet(5).spreadMs(), 10)
  })

  test('is taken for twice what came before the first connection, as long as nothing better is known', () => {
    const pace = createReconnectPace()
    assert.equal(pace.spreadMs(), 0)
    pace.up(at(500), 0)
    assert.equal(pace.spreadMs(), 2_000)
  })

  test('never makes anybody wait longer than twenty seconds, whatever a server says', () => {
    for (const clientId of [1e6, Number.MAX_SAFE_INTEGER]) {
      const pace = createReconnectPace()
      pace.up(at(clientId), 0)
      assert.equal(pace.spreadMs(), 20_000)
    }
  })

  for (const [what, loss, next] of [
    ['a restart', 'broken', at(3, 'NOTHER')],
    ['an expiry after which another server was met', 'expired', at(3, 'NOTHER')],
    ['a loss of another kind', 'broken', at(2_001)],
    ['a server that counts backwards', 'expired', at(7)],
    ['a server that counts nothing', 'expired', null],
  ] as const) {
    test(`is not learned from ${what}`, () => {
      const pace = paceOfFleet(1_000)
      pace.lost(loss)
      pace.up(next, 20 * minute)
      assert.equal(pace.spreadMs(), 2_000)
    })
  }
})

describe('the first dial after a loss', () => {
  const pause = (pace: ReturnType<typeof createReconnectPace>, nowMs: number, random: () => number) =>
    pace.pauseMs({ nowMs, failures: 0, isRedial: false }, random)

  test('of a fleet that lost its server is spread over what the fleet needs, and leaves verifiers a head start', () => {
    const pace = paceOfFleet(5_000)
    pace.lost('broken')
    assert.equal(pause(pace, 20 * minute, first), 2_000)
    assert.equal(Math.round(pause(pace, 20 * minute, last)), 12_000)
  })

  test('after the end of a grant is at once: the verifier has spread those already', () => {
    const pace = paceOfFleet(5_000)
    pace.lost('expired')
    assert.equal(pause(pace, 30 * minute, last), 0)
  })

  test('after the end of a grant too short for that is spread over what the fleet needs', () => {
    const pace = paceOfFleet(5_000, 90_000)
    pace.lost('expired')
    assert.equal(pause(pace, 180_000, first), 0)
    assert.equal(Math.round(pause(pace, 180_000, last)), 10_000)
  })

  test('is at once when the program wants it', () => {
    const pace = paceOfFleet(5_000)
    pace.lost('wanted')
    pace.lost('broken')
    assert.equal(pause(pace, 20 * minute, last), 0)
  })

  test('goes by the first reason: a connection that ends is broken, too', () => {
    const pace = paceOfFleet(10)
    for (const loss of ['expired', 'broken', 'wanted'] satisfies Loss[]) pace.lost(loss)
    assert.equal(pace.loss(), 'expired')
    pace.up(at(2_000), 40 * minute)
    assert.equal(pace.loss(), null)
  })
})

describe('the next dials', () => {
  test('wait longer after each refusal, up to 45 seconds', () => {
    const pace = createReconnectPace()
    const pauses = (random: () => number) =>
      [1, 2, 3, 4, 5, 6, 60].map((failures) => Math.round(pace.pauseMs({ nowMs: 0, failures, isRedial: false }, random)))
    assert.deepEqual(pauses(first), [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000])
    assert.deepEqual(pauses(last), [1_500, 3_000, 6_000, 12_000, 24_000, 45_000, 45_000])
  })

  test('are spread by what the fleet needs, each round of them', () => {
    const pace = paceOfFleet(5_000)
    pace.lost('broken')
    for (const failures of [1, 2]) {
      const pause = pace.pauseMs({ nowMs: 0, failures, isRedial: false }, last)
      assert.equal(Math.round(pause), 10_000 + failures * 500)
    }
  })

  test('to a server that is away come about every second, spread by what the fleet needs', () => {
    const small = createReconnectPace()
    assert.equal(Math.round(small.pauseMs({ nowMs: 0, failures: 0, isRedial: true }, last)), 1_500)
    const large = paceOfFleet(5_000)
    large.lost('broken')
    assert.equal(Math.round(large.pauseMs({ nowMs: 0, failures: 0, isRedial: true }, last)), 10_500)
  })
})

/** What both client libraries do with the delay: from their last dial they wait, and ask again after each wait. */
function library(redial: ReturnType<typeof createRedial>, clock: { nowMs: number }) {
  let dialledAt = 0
  return {
    /** Milliseconds that passed until it dialled. */
    dial(): number {
      const begun = clock.nowMs
      for (;;) {
        const wait = redial.delayMs()
        if (dialledAt === 0 || dialledAt + wait <= clock.nowMs) {
          dialledAt = clock.nowMs
          return clock.nowMs - begun
        }
        clock.nowMs += Math.min(wait, dialledAt + wait - clock.nowMs)
      }
    },
  }
}

describe('telling a client library', () => {
  function start() {
    const clock = { nowMs: 1_000 }
    const pace = createReconnectPace()
    const state = { failures: 0 }
    const redial = createRedial(pace, { failures: () => state.failures, now: () => clock.nowMs, random: last })
    const { dial } = library(redial, clock)
    return { clock, pace, redial, dial, state }
  }

  test('the first dial is at once', () => {
    assert.equal(start().dial(), 0)
  })

  test('a connection that was up for an hour waits as long as one that was up for a second', () => {
    for (const lasted of [1_000, 60 * minute]) {
      const { clock, pace, redial, dial } = start()
      dial()
      redial.answered()
      pace.up(at(500), clock.nowMs)
      clock.nowMs += lasted
      pace.lost('broken')
      assert.ok(Math.abs(dial() - 4_000) <= 1)
    }
  })

  test('a server that is away is dialled again after a pause, each time a new one', () => {
    const { dial } = start()
    dial()
    for (let i = 0; i < 5; i++) assert.ok(Math.abs(dial() - 1_500) <= 1)
  })

  test('a refusal counts, and the pause grows', () => {
    const { redial, dial, state } = start()
    dial()
    const pauses = [1, 2, 3].map((failures) => {
      redial.answered()
      state.failures = failures
      return Math.round(dial() / 100) * 100
    })
    assert.deepEqual(pauses, [1_500, 3_000, 6_000])
  })

  test('a connection of its own dials at once, however the one before it ended', () => {
    const { clock, redial, dial } = start()
    dial()
    redial.begin()
    const wait = redial.delayMs()
    assert.equal(wait, 0)
    // The library of the new connection dials at once, and is refused before any server answers.
    clock.nowMs += 60 * minute
    assert.ok(redial.delayMs() <= 60 * minute + 1_500)
  })
})
