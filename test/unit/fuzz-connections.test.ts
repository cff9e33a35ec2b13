/** Mutated proofs and requests, all through the journey (docs/fuzzing.md). `npm run fuzz` runs the same with more of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzzSeed } from '../support/fuzz-area.ts'
import { checkConnections, genuineOutcomes } from '../support/fuzz-connections.ts'

test('what is bent is admitted before, and who may not connect is denied for that reason alone', async () => {
  for (const { name, expected, plain, sealed } of await genuineOutcomes()) assert.deepEqual([plain, sealed], [expected, expected], name)
})

test('of 50,000 mutated proofs and requests none is admitted, none is an error, and none that is denied writes anything', async () => {
  await checkConnections({ seed: fuzzSeed(), runs: 50_000 })
})
