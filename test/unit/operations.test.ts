import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { hashSync } from 'bcryptjs'
import type { MetricsAuth } from '../../src/observability/metrics-auth.ts'
import { createOperationsListener, type OperationsListener } from '../../src/observability/operations.ts'
import { OperationsConfigError } from '../../src/observability/secret-file.ts'
import { seriesValue, testMetrics } from '../support/metrics.ts'
import { testCa } from '../support/test-certificates.ts'

const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-operations-'))
after(() => rmSync(dir, { recursive: true, force: true }))
let files = 0
function file(text: string, { mode = 0o600, path = join(dir, `file-${files++}`) } = {}): string {
  // As a rotation does it: complete, then renamed.
  writeFileSync(`${path}.next`, text, { mode })
  chmodSync(`${path}.next`, mode)
  renameSync(`${path}.next`, path)
  return path
}

const token = 'a-token-of-some-length'
const users = `# scrapers\n\nprometheus:${hashSync('correct horse', 4)}\n`
const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`

interface Reply {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

function ask(listener: OperationsListener, path: string, options: RequestOptions & { secure?: boolean } = {}): Promise<Reply> {
  const { host, port } = listener.address
  return new Promise((resolve, reject) => {
    const call = options.secure ? httpsRequest : httpRequest
    const request = call({ host, port, path, agent: false, ...options }, async (response) => {
      let body = ''
      for await (const chunk of response.setEncoding('utf8')) body += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
    })
    request.once('error', reject)
    request.end()
  })
}

async function start(auth: MetricsAuth | undefined, changes: { tls?: { certFile: string; keyFile: string } } = {}) {
  const metrics = testMetrics()
  const failures: unknown[] = []
  let ready = true
  const listener = await createOperationsListener({
    listen: { host: '127.0.0.1', port: 0 }, auth, tls: changes.tls ?? null, metrics, ready: () => ready, failed: (cause) => void failures.push(cause),
  })
  after(() => listener.close())
  const failed = async (mode: string) => seriesValue((await metrics.exposition()).body, `nats_webauthn_metrics_auth_failures_total{mode="${mode}"}`)
  return { listener, failures, failed, setReady: (value: boolean) => { ready = value } }
}
const scrape = (listener: OperationsListener, authorization?: string) => ask(listener, '/metrics', authorization === undefined ? {} : { headers: { authorization } })

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
    socket.setEncoding('utf8').on('data', (chunk: string) => { received += chunk })
    const smuggled = 'GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n'
    socket.write(`GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`)
    await once(socket, 'close')
    assert.equal(received.match(/HTTP\/1\.1 /g)?.length, 1)
  })

  test('refuses a message whose length is told in two ways', async () => {
    const { listener } = await start({ mode: 'none' })
    const socket = connect(listener.address.port, listener.address.host)
    let received = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => { received += chunk })
    socket.write('GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n')
    await once(socket, 'close')
    assert.match(received, /^HTTP\/1\.1 400 /)
  })

  test('closes with a request in hand', async () => {
    const metrics = testMetrics()
    const listener = await createOperationsListener({ listen: { host: '127.0.0.1', port: 0 }, auth: { mode: 'none' }, tls: null, metrics, ready: () => true, failed: () => {} })
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

describe('mode basic', () => {
  test('gives the metrics to a listed user', async () => {
    const { listener } = await start({ mode: 'basic', usersFile: file(users) })
    assert.equal((await scrape(listener, basic('prometheus', 'correct horse'))).status, 200)
    assert.equal((await scrape(listener, basic('prometheus', 'correct horse').replace('Basic', 'bAsIc'))).status, 200)
  })

  for (const [what, authorization] of [
    ['nothing', undefined],
    ['a wrong password', basic('prometheus', 'wrong')],
    ['an unknown user', basic('nobody', 'correct horse')],
    ['an empty password', basic('prometheus', '')],
    ['no colon', `Basic ${Buffer.from('prometheus').toString('base64')}`],
    ['the hash as password', basic('prometheus', users.split(':')[1]?.trim() ?? '')],
    ['a password beyond what bcrypt reads', basic('prometheus', 'x'.repeat(73))],
    ['a bearer token', `Bearer ${token}`],
    ['no base64', 'Basic \u0001'],
    ['a name out of Object.prototype', basic('__proto__', 'x')],
  ] as const) {
    test(`refuses ${what} with a challenge and counts it`, async () => {
      const { listener, failed } = await start({ mode: 'basic', usersFile: file(users) })
      const reply = await scrape(listener, authorization?.includes('\u0001') ? 'Basic !!!' : authorization)
      assert.equal(reply.status, 401)
      assert.match(reply.headers['www-authenticate'] ?? '', /^Basic realm=/)
      assert.doesNotMatch(reply.body, /nats_webauthn/)
      assert.equal(await failed('basic'), 1)
    })
  }

  test('goes on after a rotation: old and new password in two users, then the new alone', async () => {
    const usersFile = file(users)
    const { listener } = await start({ mode: 'basic', usersFile })
    const [old, next] = [basic('prometheus', 'correct horse'), basic('prometheus2', 'battery staple')]
    assert.equal((await scrape(listener, old)).status, 200)
    const line = `prometheus2:${hashSync('battery staple', 4)}\n`
    file(`${users}${line}`, { path: usersFile })
    assert.deepEqual([(await scrape(listener, old)).status, (await scrape(listener, next)).status], [200, 200])
    file(line, { path: usersFile })
    assert.deepEqual([(await scrape(listener, old)).status, (await scrape(listener, next)).status], [401, 200])
  })

  test('a known password stays usable while somebody guesses, and guessing is slowed down', async () => {
    const { listener } = await start({ mode: 'basic', usersFile: file(users) })
    const right = basic('prometheus', 'correct horse')
    assert.equal((await scrape(listener, right)).status, 200)
    const guesses = await Promise.all(Array.from({ length: 40 }, (_, i) => scrape(listener, basic('prometheus', `guess ${i}`))))
    const slowed = guesses.filter(({ status, headers }) => status === 429 && headers['retry-after'] === '1').length
    assert(slowed >= 25)
    assert(guesses.every(({ status }) => status === 401 || status === 429))
    assert.equal((await scrape(listener, right)).status, 200)
  })

  for (const [what, text] of [
    ['no user', '# nobody\n'], ['a plain password', 'prometheus:secret\n'], ['an MD5 hash', 'a:$apr1$x$y\n'], ['a user twice', `${users}${users}`],
    ['a hash that costs minutes', `a:${hashSync('x', 4).replace('$04$', '$31$')}\n`], ['a torn line', users.slice(0, -10)],
  ] as const) {
    test(`does not start with a file of ${what}`, async () => {
      await assert.rejects(start({ mode: 'basic', usersFile: file(text) }), OperationsConfigError)
    })
  }
})

describe('mode bearer', () => {
  test('gives the metrics to the token', async () => {
    const { listener } = await start({ mode: 'bearer', tokenFile: file(`${token}\n`) })
    assert.equal((await scrape(listener, `Bearer ${token}`)).status, 200)
  })

  for (const [what, authorization] of [
    ['nothing', undefined], ['another token', 'Bearer another-token-of-length'], ['the start of the token', `Bearer ${token.slice(0, -1)}`],
    ['the token and more', `Bearer ${token}x`], ['a password', basic('prometheus', 'correct horse')], ['the token as a password', basic('prometheus', token)],
    ['the token without a scheme', token], ['the token twice', `Bearer ${token} ${token}`], ['an empty token', 'Bearer '],
  ] as const) {
    test(`refuses ${what} with a challenge and counts it`, async () => {
      const { listener, failed } = await start({ mode: 'bearer', tokenFile: file(`${token}\n`) })
      const reply = await scrape(listener, authorization)
      assert.equal(reply.status, 401)
      assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer realm=/)
      assert.equal(await failed('bearer'), 1)
    })
  }

  test('a rotation refuses no scrape: old, both, new', async () => {
    const tokenFile = file(`${token}\n`)
    const { listener } = await start({ mode: 'bearer', tokenFile })
    const next = 'the-next-token-of-length'
    const status = async (offered: string) => (await scrape(listener, `Bearer ${offered}`)).status
    assert.equal(await status(token), 200)
    file(`${token}\n${next}\n`, { path: tokenFile })
    assert.deepEqual([await status(token), await status(next)], [200, 200])
    file(`${next}\n`, { path: tokenFile })
    assert.deepEqual([await status(next), await status(token)], [200, 401])
  })

  for (const [what, spoil] of [
    ['missing', (path: string) => rmSync(path)], ['readable by others', (path: string) => chmodSync(path, 0o644)], ['empty', (path: string) => void file('', { path })],
    ['a directory', (path: string) => { rmSync(path); mkdtempSync(join(dir, 'x')); renameSync(mkdtempSync(join(dir, 'y')), path) }],
  ] as const) {
    test(`fails closed while the file is ${what}, tells why to the log alone, and recovers`, async () => {
      const tokenFile = file(`${token}\n`)
      const { listener, failures } = await start({ mode: 'bearer', tokenFile })
      assert.equal((await scrape(listener, `Bearer ${token}`)).status, 200)
      spoil(tokenFile)
      const reply = await scrape(listener, `Bearer ${token}`)
      assert.deepEqual([reply.status, reply.body, failures.length], [503, 'unavailable\n', 1])
      rmSync(tokenFile, { recursive: true, force: true })
      file(`${token}\n`, { path: tokenFile })
      assert.equal((await scrape(listener, `Bearer ${token}`)).status, 200)
    })
  }

  for (const [what, text, mode] of [
    ['nothing in it', '\n', 0o600], ['a short token', 'secret\n', 0o600], ['three tokens', `${token}\n${token}2\n${token}3\n`, 0o600], ['spaces in a token', 'a token with spaces in it\n', 0o600],
    ['read permission for others', `${token}\n`, 0o644], ['read permission for the group', `${token}\n`, 0o640],
  ] as const) {
    test(`does not start with ${what}, and does not say what the file holds`, async () => {
      await assert.rejects(start({ mode: 'bearer', tokenFile: file(text, { mode }) }), (error: Error) => {
        assert(error instanceof OperationsConfigError)
        assert(text.trim() === '' || !error.message.includes(text.split('\n')[0] ?? ''))
        return true
      })
    })
  }

  test('does not start without its file', async () => {
    await assert.rejects(start({ mode: 'bearer', tokenFile: join(dir, 'nowhere') }), OperationsConfigError)
  })
})

describe('TLS', async () => {
  const ca = await testCa('operations CA')
  const otherCa = await testCa('another CA')
  const server = await ca.issue({ name: 'verifier', dns: ['localhost'], ip: ['127.0.0.1'] })
  const tlsFiles = () => ({ certFile: file(server.cert), keyFile: file(server.key) })
  const mtls = (allowedSans: string[] | null = null) => start({ mode: 'mtls', clientCaFile: file(ca.cert), allowedSans }, { tls: tlsFiles() })
  const get = (listener: OperationsListener, path: string, options: RequestOptions = {}) => ask(listener, path, { secure: true, ca: ca.cert, ...options })
  const prometheus = await ca.issue({ name: 'prometheus', dns: ['prometheus.example'] })

  test('mtls gives the metrics to a certificate of its CA', async () => {
    const { listener } = await mtls()
    assert.equal((await get(listener, '/metrics', prometheus)).status, 200)
    const named = await mtls(['prometheus.example'])
    assert.equal((await get(named.listener, '/metrics', prometheus)).status, 200)
  })

  for (const [what, client] of [
    ['no certificate', {}],
    ['a certificate of another CA', await otherCa.issue({ name: 'prometheus', dns: ['prometheus.example'] })],
    ['an expired certificate', await ca.issue({ name: 'prometheus', dns: ['prometheus.example'], notAfter: new Date(Date.now() - 60_000) })],
    ['a password instead', { headers: { authorization: basic('prometheus', 'correct horse') } }],
  ] as const) {
    test(`mtls ends the handshake with ${what} and counts it`, async () => {
      const { listener, failed } = await mtls()
      await assert.rejects(get(listener, '/metrics', client))
      assert.equal(await failed('mtls'), 1)
    })
  }

  test('mtls refuses a certificate that carries none of the allowed names', async () => {
    const { listener, failed } = await mtls(['prometheus.example'])
    for (const dns of [['grafana.example'], ['prometheus.example.evil'], ['xprometheus.example'], []]) {
      const client = await ca.issue({ name: 'prometheus.example', dns, ip: ['192.0.2.1'] })
      assert.equal((await get(listener, '/metrics', client)).status, 403)
    }
    assert.equal(await failed('mtls'), 4)
  })

  test('mtls cannot be had without TLS', async () => {
    await assert.rejects(start({ mode: 'mtls', clientCaFile: file(ca.cert), allowedSans: null }), OperationsConfigError)
  })

  test('serves bearer over TLS 1.2 and 1.3, and nothing older', async () => {
    const { listener } = await start({ mode: 'bearer', tokenFile: file(token) }, { tls: tlsFiles() })
    const headers = { authorization: `Bearer ${token}` }
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      assert.equal((await get(listener, '/metrics', { headers, minVersion: version, maxVersion: version })).status, 200)
    }
    await assert.rejects(get(listener, '/metrics', { headers, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }))
    await assert.rejects(ask(listener, '/metrics', { headers }))
  })

  test('a renewed certificate is served without a restart; a torn one is not', async () => {
    const files = tlsFiles()
    const { listener, failures } = await start({ mode: 'none' }, { tls: files })
    const serial = () => new Promise<string>((resolve, reject) => {
      const call = httpsRequest({ ...listener.address, path: '/livez', ca: ca.cert, agent: false }, (response) => {
        resolve((response.socket as import('node:tls').TLSSocket).getPeerCertificate().serialNumber)
        response.resume()
      })
      call.once('error', reject).end()
    })
    const before = await serial()
    const renewed = await ca.issue({ name: 'verifier', dns: ['localhost'], ip: ['127.0.0.1'] })
    file(renewed.cert, { path: files.certFile })
    // Certificate and key do not fit each other yet.
    assert.equal(await serial(), before)
    assert.equal(await serial(), before)
    assert(failures.length > 0)
    file(renewed.key, { path: files.keyFile })
    // A connection is what makes it look; the next ones see what it found.
    let now = before
    for (let i = 0; i < 50 && now === before; i++) now = await serial()
    assert.notEqual(now, before)
  })

  for (const [what, tls] of [
    ['a key that others can read', () => ({ certFile: file(server.cert), keyFile: file(server.key, { mode: 0o644 }) })],
    ['a certificate of another key', () => ({ certFile: file(prometheus.cert), keyFile: file(server.key) })],
    ['files that are not there', () => ({ certFile: join(dir, 'nowhere'), keyFile: join(dir, 'nowhere') })],
  ] as const) {
    test(`does not start with ${what}`, async () => {
      await assert.rejects(start({ mode: 'none' }, { tls: tls() }), OperationsConfigError)
    })
  }
})
