/** Filling a cache is in nobody's way. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type CacheFillOptions, fillFrom } from '../../src/nats/cache-fill.ts'
import { LeaderReads } from '../../src/nats/leader-reads.ts'
import { until } from '../support/links.ts'
import { scriptedLeader } from '../support/scripted-leader.ts'

const readsMax = 2
const many = 300

function filling(changes: Partial<CacheFillOptions> = {}) {
  const leader = scriptedLeader({ newest: many })
  for (let n = 1; n <= many; n++) leader.has.set(n, { key: `m-${n}`, state: 'active' })
  const told: number[] = []
  const ended: string[] = []
  const begin = () =>
    fillFrom({
      bucket: leader.bucket,
      keys: '*',
      keysMax: 1_000,
      giveWay: async () => {},
      onEntry: ({ revision }) => told.push(revision),
      onFilled: () => ended.push('filled'),
      onTooLarge: () => ended.push('too large'),
      onTrouble: () => ended.push('trouble'),
      ...changes,
    })
  return { leader, told, ended, begin }
}

describe('a fill', () => {
  test('has never more than two records on their way, and tells each once', async () => {
    const { leader, told, ended, begin } = filling()
    const fill = begin()
    await fill.settled()
    assert.deepEqual([fill.isOver(), ended], [true, ['filled']])
    assert.deepEqual(
      told.sort((a, b) => a - b),
      Array.from({ length: many }, (_, i) => i + 1),
    )
    assert.deepEqual(leader.underWay, { now: 0, most: readsMax })
  })

  test('asks before each record whether it is in the way, and for nothing while it is', async () => {
    let released = () => {}
    let asked = 0
    let held = new Promise<void>((resolve) => {
      released = resolve
    })
    const { leader, told, begin } = filling({
      giveWay: () => {
        asked++
        return held
      },
    })
    const fill = begin()
    await until('all its lanes wait', () => asked === readsMax)
    assert.deepEqual([leader.asked, told], [[], []])
    const resume = released
    held = new Promise(() => {})
    resume()
    await until('they wait again', () => asked === 2 * readsMax)
    assert.equal(leader.asked.length, readsMax)
    fill.stop()
  })

  test('that is stopped asks and tells nothing more, and was not filled', async () => {
    let stop = () => {}
    const { leader, told, ended, begin } = filling({ onEntry: () => stop() })
    const fill = begin()
    stop = fill.stop
    await fill.settled()
    await until('what was on its way is there', () => leader.underWay.now === 0)
    assert.deepEqual([leader.asked.length, told, ended], [readsMax, [], []])
  })

  test('of a bucket that does not fit asks for no record', async () => {
    const { leader, ended, begin } = filling({ keysMax: 1 })
    await begin().settled()
    assert.deepEqual([leader.asked, ended], [[], ['too large']])
  })

  test('passes over keys that are no records', async () => {
    const { leader, told, begin } = filling()
    leader.has.set(7, { key: 'subject.x', state: 'active' })
    await begin().settled()
    assert.deepEqual([told.length, told.includes(7)], [many - 1, false])
  })
})

describe('reads of the leader', () => {
  test('are quiet once none is under way, and for who is patient soon enough', async () => {
    const reads = new LeaderReads<number>('b', 60_000)
    await reads.quiet()
    const ends: ((value: number) => void)[] = []
    for (const key of ['a', 'b']) void reads.begin(key, new Promise((resolve) => ends.push(resolve)))
    let isQuiet = false
    const quiet = reads.quiet().then(() => {
      isQuiet = true
    })
    ends[0]?.(1)
    await until('one has ended', () => reads.of('a') === null)
    assert.equal(isQuiet, false)
    ends[1]?.(2)
    await quiet

    const busy = new LeaderReads<number>('b', 1)
    void busy.begin('a', new Promise(() => {}))
    await busy.quiet()
    assert.notEqual(busy.of('a'), null)
  })
})
