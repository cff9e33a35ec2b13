/** Connections of our own users to real nats-servers. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createUser } from 'nkeys.js'
import { type LinkEvent, openLink } from '../../src/nats/connection.ts'
import { startDeployment } from '../support/deployment.ts'
import { linkTo, until } from '../support/links.ts'
import { NATS_LINES } from '../support/nats-server.ts'
import { testCa } from '../support/test-certificates.ts'

const newSeed = () => new TextDecoder().decode(createUser().getSeed())

function options(port: number, changes: Partial<Parameters<typeof openLink>[0]> = {}) {
  return {
    name: 'test',
    servers: [`nats://127.0.0.1:${port}`],
    seed: newSeed(),
    inboxPrefix: '_INBOX_test',
    tls: null,
    waitForServer: false,
    onEvent: () => {},
    ...changes,
  }
}

describe('connections', () => {
  for (const seed of ['', 'SUABC', 'not a seed', `${newSeed()}A`, newSeed().replace(/^SU/, 'SA')]) {
    test(`refuse a seed that is none (${seed.length} characters) without repeating it`, async () => {
      await assert.rejects(openLink(options(1, { seed })), (error: Error) => {
        const told = `${error.message} ${(error.cause as Error | undefined)?.message}`
        return seed === '' || !told.includes(seed)
      })
    })
  }

  test('fail at once where no server is, unless they may wait', async () => {
    await assert.rejects(openLink(options(1)), /^Error: connecting test to nats-server/)
  })

  for (const line of NATS_LINES) {
    describe(`to nats-server ${line}`, () => {
      test('fail at once for a user that the server does not know, unless they may wait', async () => {
        const deployment = await startDeployment({ line })
        try {
          await assert.rejects(openLink(options(deployment.server.port)), /^Error: connecting test to nats-server/)
        } finally {
          await deployment.stop()
        }
      })

      test('never fall back to plain text where the address says TLS', async () => {
        const deployment = await startDeployment({ line })
        try {
          const { port } = deployment.server
          await assert.rejects(openLink(options(port, { servers: [`tls://127.0.0.1:${port}`], seed: deployment.seeds.verifierAuth })))
        } finally {
          await deployment.stop()
        }
      })

      test('hold a server that is named by its address to a certificate for that address', async () => {
        const ca = await testCa('nats-webauthn test')
        const connectTo = async (names: { dns?: string[]; ip?: string[] }) => {
          const { cert, key } = await ca.issue({ name: 'nats', ...names })
          const deployment = await startDeployment({
            line,
            edit: (config) => `tls { cert_file: "$DIR/cert.pem", key_file: "$DIR/key.pem" }\n${config}`,
            files: { 'cert.pem': cert, 'key.pem': key },
          })
          const { port } = deployment.server
          const seed = deployment.seeds.verifierAuth
          try {
            const link = await openLink(options(port, { servers: [`tls://127.0.0.1:${port}`], seed, tls: { ca: ca.cert } }))
            await link.drain()
          } finally {
            await deployment.stop()
          }
        }
        await connectTo({ ip: ['127.0.0.1'] })
        await assert.rejects(connectTo({ dns: ['localhost'] }))
      })

      test('that wait tell once what they wait for', async () => {
        const deployment = await startDeployment({ line })
        const { port } = deployment.server
        await deployment.server.kill()
        const events: LinkEvent['kind'][] = []
        let tell = () => {}
        const told = new Promise<void>((resolve) => {
          tell = resolve
        })
        const onEvent = ({ kind }: LinkEvent) => {
          events.push(kind)
          tell()
        }
        const waiting = openLink(options(port, { seed: deployment.seeds.verifierAuth, waitForServer: true, onEvent }))
        await told
        const restarted = await deployment.server.restart()
        const link = await waiting
        assert.deepEqual(events, ['failed', 'connected'])
        await link.drain()
        await restarted.stop()
      })

      test('tell of every loss and return, and come back without end', async () => {
        const deployment = await startDeployment({ line })
        const events: LinkEvent['kind'][] = []
        const link = await linkTo(deployment, 'verifierAuth', ({ kind }) => events.push(kind))
        let { server } = deployment
        try {
          for (let i = 0; i < 2; i++) {
            await server.kill()
            await until('the loss is noticed', () => !link.isConnected())
            server = await server.restart()
            await until('it is back', () => link.isConnected())
          }
          assert.deepEqual(events, ['connected', 'disconnected', 'connected', 'disconnected', 'connected'])
          await server.kill()
          await until('the loss is noticed', () => !link.isConnected())
          await link.drain()
          await until('it is closed', () => events.includes('closed'))
          assert.equal(link.isConnected(), false)
        } finally {
          await link.drain()
          await server.stop()
        }
      })

      test('tell what the server refuses them', async () => {
        const deployment = await startDeployment({ line })
        const events: LinkEvent['kind'][] = []
        const link = await linkTo(deployment, 'verifierSys', ({ kind }) => events.push(kind))
        try {
          for (const subject of ['$SYS.REQ.SERVER.PING.JSZ', '$SYS.REQ.ACCOUNT.PING.CONNZ', 'x']) link.nats.publish(subject)
          await until('all were refused', () => events.filter((kind) => kind === 'failed').length === 3)
        } finally {
          await link.drain()
          await deployment.stop()
        }
      })
    })
  }
})
