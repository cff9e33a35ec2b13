/**
 * Coverage-guided fuzzing of one target: inputs that reach a block for the first time are kept, and new ones are made of
 * what was kept. The same seed, target and number of runs make the same inputs.
 */
import { mutateBytes } from '../support/byte-mutations.ts'
import { mutateJson } from '../support/json-mutations.ts'
import { type Random, seededRandom } from '../support/random.ts'
import { startBlockCoverage } from './block-coverage.ts'
import { bytesOf, type FuzzTarget } from './fuzz-target.ts'

export interface Found {
  input: Uint8Array
  cause: unknown
}

export interface CoverageReport {
  target: string
  executions: number
  /** Blocks of code that ran, in the product and the decoders it uses. */
  blocks: number
  corpus: Uint8Array[]
  slowest: { ms: number; input: Uint8Array }
  /** The first input that broke a promise. */
  found: Found | null
}

export interface LoopOptions {
  seed: number
  /** Whether to go on, asked after each batch. */
  goesOn(executions: number): boolean
  /** Kept by an earlier run. */
  corpus: readonly Uint8Array[]
  /** Told before each input: if the target hangs, this was it. */
  onInput(input: Uint8Array): void
}

// Asking V8 costs as much as hundreds of runs of a small parser, so it is asked about many inputs at once.
const batchSize = 256
const inputBytesMax = 16 * 1024

export async function fuzzTarget(target: FuzzTarget, { seed, goesOn, corpus: earlier, onInput }: LoopOptions): Promise<CoverageReport> {
  const random = seededRandom(seed)
  const corpus: Uint8Array[] = []
  const slowest = { ms: 0, input: new Uint8Array(0) }
  let executions = 0
  let found: Found | null = null

  async function run(input: Uint8Array): Promise<void> {
    onInput(input)
    executions++
    const before = performance.now()
    try {
      const running = target.run(input)
      if (running !== undefined) await running
    } catch (cause) {
      found ??= { input, cause }
    }
    const ms = performance.now() - before
    if (ms > slowest.ms) Object.assign(slowest, { ms, input })
  }

  /** Runs all of them; if together they reached anything new, each half again, until it is known which to keep. */
  async function runBatch(inputs: readonly Uint8Array[]): Promise<void> {
    for (const input of inputs) await run(input)
    const isAlone = inputs.length === 1
    if (coverage.takeNew({ keep: isAlone }) === 0) return
    if (isAlone) corpus.push(...inputs)
    else for (const half of [inputs.slice(0, inputs.length / 2), inputs.slice(inputs.length / 2)]) await runBatch(half)
  }

  const beginnings = [...(await target.seeds()), ...earlier]
  const coverage = startBlockCoverage()
  try {
    for (const input of beginnings) await runBatch([input])
    while (found === null && goesOn(executions)) {
      await runBatch(Array.from({ length: batchSize }, () => mutated(target, corpus.length > 0 ? corpus : [new Uint8Array(0)], random)))
    }
    return { target: target.name, executions, blocks: coverage.kept, corpus, slowest, found }
  } finally {
    coverage.stop()
  }
}

/** A changed input: what the target's shape allows, pieces of other inputs, words of its dictionary. */
export function mutated({ shape, dictionary }: FuzzTarget, corpus: readonly Uint8Array[], random: Random): Uint8Array {
  // What was kept last reached furthest.
  const recent = random.once(3) ? corpus.slice(-16) : corpus
  const [base, donor] = [random.pick(recent), random.pick(corpus)]
  if (shape === 'json' && !random.once(4)) {
    const value = jsonOf(base)
    if (value !== undefined) return bytesOf(mutateJson(value, random, jsonOf(donor) ?? value)).subarray(0, inputBytesMax)
  }
  const changed = mutateBytes(base, random, { donor, bytesMax: inputBytesMax })
  if (dictionary.length === 0 || !random.once(3)) return changed
  const at = random.below(changed.length + 1)
  const word = Buffer.from(random.pick(dictionary))
  // In the place of as many bytes, or between them.
  const rest = changed.subarray(random.once(2) ? Math.min(changed.length, at + word.length) : at)
  return new Uint8Array(Buffer.concat([changed.subarray(0, at), word, rest])).subarray(0, inputBytesMax)
}

function jsonOf(input: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(input).toString())
  } catch {
    return undefined
  }
}

/** The shortest input that still breaks a promise, found by leaving out pieces. */
export async function shrunk(target: FuzzTarget, input: Uint8Array): Promise<Uint8Array> {
  let smallest = input
  for (let piece = Math.ceil(input.length / 2); piece >= 1; piece = piece === 1 ? 0 : Math.ceil(piece / 2)) {
    for (let at = 0; at < smallest.length; ) {
      const shorter = new Uint8Array(Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + piece)]))
      if (await breaks(target, shorter)) smallest = shorter
      else at += piece
    }
  }
  return smallest
}

async function breaks(target: FuzzTarget, input: Uint8Array): Promise<boolean> {
  try {
    await target.run(input)
    return false
  } catch {
    return true
  }
}
