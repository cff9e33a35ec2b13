import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAttempts } from '../../src/client/attempts.ts'

const second = 1_000
const minute = 60_000

function attempts() {
  let made = 0
  return createAttempts(() => `K${++made}`)
}

/** A watched connection that came up by a proof endorsing K1. */
function connected() {
  const state = attempts()
  state.next(0)
  state.worked()
  state.watch(true)
  return state
}

describe('choosing between proof and resume', () => {
  test('proves first, with a fresh session key', () => {
    assert.deepEqual(attempts().next(0), { kind: 'proof', session: 'K1' })
  })

  test('resumes once a proof worked, as often as resumes work', () => {
    const state = connected()
    for (let i = 0; i < 50; i++) {
      assert.deepEqual(state.next(i), { kind: 'resume', session: 'K1' })
      state.worked()
    }
  })

  test('proves again with another key while proofs do not work', () => {
    const state = attempts()
    state.next(0)
    assert.deepEqual(state.next(second), { kind: 'proof', session: 'K2' })
    state.refused()
    assert.deepEqual(state.next(2 * second), { kind: 'proof', session: 'K3' })
  })

  test('follows a refused resume with a proof that endorses another key: the old one may be revoked', () => {
    const state = connected()
    state.next(0)
    state.refused()
    assert.deepEqual(state.next(0), { kind: 'proof', session: 'K2' })
    state.worked()
    assert.deepEqual(state.next(0), { kind: 'resume', session: 'K2' })
  })

  test('tries the session again when the proof after it was refused too: the verifier may have been away', () => {
    const state = connected()
    state.next(0)
    state.refused()
    state.next(0)
    state.refused()
    assert.deepEqual(state.next(0), { kind: 'resume', session: 'K1' })
    state.refused()
    assert.equal(state.next(0).kind, 'proof')
  })

  test('does not ask the key because the network failed during a resume', () => {
    const state = connected()
    assert.equal(state.next(0).kind, 'resume')
    assert.equal(state.next(second).kind, 'resume')
    assert.equal(state.next(2 * second).kind, 'resume')
  })

  test('takes a resume for refused after three silent failures: the refusal may get lost', () => {
    const state = connected()
    for (let i = 0; i < 3; i++) state.next(i)
    assert.equal(state.next(4).kind, 'proof')
  })

  test('stops resuming after two sessions that were refused at their first use: the role has no session time', () => {
    const state = connected()
    for (const session of ['K2', 'K3']) {
      assert.equal(state.next(0).kind, 'resume')
      state.refused()
      assert.deepEqual(state.next(0), { kind: 'proof', session })
      state.worked()
    }
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(state.next(0), { kind: 'proof', session: null })
      state.worked()
    }
  })

  test('keeps resuming when the sessions that ended had been used', () => {
    const state = connected()
    for (let i = 0; i < 10; i++) {
      state.next(0)
      state.worked()
      state.next(0)
      state.refused()
      assert.equal(state.next(0).kind, 'proof')
      state.worked()
      assert.equal(state.next(0).kind, 'resume')
      state.worked()
    }
  })

  test('does not take network failures for a role without session time', () => {
    const state = connected()
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 3; i++) assert.equal(state.next(0).kind, 'resume')
      assert.equal(state.next(0).kind, 'proof')
      state.worked()
    }
    assert.equal(state.next(0).kind, 'resume')
  })

  test('never makes a session key where none is wanted', () => {
    const state = createAttempts(null)
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(state.next(i), { kind: 'proof', session: null })
      state.worked()
    }
    assert.equal(state.session(), null)
  })

  test('counts failures until something works', () => {
    const state = attempts()
    state.next(0)
    state.next(0)
    assert.equal(state.failures(), 2)
    assert.equal(state.everWorked(), false)
    state.worked()
    assert.equal(state.failures(), 0)
    assert.equal(state.everWorked(), true)
  })

  test('ignores a refusal that comes after the connection was up', () => {
    const state = connected()
    state.refused()
    assert.equal(state.next(0).kind, 'resume')
  })

  test('ignores reports before anything was begun', () => {
    const state = attempts()
    state.worked()
    state.refused()
    assert.equal(state.everWorked(), false)
    assert.equal(state.next(0).kind, 'proof')
  })
})

describe('choosing while nobody reports outcomes', () => {
  test('proves again when asked again soon', () => {
    const state = attempts()
    state.next(0)
    assert.equal(state.next(59 * second).kind, 'proof')
  })

  test('takes a proof for accepted when nothing followed for a minute', () => {
    const state = attempts()
    state.next(0)
    assert.deepEqual(state.next(minute), { kind: 'resume', session: 'K1' })
  })

  test('never follows a resume with another, however late: a slow retry looks the same', () => {
    for (const wait of [second, 10 * minute]) {
      const state = attempts()
      state.next(0)
      assert.equal(state.next(minute).kind, 'resume')
      assert.equal(state.next(minute + wait).kind, 'proof')
    }
  })

  test('stops resuming when sessions are refused at once, again and again', () => {
    const state = attempts()
    let now = 0
    for (let i = 0; i < 2; i++) {
      state.next(now)
      now += 15 * minute
      assert.equal(state.next(now).kind, 'resume')
      now += second
    }
    state.next(now)
    now += 15 * minute
    assert.deepEqual(state.next(now), { kind: 'proof', session: null })
  })

  test('goes on resuming every other time while connections last', () => {
    const state = attempts()
    for (let i = 0; i < 10; i++) assert.equal(state.next(i * 15 * minute).kind, i % 2 === 0 ? 'proof' : 'resume')
  })
})
