/** The other half of the mutated proofs and requests, in a process of its own (docs/fuzzing.md). */
import { test } from 'node:test'
import { fuzzSeed } from '../support/fuzz-area.ts'
import { checkConnections } from '../support/fuzz-connections.ts'

test('of 50,000 more mutated proofs and requests none is admitted, none is an error, and none that is denied writes anything', async () => {
  await checkConnections({ seed: fuzzSeed() + 1, runs: 50_000 })
})
