/**
 * Coverage-guided fuzzing of the parsers (docs/fuzzing.md): `npm run fuzz:coverage -- [--seconds N] [--runs N] [--seed N]
 * [--corpus DIR] [--json] [TARGET…]`. Exit 1 when a target broke a promise or hung.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { progressBytes } from '../test/fuzz/progress.ts'
import type { WorkerReport, WorkerTask } from '../test/fuzz/worker.ts'

// The slowest input that any target is known to have takes a fraction of a second.
const hangMs = 30_000
const lookEveryMs = 1_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    runs: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: String(Date.now() >>> 0) },
    corpus: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})

const folder = new URL('../test/fuzz/', import.meta.url)
const names = readdirSync(folder).flatMap((file) => (file.endsWith('.fuzz.ts') ? [file.slice(0, -'.fuzz.ts'.length)] : []))
const unknown = positionals.find((name) => !names.includes(name))
if (unknown !== undefined) {
  process.stderr.write(`no target ${unknown}; there are: ${names.join(' ')}\n`)
  process.exit(2)
}

// A worker does not inherit the loader of TypeScript.
const workerUrl = new URL('worker.ts', folder).href
const IN_WORKER = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(workerUrl)}) })`

/** The report, or null when the target hung: then its input was printed. */
function runTarget(task: WorkerTask): Promise<WorkerReport | null> {
  const worker = new Worker(IN_WORKER, { eval: true, workerData: task })
  const counters = new Int32Array(task.progress, 0, 2)
  let last = { count: 0, at: performance.now() }
  return new Promise((resolve, reject) => {
    const watch = setInterval(() => {
      const count = Atomics.load(counters, 0)
      if (count !== last.count) last = { count, at: performance.now() }
      if (performance.now() - last.at < hangMs) return
      clearInterval(watch)
      const input = Buffer.from(task.progress, 8, Atomics.load(counters, 1))
      process.stderr.write(`${task.target}: hangs ${count === 0 ? 'before its first input' : `at ${input.toString('base64')}`}\n`)
      void worker.terminate().then(() => resolve(null))
    }, lookEveryMs)
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => clearInterval(watch))
  })
}

function keep(report: WorkerReport, dir: string): void {
  for (const input of report.corpus) writeFileSync(`${dir}/${createHash('sha256').update(input).digest('hex').slice(0, 16)}`, input)
}

function lineOf({ target, executions, blocks, seconds, corpus, slowest, found }: WorkerReport): string {
  const speed = `${executions} executions in ${seconds.toFixed(0)} s`
  const line = `${target.padEnd(22)} ${speed}, ${blocks} blocks, ${corpus.length} inputs kept, slowest ${slowest.ms.toFixed(1)} ms`
  return found === null
    ? line
    : `${line}\n  BROKEN by ${Buffer.from(found.input).toString('base64')}\n  ${found.cause.replaceAll('\n', '\n  ')}`
}

const { seed, corpus } = values
let failures = 0
process.stderr.write(`seed ${seed}\n`)
for (const target of positionals.length > 0 ? positionals : names) {
  const corpusDir = corpus === undefined ? null : `${corpus}/${target}`
  if (corpusDir !== null) mkdirSync(corpusDir, { recursive: true })
  const report = await runTarget({
    target,
    seed: Number(seed),
    secondsMax: Number(values.seconds),
    runsMax: Number(values.runs),
    corpusDir,
    progress: new SharedArrayBuffer(progressBytes),
  })
  if (report === null || report.found !== null) failures++
  if (report === null) continue
  if (corpusDir !== null) keep(report, corpusDir)
  const { corpus: inputs, slowest, found, ...numbers } = report
  const printed = {
    seed: Number(seed),
    ...numbers,
    corpus: inputs.length,
    slowestMs: slowest.ms,
    found: found && { input: Buffer.from(found.input).toString('base64'), cause: found.cause },
  }
  process.stdout.write(`${values.json ? JSON.stringify(printed) : lineOf(report)}\n`)
}
process.exit(failures > 0 ? 1 : 0)
