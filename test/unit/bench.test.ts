import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { median, percentile, spread } from '../../bench/measure.ts'
import { jsonOf, type Run, tableOf } from '../../bench/report.ts'

const floor = { es256VerifyMicros: 70, ed25519VerifyMicros: 110, ed25519SignMicros: 40, proof: 200, resume: 250 }

function run(change: Partial<Run> = {}): Run {
  const process = (cpuMicros: number) => ({ cpuMicros, perSecond: 1000, p50Ms: 10, p99Ms: 20 })
  return {
    machine: { cpus: 2, model: 'a processor', node: 'v20' },
    load: { connections: 300, concurrency: 8, rounds: 3 },
    floors: [floor, { ...floor, proof: 400, resume: 500 }, floor],
    rows: [
      { subject: 'verifier process', kind: 'proof', xkey: true, figures: [800, 1600, 1000].map(process) },
      { subject: 'verifier process', kind: 'resume', xkey: true, figures: [400, 800, 500].map(process) },
    ],
    ...change,
  }
}

describe('figures of the bench', () => {
  test('the median of an even number of figures is between the two in the middle', () => {
    assert.equal(median([4, 1, 3, 2]), 2.5)
    assert.equal(median([9, 1, 5]), 5)
  })

  test('no figures have no median and no percentile', () => {
    assert.ok(Number.isNaN(median([])))
    assert.ok(Number.isNaN(percentile([], 0.5)))
  })

  test('the last percentile is the greatest figure', () => {
    assert.equal(percentile([3, 1, 2], 1), 3)
    assert.equal(percentile([3, 1, 2], 0), 1)
  })

  test('the spread is a part of the median', () => {
    assert.equal(spread([90, 100, 120]), 0.3)
  })
})

describe('report of the bench', () => {
  const read = (of: Run) =>
    JSON.parse(jsonOf(of)) as { rows: { what: string; floorRatio: number }[]; comparisons: { what: string; ratio: number }[] }

  test('a row is compared with the floor of its own round', () => {
    const row = read(run()).rows.find(({ what }) => what.startsWith('verifier process, proof'))
    assert.equal(row?.floorRatio, 4)
  })

  test('rows are compared with each other within a round', () => {
    const comparison = read(run()).comparisons.find(({ what }) => what.startsWith('process: resume / proof'))
    assert.equal(comparison?.ratio, 0.5)
  })

  test('what was not timed is not compared', () => {
    assert.deepEqual(
      read(run()).comparisons.map(({ what }) => what),
      ['process: resume / proof, xkey on'],
    )
    assert.deepEqual(read(run({ rows: [] })).comparisons, [])
  })

  test('the table has every row and comparison', () => {
    const table = tableOf(run())
    for (const { what } of [...read(run()).rows, ...read(run()).comparisons]) assert.ok(table.includes(what), what)
  })
})
