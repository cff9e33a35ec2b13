/** Verifiers that die, leave and come while clients keep connecting: nobody stays outside, and no admission is without its record. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { after, before, describe, type TestContext, test } from 'node:test'
import { connect } from 'nats'
import { tailTrail } from '../../src/audit/tail.ts'
import { until } from '../support/links.ts'
import { nkeyUser, type ProductFiles, type TestIdentity } from '../support/product.ts'
import { proof } from '../support/proofs.ts'
import { rawClient } from '../support/raw-client.ts'
import { type FieldVerifier, type StormField, startFieldVerifier, startStormField } from '../support/storm-field.ts'

const everyMs = 20

interface Admitted {
  serverId: string
  clientId: number
  /** CONNECTs that were sent until one was accepted. */
  connects: number
}

/** Clients that connect one after the other, each until it is in. */
interface Steady {
  stop(): Promise<Admitted[]>
  /** Dials that found no server. */
  away(): number
  begun(): number
}

function connectSteadily({ nodes }: StormField, who: TestIdentity): Steady {
  let away = 0
  let dials = 0
  const ticks = new EventEmitter().setMaxListeners(0)
  const clients: Promise<Admitted>[] = []
  const dial = async (): Promise<{ answer: string; serverId: string; clientId: number } | null> => {
    try {
      const node = nodes()[dials++ % nodes().length] ?? assert.fail()
      const raw = await rawClient(node.server.port)
      const { nonce, server_id: serverId, client_id: clientId } = raw.info
      const answer = await raw.connect(proof(who, { nonce, url: node.url }))
      raw.close()
      return { answer, serverId, clientId }
    } catch {
      return null
    }
  }
  const untilIn = async (): Promise<Admitted> => {
    for (let connects = 1; ; ) {
      const met = await dial()
      if (met?.answer === 'PONG') return { serverId: met.serverId, clientId: met.clientId, connects }
      if (met === null || met.answer === 'closed') {
        away++
        await once(ticks, 'tick')
      } else connects++
    }
  }
  const ticking = setInterval(() => ticks.emit('tick'), everyMs)
  const begin = () => clients.push(untilIn())
  ticks.on('tick', begin)
  return {
    away: () => away,
    begun: () => clients.length,
    async stop() {
      ticks.off('tick', begin)
      const admitted = await Promise.all(clients)
      clearInterval(ticking)
      return admitted
    },
  }
}

/** How many records say that a connection was granted, by server and client. */
async function grantRecords({ deployment }: ProductFiles): Promise<Map<string, number>> {
  const auditor = await connect(nkeyUser(deployment, 'auditor', '_INBOX_auditor'))
  const records = new Map<string, number>()
  for await (const { body } of tailTrail(auditor, { filter: 'connection.granted.>', since: null, follow: false })) {
    const { count, unmapped } = JSON.parse(body) as { count?: number; unmapped: { nats: { server_id: string; client_id: number } } }
    const key = `${unmapped.nats.server_id}.${unmapped.nats.client_id}`
    records.set(key, (records.get(key) ?? 0) + (count ?? 1))
  }
  await auditor.close()
  return records
}

for (const cluster of [false, true])
  describe(`three verifiers on ${cluster ? 'a three-node cluster' : 'one nats-server'} under steady connects`, () => {
    let field: StormField
    let who: TestIdentity
    before(async () => {
      field = await startStormField({ verifiers: 3, cluster })
      who = await field.product.enrolled('orders', { roles: ['fleet'] })
    })
    after(() => field?.stop())

    /** Connects while `work` is done; every client gets in, and each admission has its one record. */
    async function during(t: TestContext, work: () => Promise<unknown>): Promise<Admitted[]> {
      const steady = connectSteadily(field, who)
      await work()
      const admitted = await steady.stop()
      const records = await grantRecords(field.product)
      const withoutRecord = admitted.filter(({ serverId, clientId }) => records.get(`${serverId}.${clientId}`) !== 1)
      assert.deepEqual(withoutRecord, [])
      const again = admitted.filter(({ connects }) => connects > 1)
      t.diagnostic(
        JSON.stringify({
          clients: admitted.length,
          firstTry: admitted.length - again.length,
          retried: again.length,
          mostConnects: Math.max(...admitted.map(({ connects }) => connects)),
          refusedForGood: steady.begun() - admitted.length,
          foundNoServer: steady.away(),
          unanswered: unanswered(field),
        }),
      )
      return admitted
    }

    const replaced = async (index: number, signal: NodeJS.Signals) => {
      await field.verifiers[index]?.stop(signal)
      field.verifiers[index] = await startFieldVerifier(field.product, index)
    }

    test('SIGKILL of one after the other: nobody needs more than one retry', async (t) => {
      const admitted = await during(t, async () => {
        for (const index of field.verifiers.keys()) await replaced(index, 'SIGKILL')
      })
      assert.ok(admitted.length > 50)
      assert.deepEqual(
        admitted.filter(({ connects }) => connects > 2),
        [],
      )
    })

    test('SIGTERM of one after the other: no request is left unanswered', async (t) => {
      const before = unanswered(field)
      const admitted = await during(t, async () => {
        for (const index of field.verifiers.keys()) await replaced(index, 'SIGTERM')
      })
      assert.deepEqual(
        admitted.filter(({ connects }) => connects > 2),
        [],
      )
      assert.equal(unanswered(field), before)
    })

    test('one alone, and one that joins it late and takes its share', async (t) => {
      await during(t, async () => {
        await Promise.all([1, 2].map((index) => field.verifiers[index]?.stop('SIGTERM')))
        const late = await startFieldVerifier(field.product, 1)
        field.verifiers[1] = late
        await until('the late one was asked', async () => (await granted(late)) > 0)
      })
    })

    // What the loss of a node does to a cluster is cluster-loss.test.ts's.
    if (!cluster)
      test('nats-server restarts: everybody gets in again', async (t) => {
        const before = field.server()
        const admitted = await during(t, async () => {
          await field.restart()
          await inAgain(field, who)
        })
        assert.notEqual(field.server(), before)
        assert.equal(new Set(admitted.map(({ serverId }) => serverId)).size >= 1, true)
      })
  })

/** Requests that nats-server refused for want of an answer: of every other refusal it logs the reason, too. */
function unanswered({ nodes }: StormField): number {
  const lines = nodes()
    .map(({ server }) => server.log())
    .join('\n')
  const count = (pattern: RegExp) => [...lines.matchAll(pattern)].length
  return count(/authentication error/g) - count(/Auth callout service returned an error/g)
}

async function granted({ operationsUrl }: FieldVerifier): Promise<number> {
  const text = await (await fetch(`${operationsUrl}/metrics`)).text()
  return Number(/^nats_webauthn_verdicts_total\{outcome="granted",reason="proof"\} (\d+)/m.exec(text)?.[1] ?? 0)
}

/** Resolves when the first client was admitted by the server that is there now. */
async function inAgain({ server, product }: StormField, who: TestIdentity): Promise<void> {
  for (;;) {
    const raw = await rawClient(server().port)
    const answer = await raw.connect(proof(who, { nonce: raw.info.nonce, url: product.url }))
    raw.close()
    if (answer === 'PONG') return
  }
}
