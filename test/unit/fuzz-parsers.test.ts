/** Parsers, HTTP routes and the differential against SimpleWebAuthn under mutation, and every input that once broke one (docs/fuzzing.md). */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { fuzzSeed, runArea } from '../support/fuzz-area.ts'
import { differentialArea } from '../support/fuzz-differential.ts'
import { httpArea } from '../support/fuzz-http.ts'
import { fuzzTargets, parsersArea } from '../support/fuzz-parsers.ts'

const seed = fuzzSeed()

test('mutated HTTP requests are never a failure of ours, and begin no login, device or session', async () => {
  const area = httpArea()
  try {
    const { outcomes } = await runArea(area, { seed, runs: 1_500 })
    for (const expected of ['400', '409', '200']) assert.ok((outcomes[expected] ?? 0) > 0, `seed ${seed}: no ${expected}`)
  } finally {
    await area.close()
  }
})

test('of mutated assertions none is accepted that SimpleWebAuthn refuses', async () => {
  const { outcomes } = await runArea(differentialArea(), { seed, runs: 5_000 })
  assert.ok(Object.keys(outcomes).length > 8, `seed ${seed}: ${JSON.stringify(outcomes)}`)
})

test('mutated inputs break no promise of any parser', async () => {
  const { outcomes } = await runArea(await parsersArea(), { seed, runs: 6_000 })
  assert.deepEqual(Object.keys(outcomes).sort(), (await fuzzTargets()).map(({ name }) => name).sort())
})

describe('inputs that once broke a promise', async () => {
  const Vectors = z.strictObject({
    description: z.string(),
    cases: z.array(
      z.strictObject({ name: z.string().regex(/^issue-/), description: z.string().min(5), target: z.string(), input: z.string() }),
    ),
  })
  const { cases } = Vectors.parse(JSON.parse(readFileSync(new URL('../vectors/fuzz.json', import.meta.url), 'utf8')))
  const targets = await fuzzTargets()
  for (const { name, target: of, input } of cases) {
    test(name, async () => {
      const target = targets.find((one) => one.name === of)
      assert.ok(target !== undefined, of)
      await target.seeds()
      await target.run(new Uint8Array(Buffer.from(input, 'base64')))
    })
  }
})

describe('by the coverage that V8 counts, the fuzzer', () => {
  const script = fileURLToPath(new URL('../../scripts/fuzz-coverage.ts', import.meta.url))
  // V8 has one set of counters: not where this run's own coverage is measured.
  const { NODE_V8_COVERAGE: _, ...env } = process.env
  const run = (...args: string[]) => spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { env, encoding: 'utf8' })

  test('counts what an input costs: twice the input, at most two and a half times the work', () => {
    const counter = fileURLToPath(new URL('../fuzz/operations.ts', import.meta.url))
    const { stdout } = spawnSync(process.execPath, ['--import', 'tsx', counter], { env, encoding: 'utf8' })
    for (const [family, counts] of Object.entries(JSON.parse(stdout) as Record<string, number[]>)) {
      for (const [i, count] of counts.entries()) assert.ok(i === 0 || count <= 2.5 * (counts[i - 1] ?? 0), `${family}: ${counts}`)
    }
  })

  test('reaches more of a parser than its seeds do, and keeps what got there', () => {
    const { status, stdout } = run('--json', '--seed', '1', '--runs', '3000', 'cbor-map')
    const report = JSON.parse(stdout) as { executions: number; blocks: number; corpus: number; found: unknown }
    assert.deepEqual([status, report.found], [0, null])
    assert.ok(report.executions >= 3000 && report.blocks > 100 && report.corpus > 7, stdout)
  })

  test('names its targets to whoever asks for another', () => {
    const { status, stderr } = run('nothing')
    assert.equal(status, 2)
    assert.match(stderr, /\bcbor-map\b.*\bproof\b/)
  })
})
