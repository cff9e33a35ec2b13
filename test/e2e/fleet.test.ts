/** Everybody dropped at once, on both client libraries: `npm run storm` does the same with thousands. */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { Fleet, StormFigures } from '../support/fleet.ts'
import { type StormField, startStormField } from '../support/storm-field.ts'

const clients = 100
const hour = 3_600_000
const secondsLeft = 7

describe('a fleet on nats 2.x and one on @nats-io/transport-node 3.x', () => {
  let field: StormField
  let fleets: Fleet[] = []
  before(async () => {
    field = await startStormField()
    fleets = await Promise.all([field.fleet({ clients, library: 'nats' }), field.fleet({ clients, library: 'transport-node' })])
  })
  after(() => field?.stop())

  /** One cause for both fleets. */
  async function storm(cause: () => unknown, t?: TestContext): Promise<{ figures: StormFigures[]; verdicts: Record<string, number> }> {
    let caused: Promise<unknown> | null = null
    let marked = 0
    // Both have begun to count before anything happens.
    const { promise: all, resolve: allMarked } = withResolvers()
    const once = async () => {
      if (++marked === fleets.length) allMarked()
      await all
      caused ??= Promise.resolve(cause())
      return caused
    }
    const { result: figures, verdicts } = await field.verdictsDuring(() => Promise.all(fleets.map((fleet) => fleet.storm(once))))
    t?.diagnostic(JSON.stringify(verdicts))
    for (const each of figures) {
      t?.diagnostic(JSON.stringify(each))
      assert.equal(each.back, clients)
      assert.equal(each.gaveUp, 0)
    }
    return { figures, verdicts }
  }

  test('comes back from a reload of nats-server, and no key is asked', async (t) => {
    const { figures } = await storm(() => field.reload(), t)
    for (const { proofs } of figures) assert.equal(proofs, 0)
  })

  test('comes back from a restart of nats-server, and no key is asked', async (t) => {
    const { figures } = await storm(() => field.restart(), t)
    for (const { proofs } of figures) assert.equal(proofs, 0)
  })

  test('comes back when all grants end in the same second, and no key is asked', async (t) => {
    const at = await endTogether(field, storm)
    await field.endSessionsAt(new Date(Date.now() + hour))
    const { figures } = await storm(() => at, t)
    for (const { proofs } of figures) assert.equal(proofs, 0)
  })

  test('comes back when all sessions end in the same second: each is proven anew, once', async (t) => {
    const at = await endTogether(field, storm)
    const { figures, verdicts } = await storm(() => at, t)
    assert.equal(verdicts['granted.proof_endorsing'], 2 * clients)
    // A proof that met an error is made again; nobody else is asked twice.
    const errors = Object.entries(verdicts).reduce((sum, [verdict, count]) => sum + (verdict.startsWith('error.') ? count : 0), 0)
    const proofs = figures.reduce((sum, each) => sum + each.proofs, 0)
    assert.ok(proofs >= 2 * clients && proofs <= 2 * clients + errors, `${proofs} proofs, ${errors} errors`)
  })
})

/** A grant ends no later than its session: once all came back to sessions that end together, so do their grants. */
async function endTogether(field: StormField, storm: (cause: () => unknown) => Promise<unknown>): Promise<number> {
  const at = Math.ceil(Date.now() / 1000 + secondsLeft) * 1000
  // First connections that were tried again have left sessions that nobody uses.
  assert.ok((await field.endSessionsAt(new Date(at))) >= 2 * clients)
  await storm(() => field.reload())
  return at
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
