import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { connect as connect3 } from '@nats-io/transport-node'
import { connect as connect2 } from 'nats'
import {
  type ConnectionOptions,
  type ConnectionRequest,
  connectionOptions,
  connections,
  connectWithWebAuthn,
  type NatsConnectionLike,
  WebAuthnClientError,
} from '../../src/client/index.ts'
import { type Deployment, startDeployment } from '../support/deployment.ts'
import { type TestMachine, testMachine } from '../support/machine.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { type ProofResponder, startProofResponder } from '../support/proof-responder.ts'

/** What both client libraries have in common, as far as these tests use it. */
interface Connection extends NatsConnectionLike {
  flush(): Promise<void>
  getServer(): string
}

const LIBRARIES: Record<string, (options: ConnectionOptions) => Promise<Connection>> = {
  'nats 2.x': (options) => connect2(options),
  '@nats-io/transport-node 3.x': (options) => connect3(options),
}
const quick = { reconnectTimeWait: 20, reconnectJitter: 10 }

/** Resolves with each reconnect, in order. */
function reconnects(nc: Connection): () => Promise<void> {
  const statuses = nc.status()[Symbol.asyncIterator]()
  return async () => {
    for (;;) {
      const { value, done } = await statuses.next()
      if (done === true) throw new Error('the connection ended')
      if (value.type === 'reconnect') return
    }
  }
}

for (const line of NATS_LINES) {
  for (const [library, connect] of Object.entries(LIBRARIES)) {
    describe(`a service on ${library}, nats-server ${line}`, () => {
      let deployment: Deployment
      let machine: TestMachine
      let responder: ProofResponder
      let nc: Connection | undefined
      before(async () => {
        deployment = await startDeployment({ line, xkey: false })
      })
      after(() => deployment.server.stop())
      afterEach(async () => {
        await nc?.close()
        await responder.stop()
      })
      const start = async (request: Partial<ConnectionRequest> = {}, sessions?: null) => {
        machine = testMachine()
        responder = await startProofResponder(deployment, machine, sessions)
        nc = undefined
        return { key: machine.key, url: deployment.url, nats: quick, ...request }
      }
      const forms = () => responder.answered.map(({ form, granted }) => `${form}${granted ? '' : ' denied'}`)

      test('comes back by its session each time its grant expires, and the key is asked once', async () => {
        const request = await start()
        responder.expiresSeconds = 1
        nc = await connectWithWebAuthn(connect, request)
        const back = reconnects(nc)
        for (let i = 0; i < 3; i++) await back()
        await nc.flush()
        assert.equal(machine.signed(), 1)
        assert.deepEqual(forms().slice(0, 4), ['endorsing', 'bound', 'bound', 'bound'])
        assert.ok(responder.answered.every(({ url }) => url === deployment.url))
      })

      test('comes back by its session after the server restarts', async () => {
        const request = await start()
        nc = await connectWithWebAuthn(connect, request)
        const back = reconnects(nc)
        deployment = { ...deployment, server: await deployment.server.restart() }
        await back()
        await nc.flush()
        // The responder comes back after the server too: what was asked before nobody answered.
        assert.equal(responder.answered.at(-1)?.granted, true)
      })

      test('comes back by its session after a reload, which drops every client', async () => {
        const request = await start()
        nc = await connectWithWebAuthn(connect, request)
        const back = reconnects(nc)
        deployment.server.child.kill('SIGHUP')
        await back()
        await nc.flush()
        assert.equal(machine.signed(), 1)
        assert.deepEqual(forms().slice(-1), ['bound'])
      })

      test('proves again when the session is no longer there, with another session key', async () => {
        const request = await start()
        // Whole seconds: a grant of one may be over before the client has seen that it is connected.
        responder.expiresSeconds = 2
        nc = await connectWithWebAuthn(connect, request)
        responder.sessions.clear()
        await responder.asked(4)
        assert.deepEqual(forms().slice(0, 4), ['endorsing', 'bound denied', 'endorsing', 'bound'])
        assert.equal(machine.signed(), 2)
      })

      test('stops resuming where the role has no session time', async () => {
        const request = await start({}, null)
        responder.expiresSeconds = 1
        nc = await connectWithWebAuthn(connect, request)
        await responder.asked(7)
        assert.deepEqual(forms().slice(0, 7), ['endorsing', 'bound denied', 'endorsing', 'bound denied', 'endorsing', 'proof', 'proof'])
      })

      test('outlasts a verifier that refuses everything for longer than client libraries are patient', async () => {
        const request = await start()
        responder.expiresSeconds = 1
        nc = await connectWithWebAuthn(connect, request)
        const back = reconnects(nc)
        responder.denying = true
        await responder.asked(15)
        responder.denying = false
        await back()
        await nc.flush()
        assert.equal(nc.isClosed(), false)
      })

      test('outlasts a key that is away: the connection comes back when it signs again', async () => {
        const errors: string[] = []
        const request = await start({ session: false, onError: (error) => errors.push(error.code) })
        responder.expiresSeconds = 1
        nc = await connectWithWebAuthn(connect, request)
        const back = reconnects(nc)
        machine.breakKey(true)
        await responder.asked(4)
        machine.breakKey(false)
        await back()
        assert.equal(errors[0], 'sign_failed')
        assert.deepEqual(forms().slice(0, 3), ['proof', 'none denied', 'none denied'])
      })

      test('the first connection fails, once, when the proof is refused', async () => {
        const request = await start()
        responder.denying = true
        await assert.rejects(connectWithWebAuthn(connect, request), /authorization.violation/i)
        assert.deepEqual(forms(), ['endorsing denied'])
      })

      test('the first connection fails with the reason when the key does not sign', async () => {
        const request = await start()
        machine.breakKey(true)
        await assert.rejects(
          connectWithWebAuthn(connect, request),
          (error) => error instanceof WebAuthnClientError && error.code === 'sign_failed',
        )
      })

      test('options alone serve programs that call connect themselves', async () => {
        const { key, url } = await start()
        responder.expiresSeconds = 1
        const options = connectionOptions({ key, url, nats: quick })
        nc = await connect(options)
        options.authenticator.confirm(nc)
        const back = reconnects(nc)
        await back()
        await back()
        assert.equal(machine.signed(), 1)
      })

      test('options alone, without confirm, come back too', async () => {
        const { key, url } = await start()
        responder.expiresSeconds = 1
        nc = await connect(connectionOptions({ key, url, nats: quick }))
        const back = reconnects(nc)
        await back()
        await back()
        assert.deepEqual(forms().slice(0, 3), ['endorsing', 'endorsing', 'endorsing'])
      })

      test('connections moves on to the next server when one goes away, and comes with its session', async () => {
        const request = await start()
        const other = await startDeployment({ line, xkey: false })
        const otherResponder = await startProofResponder(other, machine, responder.sessions)
        const dialled: string[] = []
        for await (const connection of connections(connect, { key: request.key, servers: [other.url, deployment.url], nats: quick })) {
          await connection.flush()
          dialled.push(connection.getServer())
          if (dialled.length === 1) await Promise.all([otherResponder.stop(), other.stop()])
          else await connection.close()
        }
        assert.deepEqual(
          dialled,
          [other.url, deployment.url].map((address) => address.slice('nats://'.length)),
        )
        assert.equal(machine.signed(), 1)
        assert.deepEqual(responder.answered.at(-1), { form: 'bound', granted: true, url: deployment.url })
      })

      test('several servers: the first that accepts is the connection, each one signed for as itself', async () => {
        const request = await start()
        const { url: _url, ...rest } = request
        nc = await connectWithWebAuthn(connect, { ...rest, servers: ['nats://localhost:1', deployment.url] })
        assert.equal(nc.getServer(), deployment.url.slice('nats://'.length))
        assert.deepEqual(responder.answered, [{ form: 'endorsing', granted: true, url: deployment.url }])
      })
    })
  }
}
