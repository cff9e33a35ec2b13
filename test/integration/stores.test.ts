/** The buckets and the stores over them, two verifiers at a time, on real nats-servers. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { headers } from 'nats'
import { credentialKey } from '../../src/core/identifiers.ts'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { openBucket } from '../../src/nats/kv-bucket.ts'
import { BUCKET_SETTINGS, openStores } from '../../src/nats/stores.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { linkTo, openVerifier, type TestVerifier, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { credentialRecord, handleOf, identityRecord, newCredentialId, newUserNkey, sessionRecord } from '../support/records.ts'

for (const line of NATS_LINES) {
  describe(`stores on nats-server ${line}`, () => {
    let deployment: Deployment
    let one: TestVerifier
    let two: TestVerifier
    before(async () => {
      deployment = await startDeployment({ line })
      one = await openVerifier(deployment)
      two = await openVerifier(deployment)
    })
    after(async () => {
      await one.close()
      await two.close()
      await deployment.stop()
    })

    test('finds nothing where nothing is', async () => {
      assert.equal(await one.stores.credentials.find(newCredentialId()), null)
      assert.equal(await one.stores.sessions.find(newUserNkey()), null)
      assert.equal(await one.stores.identities.find(handleOf('nobody')), null)
    })

    test('finds at once what another verifier wrote, even if it was asked before', async () => {
      for (let i = 0; i < 20; i++) {
        const record = credentialRecord()
        assert.equal(await two.stores.credentials.find(record.id), null)
        assert.equal(await one.stores.credentials.create(record), true)
        await until('the other verifier sees it', async () => (await two.stores.credentials.find(record.id)) !== null)
        const fresh = credentialRecord()
        await one.stores.credentials.create(fresh)
        assert.deepEqual((await two.stores.credentials.find(fresh.id))?.record, fresh)
      }
    })

    test('hands out the same object until the record changes', async () => {
      const record = credentialRecord()
      await one.stores.credentials.create(record)
      const first = await two.stores.credentials.find(record.id)
      assert.ok(first !== null)
      assert.equal(await two.stores.credentials.findOnLeader(credentialKey(record.id)), first)
      assert.equal(await two.stores.credentials.findByKey(credentialKey(record.id)), first)
      assert.equal(await two.stores.credentials.replace(first, { ...record, signCount: 1 }), null)
      const second = await two.stores.credentials.find(record.id)
      assert.notEqual(second, first)
      assert.equal(second?.record.signCount, 1)
      await until('the first verifier follows', async () => (await one.stores.credentials.find(record.id))?.record.signCount === 1)
    })

    test('lets exactly one of many racing writers win, and shows the others what is there', async () => {
      const record = credentialRecord()
      await one.stores.credentials.create(record)
      const stored = await one.stores.credentials.find(record.id)
      assert.ok(stored !== null)
      const writers = Array.from({ length: 20 }, (_, i) =>
        (i % 2 === 0 ? one : two).stores.credentials.replace(stored, { ...record, signCount: i + 1 }),
      )
      const outcomes = await Promise.all(writers)
      const winners = outcomes.flatMap((outcome, i) => (outcome === null ? [i + 1] : []))
      assert.equal(winners.length, 1)
      for (const outcome of outcomes) if (outcome !== null) assert.equal(outcome.record.signCount, winners[0])
    })

    test('lets exactly one of many racing creators win', async () => {
      const record = credentialRecord()
      const outcomes = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).stores.credentials.create(record)))
      assert.equal(outcomes.filter(Boolean).length, 1)
    })

    test('never creates again what was deleted', async () => {
      const { bucket } = await openBucketAgain(one, 'webauthn_tickets')
      assert.notEqual(await bucket.write('gone', new Uint8Array([123, 125]), 0), null)
      const deleted = headers()
      deleted.set('KV-Operation', 'DEL')
      await one.link.nats.request('$KV.webauthn_tickets.gone', new Uint8Array(0), { headers: deleted, timeout: 1_000 })
      assert.equal((await bucket.find('gone'))?.value, null)
      assert.equal(await bucket.write('gone', new Uint8Array([123, 125]), 0), null)
    })

    test('reserves a session once, and shows whose it is to everybody else', async () => {
      const mine = sessionRecord()
      const theirs = sessionRecord({ nkey: mine.nkey })
      const [first, second] = await Promise.all([one.stores.sessions.reserve(mine), two.stores.sessions.reserve(theirs)])
      assert.deepEqual(first, second)
      assert.equal(await one.stores.sessions.replace(first, { ...first.record, state: 'active' }), true)
      assert.equal(await two.stores.sessions.replace(second, { ...second.record, state: 'active' }), false)
      assert.equal((await two.stores.sessions.reserve(theirs)).record.state, 'active')
    })

    test('never endorses a revoked nkey again, also when the session itself is long forgotten', async () => {
      const record = sessionRecord()
      const stored = await one.stores.sessions.reserve(record)
      assert.equal(await one.stores.sessions.revoke(stored, { ...record, state: 'revoked', endedAt: 1 }), null)
      assert.equal((await two.stores.sessions.reserve(record)).record.state, 'revoked')
      // What is left once the bucket has let go of the session: the tombstone alone.
      const nkey = newUserNkey()
      await one.link.nats.jetstream().publish(`$KV.webauthn_revoked_nkeys.${nkey}`, JSON.stringify({ v: 1, nkey, revokedAt: 1 }))
      assert.equal((await two.stores.sessions.reserve(sessionRecord({ nkey }))).record.state, 'revoked')
    })

    test('gives a handle once, and one handle to a subject', async () => {
      const { identities } = one.stores
      const record = identityRecord('alice', { class: 'person', issuer: 'https://idp.example', subject: '1' })
      assert.equal(await identities.createIdentity(record), 'created')
      assert.equal(await two.stores.identities.createIdentity(record), 'exists')
      assert.equal(await identities.createIdentity({ ...record, subject: '2' }), 'handle_taken')
      assert.equal(await identities.createIdentity({ ...record, handle: handleOf('alice2') }), 'subject_taken')
      assert.equal(await identities.findOnLeader(handleOf('alice2')), null)
      assert.equal(await identities.createIdentity(identityRecord('alice')), 'handle_taken')
    })

    test('leaves a racing subject with one active identity', async () => {
      const handles = Array.from({ length: 8 }, (_, i) => `racer-${i}`)
      const outcomes = await Promise.all(
        handles.map((handle, i) =>
          (i % 2 === 0 ? one : two).stores.identities.createIdentity(identityRecord(handle, { subject: 'one subject' })),
        ),
      )
      assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
      const records = await Promise.all(handles.map((handle) => one.stores.identities.findOnLeader(handleOf(handle))))
      assert.equal(records.filter((stored) => stored?.record.state === 'active').length, 1)
    })

    test('counts by state', async () => {
      const before = one.stores.credentials.counts()
      await one.stores.credentials.create(credentialRecord({ state: 'quarantined' }))
      const counts = one.stores.credentials.counts()
      assert.equal(counts.quarantined, before.quarantined + 1)
      assert.equal(counts.active, before.active)
    })

    test('counts what there is, only where all of it is at hand: neither what was deleted nor sessions that are over', async () => {
      const { credentials, sessions } = one.stores
      await until('all is read', () => credentials.census() !== null && sessions.census(new Date()) !== null)
      const before = [credentials.census(), sessions.census(new Date())] as const
      const deleted = credentialRecord()
      await credentials.create(deleted)
      const live = sessionRecord({ state: 'active' })
      await sessions.reserve(live)
      await sessions.reserve(sessionRecord({ state: 'active', expiresAt: Date.now() - 1 }))
      await sessions.reserve(sessionRecord({ state: 'revoked', expiresAt: Date.now() - 1 }))
      const { bucket } = await openBucket(one.link, { ...BUCKET_SETTINGS.credentials, replicas: 1 })
      await bucket.erase(credentialKey(deleted.id), null)
      await until('it is gone', async () => (await credentials.findByKey(credentialKey(deleted.id))) === null)
      assert.deepEqual(credentials.census(), before[0])
      assert.deepEqual(sessions.census(new Date()), { ...before[1], active: (before[1]?.active ?? 0) + 1 })
      assert.equal(sessions.census(new Date(live.expiresAt))?.active, 0)

      const link = await linkTo(deployment, 'verifierAuth')
      const starting = await openStores(link, { replicas: 1, onReport: () => {} })
      assert.deepEqual([starting.credentials.census(), starting.sessions.census(new Date())], [null, null])
      starting.stop()
      await link.drain()
    })

    for (const [what, value] of [
      ['no JSON', 'x'],
      ['another version', JSON.stringify({ ...credentialRecord(), v: 2 })],
      ['an unknown member', JSON.stringify({ ...credentialRecord(), admin: true })],
      ['a repeated member', `{"v":1,"v":1}`],
      ['a missing member', JSON.stringify({ v: 1 })],
      ['bytes that are no UTF-8', Uint8Array.of(0xff, 0xfe)],
    ] as const) {
      test(`fails closed for a value that is ${what}, and goes on`, async () => {
        const id = newCredentialId()
        await one.link.nats.request(`$KV.webauthn_credentials.${credentialKey(id)}`, value)
        await assert.rejects(two.stores.credentials.find(id), StoreUnavailable)
        await until('the watch told of it', () =>
          two.reports.some((report) => report.kind === 'undecodable' && report.key === credentialKey(id)),
        )
        await assert.rejects(two.stores.credentials.find(id), StoreUnavailable)
        const next = credentialRecord()
        await one.stores.credentials.create(next)
        assert.deepEqual((await two.stores.credentials.find(next.id))?.record, next)
        assert.equal(two.stores.isHealthy(), true)
      })
    }

    test('refuses a record under the key of another', async () => {
      const record = credentialRecord()
      const other = newCredentialId()
      await one.link.nats.request(`$KV.webauthn_credentials.${credentialKey(other)}`, JSON.stringify(record))
      await assert.rejects(two.stores.credentials.find(other), StoreUnavailable)
    })

    test('stands a flood of made-up ids without an error', async () => {
      const found = await Promise.all(Array.from({ length: 2_000 }, () => two.stores.credentials.find(newCredentialId())))
      assert.ok(found.every((stored) => stored === null))
    })

    test('makes nothing but what it may: permissions refuse to update, purge or delete a bucket', async () => {
      for (const operation of ['UPDATE', 'PURGE', 'DELETE', 'MSG.DELETE']) {
        await assert.rejects(one.link.nats.request(`$JS.API.STREAM.${operation}.KV_webauthn_credentials`, '{}', { timeout: 300 }))
      }
      await until('the server said so', () => one.events.filter((event) => event.kind === 'failed').length >= 4)
    })
  })

  test(`reports a weaker bucket and does not change it on nats-server ${line}`, async () => {
    const deployment = await startDeployment({ line })
    try {
      const link = await linkTo(deployment, 'verifierAuth')
      const weaker = {
        name: 'KV_webauthn_credentials',
        subjects: ['$KV.webauthn_credentials.>'],
        max_msgs_per_subject: 1,
        storage: 'file',
        allow_direct: true,
        max_age: 60_000_000_000,
      }
      await link.nats.request('$JS.API.STREAM.CREATE.KV_webauthn_credentials', JSON.stringify(weaker))
      const stores = await openStores(link, { replicas: 1, onReport: () => {} })
      const settings = stores.differences.filter(({ bucket }) => bucket === 'webauthn_credentials').map(({ setting }) => setting)
      assert.deepEqual(settings.sort(), ['allow_direct', 'deny_delete', 'deny_purge', 'discard', 'max_age', 'max_msg_size'])
      assert.equal(stores.differences.length, settings.length)
      const again = await openStores(link, { replicas: 1, onReport: () => {} })
      assert.deepEqual(again.differences, stores.differences)
      stores.stop()
      again.stop()
      await link.drain()
    } finally {
      await deployment.stop()
    }
  })
}

function openBucketAgain(verifier: TestVerifier, name: string) {
  return openBucket(verifier.link, { name, description: '', replicas: 1, bytesMax: 1, ageSecondsMax: 0, whenFull: 'refuse' })
}
