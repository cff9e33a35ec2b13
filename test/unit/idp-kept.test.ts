import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { kept } from '../../src/idp/kept.ts'
import { ProviderTrouble, troubleOf } from '../../src/idp/provider-fetch.ts'

/** Loads 1, 2, 3 …; `fail` makes the next one fail. */
function counter() {
  const clock = { ms: 1_000_000 }
  const state = { loads: 0, fail: false }
  const numbers = kept(
    async () => {
      state.loads += 1
      if (state.fail) throw new Error('loading failed')
      return state.loads
    },
    { ageMsMax: 1_000, now: () => new Date(clock.ms) },
  )
  return { numbers, clock, state }
}

describe('what is kept of a provider', () => {
  test('is loaded at the first need, and again when it is old', async () => {
    const { numbers, clock, state } = counter()
    assert.equal(state.loads, 0)
    assert.deepEqual(await numbers.get(), { value: 1, loaded: true })
    clock.ms += 999
    assert.deepEqual(await numbers.get(), { value: 1, loaded: false })
    clock.ms += 1
    assert.deepEqual(await numbers.get(), { value: 2, loaded: true })
  })

  test('is as old as the beginning of its loading', async () => {
    const clock = { ms: 0 }
    const slow = kept(
      async () => {
        clock.ms += 600
        return clock.ms
      },
      { ageMsMax: 1_000, now: () => new Date(clock.ms) },
    )
    await slow.get()
    clock.ms += 400
    assert.equal((await slow.get()).loaded, true)
  })

  test('is loaded once for all who ask meanwhile', async () => {
    const { numbers, state } = counter()
    const all = await Promise.all([numbers.get(), numbers.renew(), numbers.get(), numbers.renew()])
    assert.deepEqual(
      all.map((one) => (typeof one === 'number' ? one : one.value)),
      [1, 1, 1, 1],
    )
    assert.equal(state.loads, 1)
  })

  test('is not what failed: the next who asks tries again', async () => {
    const { numbers, state } = counter()
    state.fail = true
    await assert.rejects(numbers.get())
    state.fail = false
    assert.deepEqual(await numbers.get(), { value: 2, loaded: true })
  })

  test('is not used beyond its age because a renewal failed', async () => {
    const { numbers, clock, state } = counter()
    await numbers.get()
    state.fail = true
    clock.ms += 1_000
    await assert.rejects(numbers.get())
  })

  test('is loaded again when the clock was set back', async () => {
    const { numbers, clock } = counter()
    await numbers.get()
    clock.ms -= 1
    assert.equal((await numbers.get()).loaded, true)
  })
})

describe('what the log is told of a failure', () => {
  test('is codes and words of our own, from wherever they are in the chain of causes', () => {
    const socket = Object.assign(new Error('connect to secret.example'), { code: 'ECONNREFUSED' })
    assert.equal(troubleOf(new Error('outer', { cause: new Error('middle', { cause: socket }) })), 'ECONNREFUSED')
    assert.equal(troubleOf(new Error('outer', { cause: new Response('secret', { status: 502 }) })), 'status 502')
    assert.equal(troubleOf(new ProviderTrouble('its metadata names another issuer')), 'its metadata names another issuer')
  })

  test('is never a message, a code or a body of somebody else', () => {
    for (const error of [
      new Error('token=secret'),
      Object.assign(new Error('x'), { code: 'secret value' }),
      Object.assign(new Error('x'), { cause: { body: { access_token: 'secret' } } }),
      { message: 'secret' },
      'secret',
      null,
    ])
      assert.ok(!troubleOf(error).includes('secret'))
  })

  test('has an end where causes lead in a circle', () => {
    const one = new Error('one')
    one.cause = one
    assert.equal(troubleOf(one), 'Error')
  })
})
