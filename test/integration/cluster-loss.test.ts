/** A cluster that loses a node, and gets it back, while verifiers are asked. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { credentialKey } from '../../src/core/identifiers.ts'
import { createSystem } from '../../src/nats/system.ts'
import { linkTo, until } from '../support/links.ts'
import { keepAsking, leaderOf, newRacer } from '../support/node-loss.ts'
import { type RaceField, startRaceField } from '../support/race-field.ts'
import { pairOf } from '../support/races.ts'
import { guardEntry } from '../support/records.ts'

describe('a cluster of three', () => {
  let field: RaceField
  before(async () => {
    field = await startRaceField('cluster', { roam: true })
  })
  after(() => field.stop())

  test('cannot close a connection of a server that does not answer: it may be cut off, clients and all', async () => {
    const link = await linkTo(field.nodes[0] ?? assert.fail(), 'verifierSys')
    assert.equal(await createSystem(link).kick({ serverId: guardEntry().serverId, clientId: 1 }), 'failed')
    await link.drain()
  })

  for (const [signal, how] of [
    ['SIGTERM', 'is restarted'],
    ['SIGKILL', 'dies'],
  ] as const) {
    test(`whose leader of the guard ${how}: nothing is denied, no expiry moves, no claim is left over, and all come back`, async (t) => {
      const racers = await Promise.all([0, 1, 2].map((n) => newRacer(field, `loser-${signal.toLowerCase()}-${n}`)))
      const asking = keepAsking(field, racers)
      await asking.recovered()
      const node = await leaderOf(field, 'guard')
      await field.cluster?.kill(node, signal)
      await asking.recovered()
      await field.cluster?.start(node)
      await asking.recovered()
      await asking.stop()
      t.diagnostic(JSON.stringify(asking.verdicts))
      const verdicts = Object.keys(asking.verdicts).filter((verdict) => !['granted.proof', 'error.store_unavailable'].includes(verdict))
      assert.deepEqual(verdicts, [])

      for (const [n, { connection, fields, exp }] of asking.granted.entries()) {
        if (n % 7 !== 0) continue
        const [rival] = pairOf(field.rivals, n)
        assert.deepEqual(await rival.ask(connection, fields), { verdict: 'granted.reasked', exp })
      }
      for (const { credential } of racers) {
        const there = await field.rivals[0]?.stores.credentials.findOnLeader(credentialKey(credential.id))
        assert.equal(there?.record.state, 'active')
      }
      const counted = ({ stores }: (typeof field.rivals)[number]) =>
        racers.reduce((sum, { credential }) => sum + stores.guard.connectionsOf(credential.handle), 0)
      for (const rival of field.rivals) await until('every entry is of a grant', () => counted(rival) === asking.granted.length)
    })
  }
})
