/** Fuzzes one target in a thread of its own, so that one that hangs can be told from one that works. */
import { readdirSync, readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { parentPort, workerData } from 'node:worker_threads'
import { fuzzTarget, shrunk } from './coverage-loop.ts'
import type { FuzzTarget } from './fuzz-target.ts'

export interface WorkerTask {
  target: string
  seed: number
  /** Whichever comes first. */
  secondsMax: number
  runsMax: number
  /** Folder of inputs that an earlier run kept, or null. */
  corpusDir: string | null
  /** progress.ts says what is where. */
  progress: SharedArrayBuffer
}

export interface WorkerReport {
  target: string
  executions: number
  blocks: number
  seconds: number
  corpus: Uint8Array[]
  slowest: { ms: number; input: Uint8Array }
  found: { input: Uint8Array; cause: string } | null
}

async function work(task: WorkerTask): Promise<WorkerReport> {
  // This one alone: what else is loaded makes asking for coverage slower.
  const loaded: Record<string, FuzzTarget> = await import(`./${task.target}.fuzz.ts`)
  const [target] = Object.values(loaded)
  if (target === undefined) throw new Error(`loading the target ${task.target}`)
  const counters = new Int32Array(task.progress, 0, 2)
  const current = new Uint8Array(task.progress, 8)
  const begun = performance.now()
  const report = await fuzzTarget(target, {
    seed: task.seed,
    goesOn: (executions) => executions < task.runsMax && performance.now() - begun < task.secondsMax * 1000,
    corpus:
      task.corpusDir === null ? [] : readdirSync(task.corpusDir).map((name) => new Uint8Array(readFileSync(`${task.corpusDir}/${name}`))),
    onInput(input) {
      current.set(input.subarray(0, current.length))
      Atomics.store(counters, 1, input.length)
      Atomics.add(counters, 0, 1)
    },
  })
  const seconds = (performance.now() - begun) / 1000
  const { found } = report
  return { ...report, seconds, found: found && { input: await shrunk(target, found.input), cause: inspect(found.cause) } }
}

if (parentPort !== null) parentPort.postMessage(await work(workerData as WorkerTask))
