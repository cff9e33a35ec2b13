import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { StoreUnavailable } from '../../src/core/ports.ts'
import { type EnrolmentService, machine, startEnrolmentService, verdictOf } from '../support/enrolment-service.ts'
import { type RawRequest, rawHttp } from '../support/raw-http.ts'
import { testCa } from '../support/test-certificates.ts'

let service: EnrolmentService
beforeEach(async () => {
  service = await startEnrolmentService()
})
afterEach(() => service.stop())

const begin = '/v1/enrol/begin'

const raw = (request: RawRequest) => rawHttp(service.port, request)

/** What comes back for bytes of our own. */
async function bytes(text: string): Promise<string> {
  const socket = connect(service.port, '127.0.0.1')
  socket.end(text)
  let answer = ''
  for await (const chunk of socket.setEncoding('latin1')) answer += chunk
  return answer
}

async function lastRefusal(): Promise<string> {
  await service.stop()
  const event = service.lifecycle.events.at(-1)
  return `${event?.reason}/${event?.facts['check']}`
}

describe('a body', () => {
  const ticket = '"ticket":"x"'
  const bodies: Record<string, [string | Uint8Array, string]> = {
    empty: ['', '400 request_malformed/json'],
    truncated: [`{${ticket}`, '400 request_malformed/json'],
    'with text after it': [`{${ticket}}x`, '400 request_malformed/json'],
    'with a member twice': [`{${ticket},${ticket}}`, '400 request_malformed/json'],
    'with a member twice in another spelling': [`{${ticket},"\\u0074icket":"y"}`, '400 request_malformed/json'],
    'nested deep': [`{"ticket":${'['.repeat(9)}${']'.repeat(9)}}`, '400 request_malformed/json'],
    'nested very deep': ['['.repeat(30_000), '400 request_malformed/json'],
    'not UTF-8': [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), '400 request_malformed/json'],
    'with a byte order mark': [`\ufeff{${ticket}}`, '400 request_malformed/json'],
    compressed: [gzipSync(`{${ticket}}`), '400 request_malformed/json'],
    null: ['null', '400 request_malformed/schema'],
    'a list': [`[{${ticket}}]`, '400 request_malformed/schema'],
    'with an unknown member': [`{${ticket},"more":1}`, '400 request_malformed/schema'],
    'with __proto__': [`{${ticket},"__proto__":{"ticket":"y"}}`, '400 request_malformed/schema'],
    'without a ticket': ['{}', '400 request_malformed/schema'],
    'with a ticket that is a number': ['{"ticket":1}', '400 request_malformed/schema'],
    'with an empty ticket': ['{"ticket":""}', '400 request_malformed/schema'],
    'with a ticket of 257 characters': [`{"ticket":"${'x'.repeat(257)}"}`, '400 request_malformed/schema'],
    'of 32 KiB and a byte': [' '.repeat(32 * 1024 + 1), '413 request_malformed/body_size'],
  }
  for (const [name, [body, verdict]] of Object.entries(bodies)) {
    test(`${name} is refused`, async () => assert.equal(verdictOf(await service.post(begin, body)), verdict))
  }
  test('of 32 KiB is read', async () => {
    assert.equal(verdictOf(await service.post(begin, `{${ticket}}`.padEnd(32 * 1024))), '403 ticket_invalid')
  })
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/json5',
    '*/*',
  ]) {
    test(`of type ${type} is refused`, async () => {
      assert.equal(verdictOf(await service.post(begin, `{${ticket}}`, { 'content-type': type })), '415 request_malformed/content_type')
      assert.equal(await lastRefusal(), 'request_malformed/content_type')
    })
  }
  test('of type application/json with charset=utf-8 is read', async () => {
    assert.equal(
      verdictOf(await service.post(begin, `{${ticket}}`, { 'content-type': 'application/json; charset=UTF-8' })),
      '403 ticket_invalid',
    )
  })

  test('of register and activate is read as strictly', async () => {
    const register = { ticket: 'x', ceremony: 'c', name: 'orders', response: {} }
    const names = ['', 'x'.repeat(65), 'a\nb', 'a\u202eb', '\u0000', 'a\u2028b']
    for (const change of [
      { more: 1 },
      { ceremony: '' },
      { ceremony: 'a.b' },
      { ceremony: 'c'.repeat(65) },
      { response: [] },
      { response: 'x' },
      ...names.map((name) => ({ name })),
    ]) {
      assert.equal(verdictOf(await service.post('/v1/enrol/register', { ...register, ...change })), '400 request_malformed/schema')
    }
    assert.equal(verdictOf(await service.post('/v1/enrol/register', register)), '403 ticket_invalid')
    assert.equal(verdictOf(await service.post('/v1/enrol/activate', register)), '400 request_malformed/schema')
  })
})

describe('a request', () => {
  test('for another host is refused: a name that was rebound to this address', async () => {
    for (const host of [
      'evil.example',
      `evil.example:${service.port}`,
      `localhost:${service.port}`,
      '127.0.0.1',
      `127.0.0.1.:${service.port}`,
    ]) {
      assert.equal(verdictOf(await raw({ headers: { host } })), '421 request_malformed/host')
    }
    assert.equal(
      verdictOf(await raw({ headers: { host: 'evil.example', 'x-forwarded-host': new URL(service.origin).host } })),
      '421 request_malformed/host',
    )
    assert.equal(await lastRefusal(), 'request_malformed/host')
  })
  test('that names two hosts is refused: whoever stands before this server may have read the other one', async () => {
    const { host } = new URL(service.origin)
    const asked = (target: string, ...hosts: string[]) =>
      bytes([`POST ${target} HTTP/1.1`, ...hosts.map((it) => `Host: ${it}`), 'content-length: 0', 'connection: close', '', ''].join('\r\n'))
    assert.match(await asked(begin, host), /^HTTP\/1\.1 4(?!21)/)
    for (const answer of [
      await asked(begin, host, 'evil.example'),
      await asked(begin, 'evil.example', host),
      await asked(begin, host, host),
      await asked(`http://evil.example${begin}`, host),
      await asked(`http://${host}${begin}`, 'evil.example'),
    ]) {
      assert.match(answer, /^HTTP\/1\.1 421 .*"check":"host"/s)
    }
  })
  test('from another web origin is refused, and none is invited', async () => {
    for (const origin of ['https://evil.example', 'null', `${service.origin}/`, service.origin.toUpperCase()]) {
      const answer = await raw({ headers: { origin } })
      assert.equal(verdictOf(answer), '403 request_malformed/origin')
      assert.equal(answer.headers.get('access-control-allow-origin'), null)
    }
    assert.equal(verdictOf(await raw({ headers: { origin: service.origin } })), '403 ticket_invalid')
    const preflight = await raw({
      headers: { origin: service.origin, 'access-control-request-method': 'POST' },
      body: '',
      method: 'OPTIONS',
    })
    assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-origin')], [404, null])
  })
  test('for a path or method that is not there is refused in one way', async () => {
    const verdicts = await Promise.all([
      raw({ body: '', method: 'GET' }),
      raw({ body: '', method: 'PUT' }),
      raw({ body: '{}', path: '/' }),
      raw({ body: '{}', path: '/v1/enrol/begin/' }),
      raw({ body: '{}', path: '/V1/enrol/begin' }),
      raw({ body: '{}', path: '/v1/enrol/../enrol/begin' }),
    ])
    assert.deepEqual(
      verdicts.map((answer) => verdictOf(answer)),
      Array(6).fill('404 request_malformed/route'),
    )
  })
  test('that is not HTTP is answered with the same shape', async () => {
    for (const text of [
      'nonsense\r\n\r\n',
      'POST /v1/enrol/begin HTTP/1.1\r\n\r\n',
      `POST ${begin} HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(9000)}\r\n\r\n`,
    ]) {
      const answer = await bytes(text)
      assert.match(answer, /^HTTP\/1\.1 4\d\d /)
      assert.equal(answer.includes('y'.repeat(100)), false)
    }
    assert.match(await bytes('nonsense\r\n\r\n'), /\{"error":\{"code":"request_malformed","message":"[^"]+","check":"http"\}\}$/)
  })
  test('with a path that cannot be decoded is answered with the same shape, and without the path', async () => {
    const answer = await raw({ body: '{}', path: '/%zz' })
    assert.equal(verdictOf(answer), '400 request_malformed/http')
    assert.equal(answer.text.includes('%zz'), false)
  })
  test('with two lengths is refused', async () => {
    assert.match(
      await bytes(
        `POST ${begin} HTTP/1.1\r\nhost: ${new URL(service.origin).host}\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      ),
      /^HTTP\/1\.1 400 /,
    )
  })
})

describe('every answer', () => {
  test('has the headers of an API that has no page', async () => {
    const answers = [
      await machine(service, service.invite()).begin(),
      await service.post(begin, '{'),
      await service.post('/nowhere', {}),
      await raw({ headers: { host: 'evil.example' } }),
    ]
    for (const { headers } of answers) {
      const get = (name: string) => headers.get(name)
      assert.equal(get('content-security-policy'), "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'")
      assert.equal(get('cache-control'), 'no-store')
      assert.equal(get('x-content-type-options'), 'nosniff')
      assert.equal(get('x-frame-options'), 'DENY')
      assert.equal(get('referrer-policy'), 'no-referrer')
      assert.equal(get('cross-origin-resource-policy'), 'same-origin')
      assert.match(get('content-type') ?? '', /^application\/json/)
      assert.deepEqual(
        [get('strict-transport-security'), get('x-powered-by'), get('server'), get('access-control-allow-origin')],
        [null, null, null, null],
      )
    }
  })
  test('asks browsers for HTTPS only where the service has it', async () => {
    await service.stop()
    service = await startEnrolmentService({ origin: 'https://verifier.example.com' })
    const answer = await raw({ headers: { host: 'verifier.example.com' } })
    assert.deepEqual([verdictOf(answer), answer.headers.get('strict-transport-security')], ['403 ticket_invalid', 'max-age=31536000'])
  })
})

describe('a failure of our own', () => {
  test('is answered with a fixed sentence, logged and recorded', async () => {
    service.tickets.find = () => Promise.reject(new Error('asking $KV.webauthn_tickets.secret-key'))
    const answer = await service.post(begin, { ticket: 'x' })
    assert.deepEqual([answer.status, answer.body], [500, { error: { code: 'internal', message: 'The service failed.' } }])
    await service.stop()
    assert.deepEqual(service.lifecycle.codes(), ['enrolment.failed.internal'])
    assert.ok(service.log.some((line) => line.includes('answering a request')))
  })
  test('of a store is answered as temporary', async () => {
    service.tickets.find = () => Promise.reject(new StoreUnavailable('asking the bucket'))
    assert.equal(verdictOf(await service.post(begin, { ticket: 'x' })), '503 unavailable')
  })
})

test('serves HTTPS with its own certificate, and asks browsers to stay with it', async () => {
  await service.stop()
  const ca = await testCa('enrolment test')
  service = await startEnrolmentService({ tls: await ca.issue({ name: 'verifier', ip: ['127.0.0.1'] }) })
  const agent = new Agent({ ca: ca.cert })
  const sent = httpsRequest(`${service.base}${begin}`, { method: 'POST', agent, headers: { 'content-type': 'application/json' } })
  sent.end(JSON.stringify({ ticket: service.invite() }))
  const [response] = await once(sent, 'response')
  response.resume()
  await once(response, 'end')
  agent.destroy()
  assert.deepEqual([response.statusCode, response.headers['strict-transport-security']], [200, 'max-age=31536000'])
})

test('waits for nobody long, and holds few connections', () => {
  const { headersTimeout, requestTimeout, keepAliveTimeout, maxRequestsPerSocket, maxConnections, timeout } = service.app.server
  // Node takes the smaller of the first two for the headers: the other way round, a body may take a minute.
  assert.deepEqual([headersTimeout, requestTimeout, keepAliveTimeout, timeout], [5_000, 10_000, 5_000, 10_000])
  assert.deepEqual([maxRequestsPerSocket, maxConnections], [100, 512])
})

test('ends requests that are too slow, within a second, and for clients that do not', { timeout: 5_000 }, async () => {
  const { server } = service.app
  Object.assign(server, { headersTimeout: 1, requestTimeout: 1 })
  const accepted: Socket[] = []
  server.on('connection', (socket: Socket) => accepted.push(socket))
  for (const begun of ['POST ', `POST ${begin} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{`]) {
    // Reads nothing and closes nothing.
    const socket = connect({ port: service.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.write(begun)
    await once(server, 'connection')
    await once(accepted.pop() as Socket, 'close')
    socket.destroy()
  }
})
test('keeps no connection of a client that talks nonsense and does not leave', { timeout: 5_000 }, async () => {
  const socket = connect({ port: service.port, host: '127.0.0.1', allowHalfOpen: true })
  const [accepted] = (await once(service.app.server, 'connection')) as [Socket]
  socket.write('nonsense\r\n\r\n')
  await once(accepted, 'close')
  socket.destroy()
})
