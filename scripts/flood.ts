/**
 * npm run flood -- [--good 20] [--factor 10] [--seconds 20] [--denied 30000] [--no-xkey] [--json]
 *
 * Good clients by themselves, then beside a flood of bad ones from other addresses, then the flood alone as fast as it goes:
 * who was refused, how long the good ones waited, whether every refusal is counted, what became of the verifier's memory
 * (docs/overload.md). Ends with 1 when a good client was refused, waited more than twice as long at the 99th percentile, a
 * count is off, or memory grew.
 */
import { parseArgs } from 'node:util'
import { type FloodField, startFloodField } from '../test/support/flood.ts'
import { until } from '../test/support/links.ts'

const { values } = parseArgs({
  options: {
    // Good clients a second, and how many bad ones there are to each.
    good: { type: 'string', default: '20' },
    factor: { type: 'string', default: '10' },
    // Of quiet, and of flood.
    seconds: { type: 'string', default: '20' },
    // Connections of the flood alone; 0 leaves it out.
    denied: { type: 'string', default: '30000' },
    xkey: { type: 'boolean', default: true },
    json: { type: 'boolean', default: false },
  },
  allowNegative: true,
})
const goodPerSecond = Number(values.good)
const seconds = Number(values.seconds)
const factor = Number(values.factor)
const denied = Number(values.denied)
const ratioMax = 2
/** Of memory, in the last third beyond the most of the others: what garbage collection leaves to chance. */
const growthMax = 1.1
const MiB = 1024 ** 2
const progress = (text: string) => void process.stderr.write(`${text}\n`)
const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0)
const percentile = (sorted: number[], share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
const rounded = (value: number) => Math.round(value * 100) / 100

/** Good clients, with and without the flood beside them. */
async function beside(field: FloodField) {
  const rate = { perSecond: goodPerSecond, count: goodPerSecond * seconds }
  await field.good({ ...rate, count: goodPerSecond * 5 })
  progress(`quiet: ${rate.perSecond} good connections a second for ${seconds} s`)
  const quiet = await field.good(rate)
  const flood = { perSecond: rate.perSecond * factor, count: rate.count * factor }
  progress(`flood: ${flood.perSecond} bad ones a second beside them`)
  const [flooded, bad] = await Promise.all([field.good(rate), field.flood({ kind: 'rate', ...flood })])
  const [quietP99Ms, floodedP99Ms] = [percentile(quiet.latenciesMs, 0.99), percentile(flooded.latenciesMs, 0.99)]
  return {
    good: { granted: quiet.granted + flooded.granted, refused: quiet.refused + flooded.refused },
    bad,
    quietP50Ms: rounded(percentile(quiet.latenciesMs, 0.5)),
    quietP99Ms: rounded(quietP99Ms),
    floodedP50Ms: rounded(percentile(flooded.latenciesMs, 0.5)),
    floodedP99Ms: rounded(floodedP99Ms),
    ratio: rounded(floodedP99Ms / quietP99Ms),
  }
}

/**
 * The flood alone, as fast as it goes: a third to warm up, then the most memory that each of three thirds saw, as the
 * garbage collector lets it rise and fall.
 */
async function alone(field: FloodField) {
  if (denied === 0) return null
  const highMiB: number[] = []
  const load = () => field.flood({ kind: 'concurrency', concurrency: 64, count: Math.ceil(denied / 3) })
  progress('flood alone: warming up')
  let { refused } = await load()
  for (const third of [1, 2, 3]) {
    progress(`flood alone: ${third} of 3`)
    let high = 0
    const watch = setInterval(() => {
      high = Math.max(high, field.residentBytes() / MiB)
    }, 50)
    refused += (await load()).refused
    clearInterval(watch)
    highMiB.push(Math.round(high))
  }
  return { refused, highMiB }
}

const field = await startFloodField({ xkey: values.xkey })
try {
  const startedMiB = Math.round(field.residentBytes() / MiB)
  const clients = await beside(field)
  const memory = await alone(field)
  const denials = await field.denials()
  const shed = await field.metric('nats_webauthn_requests_shed_total')
  await until('the trail has every refusal', async () => sum(await field.recordedDenials()) >= sum(denials))
  const recorded = await field.recordedDenials()
  const refused = clients.bad.refused + (memory?.refused ?? 0)
  const [first = 0, second = 0, last = 0] = memory?.highMiB ?? []
  const verdicts = {
    goodRefused: clients.good.refused === 0,
    p99: clients.ratio <= ratioMax,
    counts:
      JSON.stringify(Object.entries(denials).sort()) === JSON.stringify(Object.entries(recorded).sort()) && sum(denials) + shed === refused,
    memory: last <= Math.max(first, second) * growthMax,
  }
  const memoryMiB = memory && { start: startedMiB, thirds: memory.highMiB }
  const report = { ...clients, refused, counted: sum(denials), shed, recorded: sum(recorded), denials, memoryMiB, verdicts }
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : tableOf(report))
  process.exitCode = Object.values(verdicts).every(Boolean) ? 0 : 1
} finally {
  await field.stop()
}

function tableOf(report: Record<string, unknown>): string {
  return Object.entries(report)
    .map(([name, value]) => `${name.padEnd(14)} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}\n`)
    .join('')
}
