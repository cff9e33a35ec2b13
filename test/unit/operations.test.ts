import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { createOperationsListener } from '../../src/observability/operations.ts'
import { OperationsConfigError } from '../../src/observability/secret-file.ts'
import { testMetrics } from '../support/metrics.ts'
import { ask, basic, file, scrape, start, token, users } from '../support/operations.ts'

describe('the operations listener', () => {
  test('refuses a configuration that names no auth mode', async () => {
    await assert.rejects(start(undefined), OperationsConfigError)
  })

  test('answers probes without authentication and without content', async () => {
    const { listener, setReady } = await start({ mode: 'basic', usersFile: file(users) })
    for (const path of ['/livez', '/readyz', '/livez?verbose']) {
      const { status, body } = await ask(listener, path)
      assert.deepEqual([status, body], [200, 'ok\n'])
    }
    setReady(false)
    assert.deepEqual((({ status, body }) => [status, body])(await ask(listener, '/readyz')), [503, 'not ready\n'])
    assert.equal((await ask(listener, '/livez')).status, 200)
  })

  for (const path of ['/', '/metrics/', '/Metrics', '//metrics', '/metrics/../livez', '/debug', '/%6detrics', '/livez/x']) {
    test(`knows no ${path}`, async () => {
      const { listener } = await start({ mode: 'none' })
      assert.equal((await ask(listener, path)).status, 404)
    })
  }

  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
    test(`refuses ${method}`, async () => {
      const { listener } = await start({ mode: 'none' })
      for (const path of ['/metrics', '/livez', '/readyz']) {
        const { status, headers } = await ask(listener, path, { method })
        assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'])
      }
    })
  }

  test('answers HEAD like GET, without the body', async () => {
    const { listener } = await start({ mode: 'none' })
    for (const path of ['/metrics', '/livez']) {
      const { status, body, headers } = await ask(listener, path, { method: 'HEAD' })
      assert.deepEqual([status, body], [200, ''])
      assert(Number(headers['content-length']) > 0)
    }
  })

  test('lets nothing be cached, sniffed or framed, and does not say what it is', async () => {
    const { listener } = await start({ mode: 'none' })
    for (const path of ['/metrics', '/livez', '/nothing']) {
      const { headers } = await ask(listener, path)
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.match(String(headers['content-security-policy']), /default-src 'none'/)
      assert.equal(headers['server'] ?? headers['x-powered-by'], undefined)
    }
  })

  test('cuts off a request whose head is too large', async () => {
    const { listener } = await start({ mode: 'none' })
    assert.equal((await ask(listener, '/livez', { headers: { x: 'y'.repeat(9000) } })).status, 431)
  })

  test('does not take a body for the next request', async () => {
    const { listener } = await start({ mode: 'none' })
    const socket = connect(listener.address.port, listener.address.host)
    let received = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      received += chunk
    })
    const smuggled = 'GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n'
    socket.write(`GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`)
    await once(socket, 'close')
    assert.equal(received.match(/HTTP\/1\.1 /g)?.length, 1)
  })

  test('refuses a message whose length is told in two ways', async () => {
    const { listener } = await start({ mode: 'none' })
    const socket = connect(listener.address.port, listener.address.host)
    let received = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      received += chunk
    })
    socket.write('GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n')
    await once(socket, 'close')
    assert.match(received, /^HTTP\/1\.1 400 /)
  })

  test('closes with a request in hand', async () => {
    const metrics = testMetrics()
    const listener = await createOperationsListener({
      listen: { host: '127.0.0.1', port: 0 },
      auth: { mode: 'none' },
      tls: null,
      metrics,
      ready: () => true,
      failed: () => {},
    })
    assert.equal((await ask(listener, '/metrics')).status, 200)
    await listener.close()
    await assert.rejects(ask(listener, '/livez'))
  })
})

describe('mode none', () => {
  test('gives the metrics to anybody, whatever they present', async () => {
    const { listener } = await start({ mode: 'none' })
    for (const authorization of [undefined, `Bearer ${token}`, basic('a', 'b')]) {
      const { status, body, headers } = await scrape(listener, authorization)
      assert.equal(status, 200)
      assert.match(headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/)
      assert.match(body, /^nats_webauthn_ready 1$/m)
    }
  })
})
