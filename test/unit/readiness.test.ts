import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { watchReadiness } from '../../src/readiness.ts'

/** Everything that is already due has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

let clockMs = 0

function watched(passing: Record<string, boolean>, change: (ready: boolean) => Promise<void> = async () => {}) {
  const told: { ready: boolean; failing: string[] }[] = []
  const failures: unknown[] = []
  const readiness = watchReadiness({
    checks: Object.fromEntries(Object.keys(passing).map((name) => [name, () => passing[name] === true])),
    onChange: async (ready, failing) => {
      told.push({ ready, failing })
      await change(ready)
    },
    onFailure: (cause) => failures.push(cause),
    patienceMs: { patient: 1_000 },
    now: () => clockMs,
  })
  return { readiness, told, failures }
}

describe('readiness', () => {
  test('begins with not ready, and is told once when every check passes', async () => {
    const passing = { a: true, b: false }
    const { readiness, told } = watched(passing)
    await settled()
    assert.deepEqual(told, [])
    assert.deepEqual(readiness.failing(), ['b'])
    passing.b = true
    readiness.refresh()
    readiness.refresh()
    await settled()
    assert.deepEqual(told, [{ ready: true, failing: [] }])
    assert.equal(readiness.isReady(), true)
    await readiness.stop()
  })

  test('is lost at once when a check fails, before anybody was told', async () => {
    const passing = { a: true }
    const { readiness, told } = watched(passing)
    await settled()
    passing.a = false
    assert.equal(readiness.isReady(), false)
    readiness.refresh()
    await settled()
    assert.deepEqual(told.at(-1), { ready: false, failing: ['a'] })
    await readiness.stop()
  })

  test('is not lost for a check with patience that fails for a moment, however often', async () => {
    const passing = { a: true, patient: true }
    const { readiness, told } = watched(passing)
    await settled()
    for (let i = 0; i < 5; i++) {
      passing.patient = false
      readiness.refresh()
      clockMs += 999
      readiness.refresh()
      assert.equal(readiness.isReady(), true)
      passing.patient = true
      readiness.refresh()
    }
    await settled()
    assert.equal(told.length, 1)
    await readiness.stop()
  })

  test('is lost for a check with patience that goes on failing', async () => {
    const passing = { a: true, patient: true }
    const { readiness, told } = watched(passing)
    await settled()
    passing.patient = false
    readiness.refresh()
    clockMs += 1_000
    assert.equal(readiness.isReady(), false)
    readiness.refresh()
    await settled()
    assert.deepEqual(told.at(-1), { ready: false, failing: ['patient'] })
    await readiness.stop()
  })

  test('has its patience anew each time it is come to', async () => {
    const passing = { patient: true }
    const { readiness, told } = watched(passing)
    await settled()
    passing.patient = false
    readiness.refresh()
    clockMs += 1_000
    readiness.refresh()
    await settled()
    passing.patient = true
    readiness.refresh()
    await settled()
    passing.patient = false
    readiness.refresh()
    assert.equal(readiness.isReady(), true)
    await settled()
    assert.deepEqual(
      told.map(({ ready }) => ready),
      [true, false, true],
    )
    await readiness.stop()
  })

  test('is not lost when nobody looked for longer than that: a process that was held up looks once more', async () => {
    const passing = { patient: true }
    const { readiness, told } = watched(passing)
    await settled()
    clockMs += 10_000
    passing.patient = false
    readiness.refresh()
    passing.patient = true
    readiness.refresh()
    await settled()
    assert.equal(told.length, 1)
    await readiness.stop()
  })

  test('is not come to while a check with patience fails, not even for a moment', async () => {
    const { readiness, told } = watched({ patient: false })
    readiness.refresh()
    await settled()
    assert.deepEqual(told, [])
    assert.equal(readiness.isReady(), false)
    await readiness.stop()
  })

  test('changes one after the other, and ends where the checks are', async () => {
    const passing = { a: true }
    let release = () => {}
    let first = true
    const { readiness, told } = watched(passing, () => {
      if (!first) return Promise.resolve()
      first = false
      return new Promise((resolve) => {
        release = resolve
      })
    })
    passing.a = false
    readiness.refresh()
    await settled()
    assert.equal(told.length, 1)
    release()
    await settled()
    readiness.refresh()
    await settled()
    assert.deepEqual(
      told.map(({ ready }) => ready),
      [true, false],
    )
    await readiness.stop()
  })

  test('is tried again when becoming ready fails', async () => {
    let attempts = 0
    const { readiness, failures } = watched({ a: true }, async () => {
      attempts++
      if (attempts === 1) throw new Error('joining the queue group')
    })
    await settled()
    assert.equal(failures.length, 1)
    assert.equal(readiness.isReady(), false)
    readiness.refresh()
    await settled()
    assert.equal(readiness.isReady(), true)
    await readiness.stop()
  })

  test('is over when stopped, whatever the checks say', async () => {
    mock.timers.enable({ apis: ['setInterval'] })
    const passing = { a: true }
    const { readiness, told } = watched(passing)
    await settled()
    await readiness.stop()
    assert.equal(readiness.isReady(), false)
    passing.a = false
    mock.timers.tick(10_000)
    await settled()
    assert.equal(told.length, 1)
    mock.timers.reset()
  })
})
