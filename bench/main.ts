/**
 * npm run bench [-- OPTIONS]: what a connection costs, as ratios to the crypto floor of the same run and to other responders;
 * what many credentials, storms and floods do to it (docs/bench.md). Tables to stdout, progress to stderr.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { fileURLToPath } from 'node:url'
import { findNatsServer } from '../scripts/nats-server.ts'
import { chooseCrypto } from '../src/crypto.ts'
import { chartOf } from './chart.ts'
import { endEverything, endOnInterrupt, keepFilesTogether } from './cleanup.ts'
import { benchFlood } from './flood.ts'
import { readOptions } from './options.ts'
import { writePage } from './page.ts'
import { benchPopulations } from './populations.ts'
import { jsonOf, tableOf } from './report.ts'
import type { Machine, Run } from './result.ts'
import { benchConnections } from './rounds.ts'
import { benchStorms } from './storms.ts'

const GiB = 2 ** 30
const options = readOptions(process.argv.slice(2))
const begun = performance.now()
const progress = (text: string) => void process.stderr.write(`${((performance.now() - begun) / 1000).toFixed(0).padStart(4)} s  ${text}\n`)

// Each server and verifier listens for the end of the bench.
process.setMaxListeners(0)
if (options.chart === null) await bench()
else draw(options.chart)

async function bench(): Promise<void> {
  keepFilesTogether()
  endOnInterrupt()
  const { rounds, connections, concurrency, only } = options
  const run: Run = {
    machine: machine(),
    seconds: 0,
    load: { connections: connections * rounds, concurrency, rounds },
    floors: [],
    rows: [],
    storms: [],
    populations: [],
    flood: [],
  }
  try {
    if (only.includes('connections')) Object.assign(run, await benchConnections(options, progress))
    // What is measured later has the machine to itself.
    await endEverything()
    if (only.includes('flood')) run.flood = await benchFlood(options.flood, progress)
    if (only.includes('storms')) run.storms = await benchStorms(options.storms, progress)
    if (only.includes('populations')) run.populations = await benchPopulations(options.populations, progress)
  } finally {
    await endEverything()
  }
  run.seconds = Math.round((performance.now() - begun) / 1000)
  process.stdout.write(options.json ? jsonOf(run) : tableOf(run))
}

/** Writes the chart and the tables of docs/bench.md from a result that `--json` printed. */
function draw(file: string): void {
  const run = JSON.parse(readFileSync(file, 'utf8')) as Run
  writeFileSync(fileURLToPath(new URL('../docs/images/bench.svg', import.meta.url)), chartOf(run))
  writePage(run)
}

function machine(): Machine {
  const server = execFileSync(findNatsServer(), ['--version'], { encoding: 'utf8' }).trim()
  return {
    cpus: cpus().length,
    model: cpus()[0]?.model ?? '',
    memoryGiB: Math.round(totalmem() / GiB),
    os: `${type()} ${release()}`,
    node: process.version,
    natsServer: server.replace(/^nats-server: v/, ''),
    crypto: chooseCrypto(process.env['NATS_WEBAUTHN_CRYPTO']).name,
  }
}
