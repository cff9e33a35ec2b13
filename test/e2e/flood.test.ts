/** Good clients beside a flood of bad ones, small; `scripts/flood.ts` runs the same at any size and prints times and memory. */
import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { FLOOD_KINDS, type FloodField, startFloodField } from '../support/flood.ts'
import { until } from '../support/links.ts'
import { proof } from '../support/proofs.ts'

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0)

describe('a flood of connections that prove nothing', () => {
  let field: FloodField | undefined
  afterEach(async () => {
    await field?.stop()
    field = undefined
  })

  test('leaves good clients their grants, and every refusal is counted, in the metrics and in the trail', async () => {
    const flooded = await startFloodField()
    field = flooded
    const [good, bad] = await Promise.all([
      flooded.good({ perSecond: 20, count: 60 }),
      flooded.flood({ kind: 'rate', perSecond: 200, count: 75 * FLOOD_KINDS.length }),
    ])
    assert.deepEqual([good.granted, good.refused], [60, 0])
    assert.deepEqual(bad, { refused: 75 * FLOOD_KINDS.length, admitted: 0, failed: 0 })

    const counted = await flooded.denials()
    assert.equal(sum(counted) + (await flooded.metric('nats_webauthn_requests_shed_total')), bad.refused)
    // Each of these kinds has its own denial; signatures that fail are limited after a while.
    const { sig_missing, sig_malformed, sig_oversized, credential_unknown, challenge_mismatch, ...signatures } = counted
    assert.deepEqual([sig_missing, sig_malformed, sig_oversized, credential_unknown, challenge_mismatch], [75, 75, 75, 75, 150])
    assert.deepEqual(Object.keys(signatures).sort(), ['credential_limited', 'session_signature_invalid', 'signature_invalid'])
    await until('the trail has every refusal', async () => sum(await flooded.recordedDenials()) >= sum(counted))
    assert.deepEqual(await flooded.recordedDenials(), counted)
  })

  test('of made-up ids lets everybody in who was enrolled a moment ago', async () => {
    const flooded = await startFloodField()
    field = flooded
    const { files } = flooded
    const newcomers = async () => {
      const answers: string[] = []
      for (let i = 0; i < 15; i++) {
        const who = await files.enrolled(`newcomer-${i}`, { roles: ['orders-writer'] })
        const client = await files.raw()
        answers.push(await client.connect(proof(who, { nonce: client.info.nonce, url: files.url })))
        client.close()
      }
      return answers
    }
    const [answers, bad] = await Promise.all([
      newcomers(),
      flooded.flood({ kind: 'concurrency', concurrency: 64, count: 600 }, { kinds: ['unknown'] }),
    ])
    assert.deepEqual(answers, Array(15).fill('PONG'))
    assert.deepEqual(bad, { refused: 600, admitted: 0, failed: 0 })
    assert.deepEqual(await flooded.denials(), { credential_unknown: 600 })
  })

  test('finds the verifier with no place left, and crowds out nobody: another source has all its requests answered', async () => {
    const full = await startFloodField({ callout: ['in_flight_max: 4', 'queue_max: 36'] })
    field = full
    const [good, bad] = await full.heldUp(200, () =>
      Promise.all([
        full.good({ perSecond: 1_000, count: 10 }),
        full.flood({ kind: 'concurrency', concurrency: 200, count: 200 }, { kinds: ['silent'], sources: full.sources.slice(0, 3) }),
      ]),
    )
    assert.deepEqual([good.granted, good.refused], [10, 0])
    assert.deepEqual(bad, { refused: 200, admitted: 0, failed: 0 })
    const counted = await full.denials()
    assert.deepEqual(Object.keys(counted).sort(), ['overloaded', 'sig_missing'])
    assert.equal(sum(counted) + (await full.metric('nats_webauthn_requests_shed_total')), 200)
    assert.ok((counted['overloaded'] ?? 0) >= 100, JSON.stringify(counted))
    await until('the trail has every refusal', async () => sum(await full.recordedDenials()) >= sum(counted))
    assert.deepEqual(await full.recordedDenials(), counted)
  })
})
