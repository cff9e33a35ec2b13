import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { watchStreams } from '../../src/stream-watch.ts'

/** Everything that is already due has run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('streams are gone when that is said, or twice nobody answered, and soon there again', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    let looks = 0
    let look = async (): Promise<boolean> => true
    const streams = watchStreams(() => {
      looks++
      return look()
    })
    const after = async (ms: number): Promise<[boolean, number]> => {
      mock.timers.tick(ms)
      await settled()
      return [streams.there(), looks]
    }
    const silence = async () => {
      throw new Error('no answer')
    }
    assert.deepEqual(await after(9_999), [true, 0])
    look = silence
    assert.deepEqual(await after(1), [true, 1])
    look = async () => true
    assert.deepEqual(await after(1_000), [true, 2])
    look = silence
    assert.deepEqual(await after(10_000), [true, 3])
    assert.deepEqual(await after(1_000), [false, 4])
    look = async () => true
    assert.deepEqual(await after(1_000), [true, 5])
    look = async () => false
    assert.deepEqual(await after(10_000), [false, 6])
    look = async () => true
    assert.deepEqual(await after(1_000), [true, 7])
    streams.stop()
    assert.deepEqual(await after(60_000), [true, 7])
  } finally {
    mock.timers.reset()
  }
})
