/**
 * Nightly fuzzing (docs/fuzzing.md): `npm run fuzz -- [--runs N] [--seed N] [--from N] [--json] [AREA…]`. `--runs` counts
 * mutated proofs and requests; the other areas run in proportion, and alone as often as said. Exit 1 on the first broken promise.
 */
import { parseArgs } from 'node:util'
import { type AreaReport, FuzzFailure, runArea } from '../test/support/fuzz-area.ts'
import { AREAS } from '../test/support/fuzz-areas.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() >>> 0) },
    from: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
})
const [runs, seed, from] = [values.runs, values.seed, values.from].map(Number)
const unknown = positionals.find((name) => !Object.hasOwn(AREAS, name))
if (
  unknown !== undefined ||
  runs === undefined ||
  seed === undefined ||
  from === undefined ||
  ![runs, seed, from].every(Number.isSafeInteger)
) {
  process.stderr.write(`areas: ${Object.keys(AREAS).join(' ')}; --runs, --seed and --from are whole numbers\n`)
  process.exit(2)
}

function printed({ area, runs, outcomes, seconds, slowest }: AreaReport): string {
  const speed = Math.round(runs / Math.max(seconds, 0.001))
  const counts = Object.entries(outcomes).map(([outcome, count]) => `  ${String(count).padStart(9)}  ${outcome}`)
  return [
    `${area}: ${runs} runs in ${seconds.toFixed(0)} s (${speed}/s), slowest ${slowest.ms.toFixed(0)} ms (case ${slowest.case})`,
    ...counts,
  ].join('\n')
}

process.stderr.write(`seed ${seed}\n`)
for (const name of positionals.length > 0 ? positionals : Object.keys(AREAS)) {
  const area = await AREAS[name]?.()
  if (area === undefined) continue
  try {
    const share = positionals.length > 0 ? 1 : area.share
    const report = await runArea(area, { seed, runs: Math.ceil(runs * share), from })
    process.stdout.write(`${values.json ? JSON.stringify({ seed, ...report }) : printed(report)}\n`)
  } catch (cause) {
    if (!(cause instanceof FuzzFailure)) throw cause
    process.stderr.write(`${cause.message}\n`)
    process.exitCode = 1
    break
  } finally {
    await area.close()
  }
}
