import assert from 'node:assert/strict'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { OperationsListener } from '../../src/observability/operations.ts'
import { OperationsConfigError } from '../../src/observability/secret-file.ts'
import { ask, basic, dir, file, start, token } from '../support/operations.ts'
import { testCa } from '../support/test-certificates.ts'

describe('TLS', async () => {
  const ca = await testCa('operations CA')
  const otherCa = await testCa('another CA')
  const server = await ca.issue({ name: 'verifier', dns: ['localhost'], ip: ['127.0.0.1'] })
  const tlsFiles = () => ({ certFile: file(server.cert), keyFile: file(server.key) })
  const mtls = (allowedSans: string[] | null = null) =>
    start({ mode: 'mtls', clientCaFile: file(ca.cert), allowedSans }, { tls: tlsFiles() })
  const get = (listener: OperationsListener, path: string, options: RequestOptions = {}) =>
    ask(listener, path, { secure: true, ca: ca.cert, ...options })
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
    [
      'an expired certificate',
      await ca.issue({ name: 'prometheus', dns: ['prometheus.example'], notAfter: new Date(Date.now() - 60_000) }),
    ],
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
    const serial = () =>
      new Promise<string>((resolve, reject) => {
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
