/** Which blocks of the product ran since the last look, by V8's own precise coverage. Nothing is instrumented. */
import { type Profiler, Session } from 'node:inspector'

// The product, and the decoders that it hands bytes of strangers to.
const COVERED = /\/src\/|\/node_modules\/(?:yaml|@simplewebauthn|@levischuck)\//

export interface BlockCoverage {
  /** How many blocks ran since the last look that are not kept; with `keep` they are, from now on. */
  takeNew(options: { keep: boolean }): number
  /** Blocks that are kept. */
  readonly kept: number
  stop(): void
}

/** One per thread: V8 has one set of counters. */
export function startBlockCoverage(): BlockCoverage {
  const session = new Session()
  session.connect()
  let kept = 0
  // By function. V8 leaves out a block that ran as often as what is around it, so where blocks begin is learned over time.
  const blocks = new Map<string, Map<number, boolean>>()

  function take(): Profiler.ScriptCoverage[] {
    let result: Profiler.ScriptCoverage[] = []
    session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error !== null) throw error
      result = taken.result
    })
    return result
  }

  function newIn(id: string, { ranges }: Profiler.FunctionCoverage, keep: boolean): number {
    const known = blocks.get(id) ?? new Map<number, boolean>()
    blocks.set(id, known)
    for (const { startOffset, endOffset } of ranges) {
      for (const at of [startOffset, endOffset]) if (!known.has(at)) known.set(at, false)
    }
    let added = 0
    for (const [at, isKept] of known) {
      if (isKept || countAt(ranges, at) === 0) continue
      added++
      if (keep) known.set(at, true)
    }
    return added
  }

  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  take()
  return {
    takeNew({ keep }) {
      let added = 0
      for (const { scriptId, url, functions } of take()) {
        if (!COVERED.test(url)) continue
        for (const covered of functions) added += newIn(`${scriptId}:${covered.ranges[0]?.startOffset}`, covered, keep)
      }
      if (keep) kept += added
      return added
    },
    get kept() {
      return kept
    },
    stop() {
      session.post('Profiler.stopPreciseCoverage')
      session.disconnect()
    },
  }
}

/** Ranges are nested, outer ones first: the last that holds `at` is the innermost. */
function countAt(ranges: readonly Profiler.CoverageRange[], at: number): number {
  let count = 0
  for (const range of ranges) if (range.startOffset <= at && at < range.endOffset) count = range.count
  return count
}
