import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { FairQueue } from '../../src/core/fair-queue.ts'

const never = () => false
const always = () => true

function filled(...items: string[]): FairQueue<string> {
  const queue = new FairQueue<string>()
  for (const item of items) queue.push(item.charAt(0), item)
  return queue
}

function drained(queue: FairQueue<string>): string[] {
  const items: string[] = []
  for (let item = queue.shift(); item !== null; item = queue.shift()) items.push(item)
  return items
}

describe('a fair queue', () => {
  test('takes one of each source in turn, and of a source the first that came', () => {
    assert.deepEqual(drained(filled('a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'c2')), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3', 'a4'])
  })

  test('lets a source that comes now wait for one of each other source, however long their lines are', () => {
    const queue = filled(...Array.from({ length: 1_000 }, (_, i) => `a${i}`), ...Array.from({ length: 1_000 }, (_, i) => `b${i}`))
    queue.push('g', 'good')
    assert.equal([queue.shift(), queue.shift(), queue.shift()].indexOf('good'), 2)
  })

  test('gives nobody a second turn for coming back: an emptied line starts at the end', () => {
    const queue = filled('a1', 'b1', 'b2', 'c1')
    assert.equal(queue.shift(), 'a1')
    queue.push('a', 'a2')
    assert.deepEqual(drained(queue), ['b1', 'c1', 'a2', 'b2'])
  })

  test('drops the newest of the longest line', () => {
    const queue = filled('a1', 'b1', 'b2', 'b3', 'c1', 'c2')
    assert.equal(queue.dropFromLongest(never), 'b3')
    assert.equal(queue.size, 5)
  })

  test('drops the oldest of the longest line first where that is lost anyway', () => {
    const queue = filled('a1', 'b1', 'b2', 'b3')
    assert.equal(
      queue.dropFromLongest((item) => item === 'b1'),
      'b1',
    )
    assert.deepEqual(drained(queue), ['a1', 'b2', 'b3'])
  })

  test('of lines that are equally long, the one that grew last gives', () => {
    assert.equal(filled('a1', 'b1', 'c1').dropFromLongest(never), 'c1')
  })

  test('is empty when it is, and says so', () => {
    const queue = filled('a1')
    assert.equal(queue.dropFromLongest(always), 'a1')
    assert.deepEqual([queue.dropFromLongest(always), queue.shift(), queue.size, queue.sources], [null, null, 0, 0])
    queue.push('b', 'b1')
    assert.deepEqual(drained(queue), ['b1'])
  })

  test('property: it is what a plain list of lists is, after any pushes, turns and drops', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), source: fc.constantFrom(...'abcdefg') }),
      fc.record({ kind: fc.constantFrom('shift' as const, 'drop' as const, 'dropLost' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const queue = new FairQueue<string>()
        // The same, without a thought for what it costs: lines in the order of their turns.
        const lines: string[][] = []
        let made = 0
        for (const one of steps) {
          if (one.kind === 'push') {
            const item = `${one.source}${made++}`
            queue.push(one.source, item)
            const line = lines.find(([first]) => first?.charAt(0) === one.source)
            if (line === undefined) lines.push([item])
            else line.push(item)
          } else if (one.kind === 'shift') {
            const line = lines.shift()
            assert.equal(queue.shift(), line?.shift() ?? null)
            if (line !== undefined && line.length > 0) lines.push(line)
          } else {
            const longest = Math.max(0, ...lines.map(({ length }) => length))
            const dropped = queue.dropFromLongest(one.kind === 'drop' ? never : always)
            const line = lines.find((each) => each.includes(dropped ?? ''))
            assert.equal(line?.length ?? 0, longest)
            assert.equal(dropped, (one.kind === 'drop' ? line?.pop() : line?.shift()) ?? null)
            if (line?.length === 0) lines.splice(lines.indexOf(line), 1)
          }
          assert.deepEqual([queue.size, queue.sources], [lines.flat().length, lines.length])
        }
      }),
      { numRuns: 300 },
    )
  })
})
