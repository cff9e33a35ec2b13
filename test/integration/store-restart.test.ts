/** Stores whose nats-server dies and comes back. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StoreUnavailable } from '../../src/core/ports.ts'
import type { Link } from '../../src/nats/connection.ts'
import { startDeployment } from '../support/deployment.ts'
import { openVerifier, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { credentialRecord, guardEntry, newCredentialId, newGuardKey, sessionRecord } from '../support/records.ts'

for (const line of NATS_LINES) {
  describe(`stores over a restart of nats-server ${line}`, () => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      test(`are unhealthy while it is gone (${signal}), fail closed, and are true again afterwards`, async () => {
        const deployment = await startDeployment({ line })
        const one = await openVerifier(deployment)
        const two = await openVerifier(deployment)
        let { server } = deployment
        try {
          const record = credentialRecord()
          await one.stores.credentials.create(record)
          const session = await one.stores.sessions.reserve(sessionRecord())
          const key = newGuardKey()
          const entry = guardEntry()
          await one.stores.guard.claim(key, entry)
          await until(
            'all is shared',
            async () => (await two.stores.guard.find(key)) !== null && (await two.stores.credentials.find(record.id)) !== null,
          )
          const before = await two.stores.credentials.find(record.id)
          assert.equal(two.stores.isHealthy(), true)

          await server.kill(signal)
          await until('the stores noticed', () => !one.stores.isHealthy() && !two.stores.isHealthy())
          await assert.rejects(two.stores.credentials.find(record.id), StoreUnavailable)
          await assert.rejects(two.stores.credentials.find(newCredentialId()), StoreUnavailable)
          await assert.rejects(one.stores.sessions.reserve(sessionRecord()), StoreUnavailable)
          await assert.rejects(one.stores.credentials.replace(before ?? assert.fail(), record), StoreUnavailable)
          await assert.rejects(one.stores.guard.claim(newGuardKey(), guardEntry()), StoreUnavailable)
          await assert.rejects(one.stores.guard.find(newGuardKey(), 'leader'), StoreUnavailable)
          // The guard is in memory: a re-ask would be answered, if anybody could ask.
          assert.deepEqual(await two.stores.guard.find(key), entry)

          server = await server.restart()
          await until('the stores are current', () => one.stores.isHealthy() && two.stores.isHealthy())
          assert.equal(await two.stores.credentials.find(record.id), before, 'an unchanged record is still the same object')
          assert.deepEqual((await two.stores.sessions.find(session.record.nkey))?.record, session.record)
          assert.equal(await one.stores.credentials.replace(before ?? assert.fail(), { ...record, state: 'revoked', endedAt: 1 }), null)
          await until('the other follows', async () => (await two.stores.credentials.find(record.id))?.record.state === 'revoked')

          const late = await openVerifier(deployment)
          assert.deepEqual(await late.stores.guard.find(key), entry)
          assert.equal((await late.stores.credentials.find(record.id))?.record.state, 'revoked')
          await late.close()
        } finally {
          await one.close()
          await two.close()
          await server.stop()
        }
      })
    }

    test('hear what another verifier wrote while they were cut off', async () => {
      const deployment = await startDeployment({ line })
      const one = await openVerifier(deployment)
      const two = await openVerifier(deployment)
      try {
        const record = credentialRecord()
        await one.stores.credentials.create(record)
        await until('it is shared', async () => (await two.stores.credentials.find(record.id)) !== null)
        const reconnected = new Promise<void>((resolve) =>
          two.link.onChange((connected) => {
            if (connected) resolve()
          }),
        )
        // Only the second verifier loses its connection.
        const disconnected = new Promise<void>((resolve) =>
          two.link.onChange((connected) => {
            if (!connected) resolve()
          }),
        )
        void two.link.nats.reconnect()
        await disconnected
        const stored = await one.stores.credentials.find(record.id)
        assert.equal(await one.stores.credentials.replace(stored ?? assert.fail(), { ...record, state: 'revoked' }), null)
        await reconnected
        assert.equal((await two.stores.credentials.find(record.id))?.record.state, 'revoked')
        await until('it is current', () => two.stores.isHealthy())
        assert.equal((await two.stores.credentials.find(record.id))?.record.state, 'revoked')
      } finally {
        await one.close()
        await two.close()
        await deployment.stop()
      }
    })

    test('take back the claim that could not be withdrawn while the server was gone, and no other', async () => {
      const deployment = await startDeployment({ line })
      const one = await openVerifier(deployment)
      const two = await openVerifier(deployment)
      let { server } = deployment
      try {
        const [key, kept] = [newGuardKey(), newGuardKey()]
        const claim = await one.stores.guard.claim(key, guardEntry())
        await one.stores.guard.claim(kept, guardEntry())
        await until('the other knows both', async () => (await two.stores.guard.find(kept)) !== null)
        await server.kill()
        await until('the loss is noticed', () => !one.link.isConnected())
        claim.withdraw()
        assert.equal(one.stores.guard.size(), 1)
        await until('the failure is told', () => one.reports.some(({ kind, key: about }) => kind === 'guard_write_failed' && about === key))
        server = await server.restart()
        await until('the other verifier knows', async () => two.stores.isHealthy() && two.stores.guard.size() === 1)
        assert.equal(await one.stores.guard.find(key, 'leader'), null)
        assert.ok(await two.stores.guard.find(kept))
      } finally {
        await one.close()
        await two.close()
        await server.stop()
      }
    })

    test('take back a claim whose acknowledgement never came', async () => {
      const deployment = await startDeployment({ line })
      const one = await openVerifier(deployment)
      const two = await openVerifier(deployment)
      try {
        const key = newGuardKey()
        await deployment.server.hang()
        // The server has the bytes before it goes on: it takes the claim long after the verifier gave it up.
        await assert.rejects(one.stores.guard.claim(key, guardEntry()), StoreUnavailable)
        deployment.server.child.kill('SIGCONT')
        await until('both are current', () => one.stores.isHealthy() && two.stores.isHealthy())
        await until('it came and went', async () => (await revisionsOf(one.link)) === 2)
        await until('nobody counts it', () => one.stores.guard.size() === 0 && two.stores.guard.size() === 0)
        assert.equal(await two.stores.guard.find(key, 'leader'), null)
        assert.equal((await two.stores.guard.claim(key, guardEntry())).earlier, null, 'and it may be asked anew')
      } finally {
        deployment.server.child.kill('SIGCONT')
        await one.close()
        await two.close()
        await deployment.stop()
      }
    })

    test('are unhealthy within seconds when the watch falls silent, and recover', async () => {
      const deployment = await startDeployment({ line })
      const one = await openVerifier(deployment)
      try {
        const record = credentialRecord()
        await one.stores.credentials.create(record)
        // A stopped server keeps its sockets open: only the missing heartbeats tell.
        await deployment.server.hang()
        await until('the silence is noticed', () => !one.stores.credentials.cache.isHealthy())
        assert.equal(one.link.isConnected(), true)
        await assert.rejects(one.stores.credentials.find(record.id), StoreUnavailable)
        deployment.server.child.kill('SIGCONT')
        await until('it is current', () => one.stores.isHealthy())
        assert.deepEqual((await one.stores.credentials.find(record.id))?.record, record)
      } finally {
        deployment.server.child.kill('SIGCONT')
        await one.close()
        await deployment.stop()
      }
    })
  })
}

/** How often the guard was written to. */
async function revisionsOf({ nats }: Link): Promise<number> {
  const answer = await nats.request('$JS.API.STREAM.INFO.KV_webauthn_guard')
  return answer.json<{ state: { last_seq: number } }>().state.last_seq
}
