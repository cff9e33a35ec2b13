import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import type { PeerCertificate } from 'node:tls'
import { type ConnectionRequest, connectionOptions, WebAuthnClientError } from '../../src/client/index.ts'
import { testMachine } from '../support/machine.ts'

const { key } = testMachine('orders')
const url = 'tls://nats.example:4222'
const code = (expected: string) => (error: unknown) => error instanceof WebAuthnClientError && error.code === expected
const withOptions =
  (nats: object, address = url) =>
  () =>
    connectionOptions({ key, url: address, nats })

describe('connection options', () => {
  test('are whole: one server, no gossip, no giving up, private inboxes', () => {
    const options = connectionOptions({ key, url: 'TLS://NATS.example' })
    assert.deepEqual(options.servers, [url])
    assert.equal(options.ignoreClusterUpdates, true)
    assert.equal(options.ignoreAuthErrorAbort, true)
    assert.equal(options.maxReconnectAttempts, -1)
    assert.equal(options.inboxPrefix, '_INBOX_orders')
    assert.equal(options.name, 'orders')
    assert.equal(options.waitOnFirstConnect, undefined)
  })

  test('take the only address that the key was enrolled for', () => {
    assert.deepEqual(connectionOptions({ key: { ...key, urls: ['tls://nats.example:4222', 'wss://nats.example:443'] } }).servers, [url])
  })

  test('leave to the program what changes neither server nor signature', () => {
    const options = connectionOptions({
      key,
      url,
      nats: {
        name: 'x',
        inboxPrefix: '_INBOX_x',
        maxReconnectAttempts: 5,
        timeout: 1_000,
        waitOnFirstConnect: true,
        reconnectTimeWait: 50,
      },
    })
    assert.equal(options.name, 'x')
    assert.equal(options.inboxPrefix, '_INBOX_x')
    assert.equal(options.maxReconnectAttempts, 5)
    assert.equal(options.waitOnFirstConnect, true)
    assert.equal(options.reconnectDelayHandler, undefined)
  })

  test('wait longer after each refusal, never in step with others, and at most 45 seconds', () => {
    const options = connectionOptions({ key, url })
    const delays: number[] = []
    for (let i = 0; i < 20; i++) {
      options.authenticator('nonce')
      delays.push(options.reconnectDelayHandler?.() ?? 0)
    }
    assert.ok((delays[0] ?? 0) >= 500 && (delays[0] ?? 0) <= 1_500)
    assert.ok(delays.slice(6).every((delay) => delay >= 15_000 && delay <= 45_000))
    assert.equal(new Set(delays.slice(6)).size > 1, true)
  })

  test('verify the certificate for the host that was dialled, whatever the client library asks for', () => {
    const { tls } = connectionOptions({ key, url, nats: { tls: { ca: 'PEM' } } })
    assert.equal(tls?.rejectUnauthorized, true)
    assert.equal(tls?.servername, 'nats.example')
    assert.equal(tls?.ca, 'PEM')
    const certificate = (subjectaltname: string) => ({ subject: {}, subjectaltname }) as unknown as PeerCertificate
    assert.equal(tls?.checkServerIdentity('evil.example', certificate('DNS:nats.example')), undefined)
    assert.ok(tls?.checkServerIdentity('evil.example', certificate('DNS:evil.example')) instanceof Error)
    const address = connectionOptions({ key, url: 'tls://[2001:db8::1]:4222' }).tls
    assert.equal(address?.servername, '')
    assert.equal(address?.checkServerIdentity('localhost', certificate('IP Address:2001:db8::1')), undefined)
    assert.ok(address?.checkServerIdentity('localhost', certificate('DNS:localhost')) instanceof Error)
  })

  test('demand TLS for tls:// even when the program says nothing of it, and only there', () => {
    assert.equal(connectionOptions({ key, url }).tls?.rejectUnauthorized, true)
    for (const other of ['nats://localhost:4222', 'ws://localhost:8080', 'wss://nats.example'])
      assert.equal(connectionOptions({ key, url: other }).tls, undefined)
  })

  test('never ask a name server who localhost is', () => {
    assert.equal(connectionOptions({ key, url: 'nats://localhost:4222' }).resolve, false)
    assert.equal(connectionOptions({ key, url }).resolve, undefined)
  })
})

describe('connection options refuse', () => {
  for (const option of [
    { servers: ['tls://evil.example:4222'] },
    { port: 4223 },
    { authenticator: () => ({}) },
    { ignoreClusterUpdates: false },
    { ignoreAuthErrorAbort: false },
    { noRandomize: false },
    { token: 'x' },
    { user: 'x', pass: 'y' },
    { debug: true },
    { resolve: true },
    { reconnectToServer: () => null },
    { wsFactory: () => null },
    { somethingNew: 1 },
  ]) {
    test(`what could change the server or the credentials: ${Object.keys(option)[0]}`, () =>
      assert.throws(withOptions(option), code('option_refused')))
  }

  test('TLS that verifies less', () => {
    assert.throws(withOptions({ tls: { rejectUnauthorized: false } }), code('tls_unverified'))
    assert.throws(withOptions({ tls: { rejectUnauthorized: 0 } }), code('tls_unverified'))
    assert.throws(withOptions({ tls: { checkServerIdentity: () => undefined } }), code('tls_unverified'))
    for (const option of ['servername', 'session', 'socket', 'host', 'port', 'path', 'secureContext', 'lookup', 'ALPNProtocols']) {
      assert.throws(withOptions({ tls: { [option]: 'x' } }), code('option_refused'), option)
    }
    assert.doesNotThrow(withOptions({ tls: { rejectUnauthorized: true, handshakeFirst: true } }))
  })

  test('TLS options for an address that is not tls://: the address would be signed wrongly', () => {
    for (const address of ['nats://localhost:4222', 'ws://localhost:80', 'wss://nats.example:443']) {
      assert.throws(withOptions({ tls: { ca: 'PEM' } }, address), code('option_refused'))
    }
    assert.throws(withOptions({ tls: { rejectUnauthorized: false } }, 'nats://localhost:4222'), code('tls_unverified'))
  })

  test('several servers, for one signature callback cannot tell them apart', () => {
    const two = ['tls://a.example', 'tls://b.example']
    assert.throws(() => connectionOptions({ key, servers: two }), code('url_ambiguous'))
    assert.throws(() => connectionOptions({ key: { ...key, urls: two } }), code('url_ambiguous'))
    assert.throws(() => connectionOptions({ key, url, servers: [url] }), code('url_ambiguous'))
    assert.deepEqual(connectionOptions({ key, servers: ['tls://a.example', 'TLS://A.example:4222/'] }).servers, ['tls://a.example:4222'])
  })

  test('no server, too many, or what is no address', () => {
    const none: ConnectionRequest[] = [{ key }, { key, servers: [] }, { key: { ...key, urls: ['wss://nats.example'] } }]
    for (const request of [...none, { key, url: 'http://nats.example' }, { key, servers: ['tls://a.example', ''] }]) {
      assert.throws(() => connectionOptions(request), code('url_invalid'))
    }
    const many = Array.from({ length: 33 }, (_, i) => `tls://n${i}.example`)
    assert.throws(() => connectionOptions({ key, servers: many }), code('url_invalid'))
  })

  describe('a runtime that verifies no certificates', () => {
    afterEach(() => {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    })

    test('where it alone would verify them: wss://', () => {
      process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
      assert.throws(withOptions({}, 'wss://nats.example'), code('tls_unverified'))
      assert.equal(connectionOptions({ key, url }).tls?.rejectUnauthorized, true)
    })
  })
})
