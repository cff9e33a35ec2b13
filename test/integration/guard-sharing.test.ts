import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createGuardSharing } from '../../src/nats/guard-sharing.ts'
import type { KvBucket } from '../../src/nats/kv-bucket.ts'
import type { StoreReport } from '../../src/nats/record-store.ts'
import { startDeployment } from '../support/deployment.ts'
import { linkTo, openVerifier, until } from '../support/links.ts'
import { guardEntry, newGuardKey } from '../support/records.ts'

describe('sharing of the guard', () => {
  test('tells what no stream takes, and offers it again', async () => {
    const deployment = await startDeployment()
    const link = await linkTo(deployment, 'verifierAuth')
    const reports: StoreReport[] = []
    // Nobody has made the bucket yet.
    const sharing = createGuardSharing(bucketOver(link), (report) => reports.push(report))
    const key = newGuardKey()
    const entry = guardEntry()
    sharing.share(key, entry)
    await until('the failure is told', () => reports.length > 0)
    assert.deepEqual([reports[0]?.kind, reports[0]?.key], ['guard_write_failed', key])
    const verifier = await openVerifier(deployment)
    try {
      sharing.again((asked) => (asked === key ? entry : null))
      await until('the other verifier knows', async () => (await verifier.stores.guard.find(key)) !== null)
      sharing.again(() => assert.fail('nothing is left to be offered'))
    } finally {
      sharing.stop()
      await link.drain()
      await verifier.close()
      await deployment.stop()
    }
  })

  test('gives up on what is not answered in time, not before', async () => {
    const deployment = await startDeployment()
    const link = await linkTo(deployment, 'verifierAuth')
    const reports: StoreReport[] = []
    const sharing = createGuardSharing(bucketOver(link), (report) => reports.push(report))
    const key = newGuardKey()
    try {
      await deployment.server.hang()
      sharing.share(key, guardEntry())
      sharing.giveUp(performance.now())
      assert.equal(reports.length, 0)
      sharing.giveUp(performance.now() + 1_000)
      assert.deepEqual([reports[0]?.kind, reports[0]?.key], ['guard_write_failed', key])
      sharing.giveUp(performance.now() + 2_000)
      assert.equal(reports.length, 1)
    } finally {
      deployment.server.child.kill('SIGCONT')
      sharing.stop()
      await link.drain()
      await deployment.stop()
    }
  })
})

function bucketOver(link: KvBucket['link']): KvBucket {
  return {
    name: 'webauthn_guard',
    link,
    find: () => assert.fail('sharing reads nothing'),
    write: () => assert.fail('nobody waits for a shared entry'),
  }
}
