import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { aimsOf, populationRatio } from '../../bench/aims.ts'
import { chartOf } from '../../bench/chart.ts'
import { median, percentile, spread } from '../../bench/measure.ts'
import { PARTS, readOptions } from '../../bench/options.ts'
import { PAGE, pageWith } from '../../bench/page.ts'
import { jsonOf, tableOf } from '../../bench/report.ts'
import type { Measured, Run } from '../../bench/result.ts'

const openssl = { es256VerifyMicros: 70, ed25519VerifyMicros: 110, ed25519SignMicros: 40, proof: 200, endorsing: 250, resume: 250 }
const libsodium = { es256VerifyMicros: 70, ed25519VerifyMicros: 50, ed25519SignMicros: 20, proof: 100, endorsing: 150, resume: 125 }
const floor = { openssl, libsodium }

const figures = (cpuMicros: number, perSecond = 1000) => ({ cpuMicros, perSecond, p50Ms: 10, p99Ms: 20, refused: 0 })
const row = (changes: Partial<Measured>): Measured => ({
  subject: 'verifier process',
  kind: 'proof',
  xkey: true,
  audit: true,
  figures: [800, 1600, 1000].map((micros) => figures(micros)),
  ...changes,
})

function run(changes: Partial<Run> = {}): Run {
  return {
    machine: { cpus: 2, model: 'a <processor>', memoryGiB: 8, os: 'Linux 6', node: 'v20', natsServer: '2.15.1', crypto: 'node' },
    seconds: 600,
    load: { connections: 300, concurrency: 8, rounds: 3 },
    floors: [floor, { ...floor, openssl: { ...openssl, proof: 400, endorsing: 450, resume: 500 } }, floor],
    rows: [row({}), row({ kind: 'resume', figures: [400, 800, 500].map((micros) => figures(micros)) })],
    storms: [],
    populations: [],
    flood: [],
    ...changes,
  }
}

const storm = (changes: Partial<Run['storms'][number]>): Run['storms'][number] => ({
  what: 'restart',
  responder: 'verifier',
  clients: 10,
  up: 10,
  back: 10,
  attempts: 10,
  reconnects: 10,
  refusals: 0,
  unanswered: 0,
  proofs: 0,
  gaveUp: 0,
  allBackMs: 1000,
  outsideMs: { median: 500, p99: 900, longest: 1000 },
  refusedAfterMs: 0,
  ...changes,
})

const population = (credentials: number, again: number[]): Run['populations'][number] => ({
  credentials,
  sessions: 0,
  readySeconds: 1,
  settledSeconds: 2,
  residentMiB: 100,
  residentMiBAfter: 120,
  figures: { first: again.map((micros) => figures(2 * micros)), again: again.map((micros) => figures(micros)), resume: [] },
})

const full = () =>
  run({
    rows: [
      row({}),
      row({ kind: 'resume' }),
      row({ audit: false }),
      row({ subject: 'stock responder', audit: false, figures: [10, 20, 10].map((perSecond) => figures(100_000, perSecond)) }),
      row({ subject: 'signing responder', audit: false }),
      row({ subject: 'decide in process', audit: false, figures: [{ cpuMicros: 300 }, { cpuMicros: 600 }, { cpuMicros: 300 }] }),
    ],
    storms: [storm({}), storm({ responder: 'signing responder', allBackMs: 500 })],
    populations: [population(1_000, [500, 600]), population(1_000_000, [550, 600])],
    flood: [
      {
        quiet: { granted: 10, refused: 0, p50Ms: 2, p99Ms: 5 },
        flooded: { granted: 9, refused: 1, p50Ms: 3, p99Ms: 15 },
        bad: { connections: 100, admitted: 0 },
        residentMiB: 150,
      },
    ],
  })

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

interface Result {
  table: { what: string; floorRatio: number; cpuMicros: number }[]
  comparisons: { what: string; ratio: number }[]
  aims: { what: string; found: number; met: boolean }[]
}
const read = (of: Run) => JSON.parse(jsonOf(of)) as Run & Result

describe('report of the bench', () => {
  test('a row is compared with the floor of its own round', () => {
    const found = read(run()).table.find(({ what }) => what.startsWith('verifier process, proof'))
    assert.equal(found?.floorRatio, 4)
  })

  test('the floor that ratios refer to is OpenSSL, and libsodium stands beside it', () => {
    const { table } = read(run())
    assert.equal(table.find(({ what }) => what === 'crypto floor, proof')?.floorRatio, 1)
    assert.equal(table.find(({ what }) => what === 'crypto with libsodium, proof')?.floorRatio, 0.5)
  })

  test('without libsodium there is no row of it', () => {
    const { table } = read(run({ floors: [floor, { ...floor, libsodium: null }, floor] }))
    assert.ok(table.every(({ what }) => !what.includes('libsodium')))
  })

  test('rows are compared with each other within a round', () => {
    const comparison = read(run()).comparisons.find(({ what }) => what.startsWith('process: resume / proof'))
    assert.equal(comparison?.ratio, 0.5)
  })

  test('the stock responder is compared by connections a second, round by round', () => {
    const comparison = read(full()).comparisons.find(({ what }) => what.startsWith('conn/s'))
    assert.equal(comparison?.ratio, 100)
  })

  test('what was not timed is not compared, and has no aim', () => {
    assert.deepEqual(
      read(run()).comparisons.map(({ what }) => what),
      ['process: resume / proof, xkey on'],
    )
    const none = read(run({ rows: [], floors: [] }))
    assert.deepEqual([none.comparisons, none.aims], [[], []])
    assert.equal(tableOf(run({ rows: [], floors: [] })).trim(), '')
  })

  test('the table has every row, comparison and aim', () => {
    const table = tableOf(full())
    const { table: rows, comparisons, aims } = read(full())
    for (const { what } of [...rows, ...comparisons, ...aims]) assert.ok(table.includes(what), what)
    for (const line of table.split('\n')) assert.ok(line.length <= 130, line)
  })

  test('the JSON holds what was measured, so that it can be drawn again', () => {
    assert.equal(tableOf(read(full())), tableOf(full()))
    assert.equal(chartOf(read(full())), chartOf(full()))
  })
})

describe('aims of the bench', () => {
  const found = (of: Run, what: string) => aimsOf(of).find((aim) => aim.what.startsWith(what))

  test('are met or missed by the figure they name', () => {
    assert.deepEqual(found(full(), 'restart storm'), {
      what: 'restart storm, times the signing responder',
      aim: '≤ 1.25',
      found: 2,
      met: false,
    })
    assert.equal(found(full(), 'connections a second')?.met, true)
    assert.equal(found(full(), 'p99 of good clients')?.found, 3)
    assert.equal(found(full(), 'proof with audit')?.met, false)
  })

  test('a client that is refused, or does not come back, is counted', () => {
    const bad = run({ storms: [storm({ back: 8 }), storm({ refusals: 3 }), storm({ responder: 'signing responder', back: 0 })] })
    assert.equal(found(bad, 'clients refused or left out')?.found, 5)
  })

  test('the largest population is compared with the smallest, round by round', () => {
    assert.equal(populationRatio(full().populations, 'again'), 1.05)
    assert.equal(populationRatio([population(1_000, [500])], 'again'), null)
  })
})

describe('chart of the bench', () => {
  const chart = chartOf(full())

  test('has a bar for each figure, each within the picture', () => {
    const width = Number(/viewBox="0 0 (\d+) /.exec(chart)?.[1])
    const bars = [...chart.matchAll(/<rect class="(?:floor|own|other)" x="(\d+)" y="\d+" width="(\d+)"/g)]
    assert.equal(bars.length, 6 + 5 + 4 + 2)
    for (const [, x, length] of bars) assert.ok(Number(x) + Number(length) < width)
  })

  test('says what each bar is, and escapes what it says', () => {
    for (const label of ['1,000,000, met again', 'signing responder', 'crypto floor, proof']) assert.ok(chart.includes(label), label)
    assert.doesNotMatch(chart, /NaN|undefined|<processor>/)
  })

  test('leaves out what was not measured', () => {
    assert.doesNotMatch(chartOf(run()), /NaN|Seconds until|by number of credentials/)
  })
})

describe('page of the bench', () => {
  const page = 'before\n<!-- begin: made by npm run bench -- --chart bench/results.json -->\nold\n<!-- end -->\nafter\n'

  test('takes the figures in between its markers, and only there', () => {
    const made = pageWith(page, full())
    assert.ok(made.startsWith('before\n') && made.endsWith('<!-- end -->\nafter\n'))
    assert.ok(made.includes(tableOf(full())) && !made.includes('old'))
    assert.equal(pageWith(made, full()), made)
  })

  test('and the chart are what the kept result makes of them', () => {
    const kept = JSON.parse(readFileSync(new URL('../../bench/results.json', import.meta.url), 'utf8')) as Run
    const committed = readFileSync(PAGE, 'utf8')
    assert.equal(pageWith(committed, kept), committed)
    assert.equal(chartOf(kept), readFileSync(new URL('../../docs/images/bench.svg', import.meta.url), 'utf8'))
  })

  test('is not written without markers', () => {
    assert.throws(() => pageWith('before\nafter\n', full()), /markers/)
  })
})

describe('options of the bench', () => {
  test('run all parts unless some are named', () => {
    assert.deepEqual(readOptions([]).only, PARTS)
    assert.deepEqual(readOptions(['--only', 'flood,storms']).only, ['flood', 'storms'])
  })

  test('share the connections among the rounds', () => {
    assert.equal(readOptions(['--connections', '100', '--rounds', '3']).connections, 34)
  })

  test('a quick run is smaller in every part', () => {
    const [quick, usual] = [readOptions(['--quick']), readOptions([])]
    assert.ok(quick.connections * quick.rounds < usual.connections * usual.rounds)
    assert.ok(quick.storms.restartClients < usual.storms.restartClients)
    assert.ok((quick.populations.sizes.at(-1)?.credentials ?? 0) < (usual.populations.sizes.at(-1)?.credentials ?? 0))
    assert.ok(quick.flood.seconds < usual.flood.seconds)
  })

  test('a tiny run is smaller still, and says so alone', () => {
    const [tiny, quick] = [readOptions(['--tiny', '--quick']), readOptions(['--quick'])]
    assert.deepEqual(tiny, readOptions(['--tiny']))
    assert.ok(tiny.storms.clients < quick.storms.clients)
    assert.ok((tiny.populations.sizes.at(-1)?.credentials ?? 0) < (quick.populations.sizes[0]?.credentials ?? 0))
    assert.ok(tiny.flood.seconds < quick.flood.seconds)
  })

  for (const args of [
    ['--only', 'nothing'],
    ['--only', ''],
    ['--rounds', '0'],
    ['--connections', 'many'],
    ['--concurrency', '1.5'],
    ['--fast'],
  ]) {
    test(`refuse ${args.join(' ')}`, () => {
      assert.throws(() => readOptions(args))
    })
  }
})
