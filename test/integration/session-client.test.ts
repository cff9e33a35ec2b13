/** The terminal's side of a session request, against a verifier that lies. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { createSessionKey } from '../../src/client/session-key.ts'
import { endSession, requestSession } from '../../src/client/session-request.ts'
import { sessionCheckCode } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { challengeFor, possession } from '../support/terminal.ts'

describe('a verifier that lies', () => {
  let server: Server
  let url: string
  let answers: Record<string, object | string>
  const asked: { path: string; body: Record<string, string> }[] = []
  beforeEach(async () => {
    asked.length = 0
    server = createServer(async (request, response) => {
      let text = ''
      for await (const chunk of request.setEncoding('utf8')) text += chunk
      const path = request.url ?? ''
      asked.push({ path, body: JSON.parse(text) })
      const answer = answers[path] ?? {}
      response.setHeader('content-type', 'application/json')
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    answers = {}
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  const key = createSessionKey()
  const request = 'the-request'
  const begun = (change: object = {}) => ({
    request,
    issued: Buffer.alloc(32).toString('base64url'),
    url: `${url}/#session=${request}`,
    code: sessionCheckCode(sha256, { request, nkey: key.nkey }),
    expiresAt: Date.now() + 600_000,
    ...change,
  })
  const session = (change: object = {}) => ({
    handle: 'alice',
    nkey: key.nkey,
    roles: ['reader'],
    urls: ['tls://a:4222'],
    inboxPrefix: '_INBOX_alice',
    expiresAt: 1,
    ...change,
  })
  const ask = () => requestSession({ url, key, host: 'laptop', port: 4711 })

  for (const [name, change] of Object.entries({
    "another verifier's page: a relay": { url: 'https://nats.example.com/#session=the-request' },
    'another request at its page': { url: 'URL/#session=other' },
    'a script in place of a page': { url: 'javascript:alert(1)' },
    'a check code that is not of this nkey': { code: 'BCDF-GHJK' },
    'a code that steers the terminal': { code: '\u001b[2J' },
    'too few bytes to sign': { issued: 'AAAA' },
    'no bytes to sign': { issued: null },
    'a request id with a path': { request: '../x' },
  } as Record<string, Record<string, unknown>>)) {
    test(`gets no signature with ${name}`, async () => {
      answers['/v1/session/begin'] = begun({
        ...change,
        ...(change['url'] === 'URL/#session=other' ? { url: `${url}/#session=other` } : {}),
      })
      await assert.rejects(ask(), { code: 'session_failed' })
      assert.deepEqual(
        asked.map(({ path }) => path),
        ['/v1/session/begin'],
      )
    })
  }

  for (const [name, change] of Object.entries({
    'for another nkey': { nkey: createSessionKey().nkey },
    'of a handle that is none': { handle: '../x' },
    'with an address that breaks a line': { urls: ['tls://a:4222\n'] },
    'with a hundred addresses and one': { urls: Array(101).fill('tls://a:4222') },
    'without an end': { expiresAt: 'never' },
    'with a prefix of spaces': { inboxPrefix: '_INBOX alice' },
  })) {
    test(`gives no session ${name}`, async () => {
      answers['/v1/session/begin'] = begun()
      answers['/v1/session/complete'] = { session: session(change) }
      answers['/v1/session/poll'] = { state: 'complete', session: session(change) }
      const open = await ask()
      await assert.rejects(open.complete('A'.repeat(43)), { code: 'session_failed' })
      await assert.rejects(open.poll(), { code: 'session_failed' })
    })
  }

  test('that goes by another address than the one that was dialled is not taken for one that does not answer', async () => {
    const elsewhere = createServer((request, response) => {
      request
        .resume()
        .on('end', () => response.writeHead(421, { 'content-type': 'application/json' }).end('{"error":{"code":"request_malformed"}}'))
    }).listen(0, '127.0.0.1')
    await once(elsewhere, 'listening')
    const address = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`
    try {
      const asking = requestSession({ url: address, key, host: 'laptop', port: 4711 })
      await assert.rejects(asking, { code: 'session_refused' })
    } finally {
      elsewhere.closeAllConnections()
      elsewhere.close()
    }
  })

  test('is not believed with a state that there is not, an answer that is no JSON, or one that has no end', async () => {
    answers['/v1/session/begin'] = begun()
    const open = await ask()
    for (const answer of [{ state: 'granted' }, {}, 'no json', '[]', ' '.repeat(70_000)]) {
      answers['/v1/session/poll'] = answer
      await assert.rejects(open.poll(), { code: 'session_failed' })
    }
  })

  test('gets a signature that is for its own address alone, also when a session ends', async () => {
    const issued = Buffer.alloc(32, 7).toString('base64url')
    answers['/v1/session/end/begin'] = { ceremony: 'c', issued }
    answers['/v1/session/end'] = { ended: true }
    assert.equal(await endSession({ url, key }), true)
    const own = possession(key, challengeFor(issued, key.nkey, { origin: url, act: 'revoke' }))
    assert.equal(asked.at(-1)?.body['signature'], own)
    answers['/v1/session/end'] = { ended: 'yes' }
    await assert.rejects(endSession({ url, key }), { code: 'session_failed' })
  })

  test('is not followed elsewhere', async () => {
    server.removeAllListeners('request')
    server.on('request', (_, response) => response.writeHead(307, { location: 'https://nats.example.com/' }).end())
    await assert.rejects(ask(), { code: 'session_failed' })
  })
})
