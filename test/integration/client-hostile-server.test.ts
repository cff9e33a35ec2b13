import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect as connect3 } from '@nats-io/transport-node'
import { connect as connect2 } from 'nats'
import {
  type ConnectionOptions,
  connectionOptions,
  connectWithWebAuthn,
  type NatsConnectionLike,
  WebAuthnClientError,
} from '../../src/client/index.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { startFakeNatsServer } from '../support/fake-nats-server.ts'
import { testMachine } from '../support/machine.ts'
import { startProofResponder } from '../support/proof-responder.ts'
import { type TestCa, testCa } from '../support/test-certificates.ts'

const LIBRARIES: Record<string, (options: ConnectionOptions) => Promise<NatsConnectionLike>> = {
  'nats 2.x': (options) => connect2(options),
  '@nats-io/transport-node 3.x': (options) => connect3(options),
}
const quick = { reconnectTimeWait: 20, reconnectJitter: 0 }

for (const [library, connect] of Object.entries(LIBRARIES)) {
  describe(`against a hostile server, with ${library}`, () => {
    test('gossip steers no reconnect: only the configured server is dialled', async () => {
      const elsewhere = await startFakeNatsServer()
      const server = await startFakeNatsServer({ connect_urls: [elsewhere.hostPort] })
      const machine = testMachine()
      const nc = await connectWithWebAuthn(connect, { key: machine.key, url: `nats://${server.hostPort}`, nats: quick })
      for (let count = 2; count <= 4; count++) {
        server.hangUp()
        await server.connected(count)
      }
      assert.equal(elsewhere.sockets(), 0)
      await nc.close()

      // The same gossip without the SDK's options does steer: the test would notice.
      const options = connectionOptions({ key: machine.key, url: `nats://${server.hostPort}`, nats: quick })
      const steered = await connect(Object.assign(options, { ignoreClusterUpdates: false }))
      const reached = elsewhere.dialled(1)
      while (elsewhere.sockets() === 0) {
        const again = server.connected(server.connects.length + 1)
        server.hangUp()
        await Promise.race([reached, again])
      }
      await steered.close()
      await Promise.all([server.stop(), elsewhere.stop()])
    })

    test('a relay that says it needs no TLS gets neither credentials nor a signature for a tls:// address', async () => {
      for (const info of [{ tls_required: false }, { tls_required: false, tls_available: false }, {}]) {
        const server = await startFakeNatsServer(info)
        const machine = testMachine()
        await assert.rejects(connectWithWebAuthn(connect, { key: machine.key, url: `tls://${server.hostPort}` }))
        assert.deepEqual(server.connects, [])
        assert.equal(machine.signed(), 0)
        await server.stop()
      }
    })

    test('a nonce that is no nonce is not signed', async () => {
      for (const nonce of ['x'.repeat(65), 'a b', '\u00e9', '']) {
        const server = await startFakeNatsServer({ nonce })
        const machine = testMachine()
        await assert.rejects(
          connectWithWebAuthn(connect, { key: machine.key, url: `nats://${server.hostPort}` }),
          (error) => error instanceof WebAuthnClientError && (error.code === 'nonce_refused' || error.code === 'nonce_missing'),
        )
        assert.deepEqual(server.connects, [])
        assert.equal(machine.signed(), 0)
        await server.stop()
      }
    })
  })

  describe(`over TLS, with ${library}`, () => {
    let authority: TestCa
    let deployment: Deployment
    before(async () => {
      authority = await testCa('Test CA')
      const { cert, key } = await authority.issue({ name: 'server', dns: ['localhost'] })
      deployment = await startDeployment({
        xkey: false,
        edit: (config) => `${config}\ntls { cert_file: "./server.pem", key_file: "./server.key" }\n`,
        files: { 'server.pem': cert, 'server.key': key },
      })
    })
    after(() => deployment.stop())

    const address = (host: string) => `tls://${host}:${deployment.server.port}`

    test('signs the tls:// address whose certificate it verified', async () => {
      const machine = testMachine()
      const responder = await startProofResponder(deployment, machine, new Set(), { ca: authority.cert })
      const nc = await connectWithWebAuthn(connect, { key: machine.key, url: address('localhost'), nats: { tls: { ca: authority.cert } } })
      assert.deepEqual(responder.answered, [{ form: 'endorsing', granted: true, url: address('localhost') }])
      await nc.close()
      await responder.stop()
    })

    test('refuses a certificate for another host, by a trusted authority, before it signs', async () => {
      // Client libraries by themselves would compare it with "localhost" and be content.
      const machine = testMachine()
      await assert.rejects(
        connectWithWebAuthn(connect, { key: machine.key, url: address('127.0.0.1'), nats: { tls: { ca: authority.cert } } }),
      )
      assert.equal(machine.signed(), 0)
    })

    test('refuses a certificate by an authority that it does not trust', async () => {
      const machine = testMachine()
      await assert.rejects(connectWithWebAuthn(connect, { key: machine.key, url: address('localhost') }))
      const other = await testCa('Other CA')
      await assert.rejects(connectWithWebAuthn(connect, { key: machine.key, url: address('localhost'), nats: { tls: { ca: other.cert } } }))
      assert.equal(machine.signed(), 0)
    })
  })
}

test('a live connection whose servers are exchanged signs nothing for the new one', async () => {
  const [server, elsewhere] = [await startFakeNatsServer(), await startFakeNatsServer()]
  const errors: string[] = []
  const nc = await connectWithWebAuthn((options) => connect3(options), {
    key: testMachine().key,
    url: `nats://${server.hostPort}`,
    nats: quick,
    onError: (error) => errors.push(error.code),
  })
  nc.setServers([elsewhere.hostPort])
  server.hangUp()
  await elsewhere.connected(1)
  assert.deepEqual(errors, ['url_ambiguous'])
  assert.match(elsewhere.connects[0] ?? '', /"sig":""/)
  await nc.close()
  await Promise.all([server.stop(), elsewhere.stop()])
})
