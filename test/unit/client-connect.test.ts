import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ConnectionOptions, connections, connectWithWebAuthn, WebAuthnClientError } from '../../src/client/index.ts'
import { fromBase64url, fromUtf8 } from '../../src/core/encoding.ts'
import { type FakeConnection, fakeConnection } from '../support/fake-connection.ts'
import { testMachine } from '../support/machine.ts'

const A = 'tls://a.example:4222'
const B = 'tls://b.example:4222'
const code = (expected: string) => (error: unknown) => error instanceof WebAuthnClientError && error.code === expected

interface Dial {
  url: string
  form: 'proof' | 'resume'
  options: ConnectionOptions
  connection: FakeConnection
}

/** A client library whose servers answer as `answer` says: with an error, or not at all when it is 'unreachable'. */
function library(answer: (dial: Dial) => 'up' | 'refused' | 'unreachable') {
  const dials: Dial[] = []
  const connect = async (options: ConnectionOptions): Promise<FakeConnection> => {
    const url = options.servers[0] ?? ''
    const dial: Dial = { url, form: 'proof', options, connection: fakeConnection() }
    if (answer(dial) === 'unreachable') throw new Error('unreachable')
    const sent: unknown = JSON.parse(fromUtf8(fromBase64url(options.authenticator('nonce').sig) as Uint8Array) as string)
    dial.form = Object.hasOwn(sent as object, 'assertion') ? 'proof' : 'resume'
    dials.push(dial)
    if (answer(dial) === 'refused') throw new Error('Authorization Violation')
    return dial.connection
  }
  return { connect, dials, seen: () => dials.map(({ url, form }) => `${form} ${url.slice(6, 7)}`) }
}

describe('connectWithWebAuthn', () => {
  test('hands each server its own options: itself alone', async () => {
    const { connect, dials } = library(({ url }) => (url === B ? 'up' : 'refused'))
    await connectWithWebAuthn(connect, { key: testMachine().key, servers: [A, B] })
    assert.deepEqual(
      dials.map(({ options }) => options.servers),
      [[A], [B]],
    )
    assert.ok(dials.every(({ options }) => options.ignoreClusterUpdates && options.maxReconnectAttempts === 3))
  })

  test("passes on the library's own error when there is one server", async () => {
    const { connect } = library(() => 'refused')
    await assert.rejects(connectWithWebAuthn(connect, { key: testMachine().key, url: A }), /Authorization Violation/)
  })

  test('says that no server accepted when there are several', async () => {
    const { connect, seen } = library(() => 'refused')
    await assert.rejects(connectWithWebAuthn(connect, { key: testMachine().key, servers: [A, B] }), code('server_unreachable'))
    assert.deepEqual(seen(), ['proof a', 'proof b'])
  })

  test('waits for the first of several servers here, for the library would wait for one alone', async () => {
    let tries = 0
    const { connect, dials } = library(() => (++tries <= 2 ? 'unreachable' : 'up'))
    await connectWithWebAuthn(connect, { key: testMachine().key, servers: [A, B], nats: { waitOnFirstConnect: true } })
    assert.deepEqual(
      dials.map(({ url, options }) => [url, options.waitOnFirstConnect]),
      [[A, undefined]],
    )
  })

  test('leaves waitOnFirstConnect to the library when there is one server', async () => {
    const { connect, dials } = library(() => 'up')
    await connectWithWebAuthn(connect, { key: testMachine().key, url: A, nats: { waitOnFirstConnect: true } })
    assert.equal(dials[0]?.options.waitOnFirstConnect, true)
  })

  test('refuses options before anything is dialled', async () => {
    const { connect, dials } = library(() => 'up')
    const nats = { tls: Object.assign({ ca: 'PEM' }, { rejectUnauthorized: false }) }
    await assert.rejects(connectWithWebAuthn(connect, { key: testMachine().key, url: A, nats }), code('tls_unverified'))
    assert.deepEqual(dials, [])
  })
})

describe('connections', () => {
  test('moves on when a connection ends, with the same session and without asking the key', async () => {
    const machine = testMachine()
    const { connect, dials, seen } = library(() => 'up')
    for await (const connection of connections(connect, { key: machine.key, servers: [A, B] })) {
      if (dials.length === 3) break
      connection.end(new Error('unreachable'))
    }
    assert.deepEqual(seen(), ['proof a', 'resume b', 'resume a'])
    assert.equal(machine.signed(), 1)
  })

  test('proves once more where the session ended while nothing was connected', async () => {
    const { connect, dials, seen } = library((dial) => (dial.form === 'resume' && dial.url === B ? 'refused' : 'up'))
    for await (const connection of connections(connect, { key: testMachine().key, servers: [A, B] })) {
      if (dials.length >= 3) break
      connection.end(new Error('unreachable'))
    }
    assert.deepEqual(seen(), ['proof a', 'resume b', 'proof b'])
  })

  test('ends when the program closes the connection', async () => {
    const { connect, seen } = library(() => 'up')
    for await (const connection of connections(connect, { key: testMachine().key, servers: [A, B] })) await connection.close()
    assert.deepEqual(seen(), ['proof a'])
  })

  test('closes the connection when the program leaves the loop, by break or by error', async () => {
    const { connect, dials } = library(() => 'up')
    for await (const _connection of connections(connect, { key: testMachine().key, url: A })) break
    await assert.rejects(async () => {
      for await (const _connection of connections(connect, { key: testMachine().key, url: A })) throw new Error('handling an order')
    }, /handling an order/)
    assert.deepEqual(
      dials.map(({ connection }) => connection.isClosed()),
      [true, true],
    )
  })

  test('keeps trying once it was up', async () => {
    let tries = 0
    const { connect, seen } = library(() => (tries++ > 0 && tries <= 4 ? 'unreachable' : 'up'))
    let count = 0
    for await (const connection of connections(connect, { key: testMachine().key, servers: [A, B] })) {
      if (++count === 2) break
      connection.end(new Error('unreachable'))
    }
    assert.equal(seen().length, 2)
  })

  test('stops trying when its signal says so', async () => {
    const stopping = new AbortController()
    let up = true
    const { connect } = library(() => {
      if (up) return 'up'
      stopping.abort()
      return 'unreachable'
    })
    for await (const connection of connections(connect, { key: testMachine().key, servers: [A, B], signal: stopping.signal })) {
      up = false
      connection.end(new Error('unreachable'))
    }
    assert.equal(stopping.signal.aborted, true)
  })

  test('fails when the first round finds nobody', async () => {
    const { connect } = library(() => 'unreachable')
    await assert.rejects(async () => {
      for await (const _connection of connections(connect, { key: testMachine().key, servers: [A, B] })) assert.fail('nobody is there')
    }, code('server_unreachable'))
  })
})
