/** Three verifiers race on one nats-server and on a cluster of three: every race is counted. More of them: scripts/races.ts. */
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { CONNECTION_RACES } from '../support/connection-races.ts'
import { ENROLMENT_RACES } from '../support/enrolment-races.ts'
import { GROUNDS, type RaceField, startRaceField } from '../support/race-field.ts'
import { type RaceCounts, runRaces } from '../support/races.ts'
import { type SocketField, startSocketField } from '../support/socket-field.ts'
import { SOCKET_RACES } from '../support/socket-races.ts'

const races = 120
const socketRaces = 50

function judge(t: TestContext, counts: RaceCounts): void {
  t.diagnostic(JSON.stringify({ races: counts.races, violations: counts.violations, outcomes: counts.outcomes }))
  assert.deepEqual(counts.examples, [])
  assert.equal(counts.violations, 0)
}

for (const ground of GROUNDS) {
  describe(`races between verifiers on ${ground === 'server' ? 'one nats-server' : 'a cluster of three'}`, () => {
    let field: RaceField
    let sockets: SocketField | undefined
    before(async () => {
      field = await startRaceField(ground)
      sockets = await startSocketField(field)
    })
    after(async () => {
      await sockets?.stop()
      await field.stop()
    })

    test('every bucket and stream has as many copies as it should, and is read from its leader alone', async () => {
      const { nats } = field.rivals[0]?.link ?? assert.fail()
      for (const bucket of ['guard', 'sessions', 'credentials', 'tickets', 'identities', 'revoked_nkeys']) {
        const answer = await nats.request(`$JS.API.STREAM.INFO.KV_webauthn_${bucket}`)
        const { config } = answer.json<{ config: Record<string, unknown> }>()
        assert.deepEqual(
          [config['num_replicas'], config['allow_direct'] ?? false, config['mirror_direct'] ?? false],
          [field.replicas, false, false],
          bucket,
        )
      }
    })

    for (const kind of [...CONNECTION_RACES, ...ENROLMENT_RACES]) {
      test(kind.promise, async (t) => judge(t, await runRaces(kind, field, races)))
    }
    for (const kind of SOCKET_RACES) {
      test(`${kind.promise} (through sockets)`, async (t) => judge(t, await runRaces(kind, sockets ?? assert.fail(), socketRaces)))
    }
  })
}
