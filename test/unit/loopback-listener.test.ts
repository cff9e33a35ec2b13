import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, test } from 'node:test'
import { type LoopbackListener, openListener } from '../../src/cli/loopback-listener.ts'

const CODE = 'A'.repeat(43)
const open: LoopbackListener[] = []
afterEach(() => {
  for (const listener of open.splice(0)) listener.close()
})

async function waiting(id = 'the-request') {
  const listener = await openListener()
  open.push(listener)
  const code = listener.callbackOf(id)
  return { listener, code }
}

interface Sent {
  method?: string
  path?: string
  headers?: Record<string, string>
  body?: string
}

async function send(
  { port }: LoopbackListener,
  { method = 'GET', path = `/callback?request=the-request&code=${CODE}`, headers = {}, body }: Sent = {},
) {
  const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false })
  sent.end(body)
  const [response] = await once(sent, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode as number, headers: response.headers as Record<string, string>, text }
}

describe('the listener', () => {
  test('takes one callback of its request and is gone', async () => {
    const { listener, code } = await waiting()
    const answer = await send(listener)
    assert.equal(answer.status, 200)
    assert.equal(await code, CODE)
    assert.ok(!answer.text.includes(CODE))
    await assert.rejects(send(listener), { code: 'ECONNREFUSED' })
  })

  test('answers a page that loads, frames and leaks nothing', async () => {
    const { listener } = await waiting()
    const { headers, text } = await send(listener)
    const style = /<style>(.*)<\/style>/.exec(text)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    assert.match(headers['content-security-policy'] ?? '', /^default-src 'none'; /)
    assert.ok(headers['content-security-policy']?.includes(`style-src 'sha256-${hash}'`))
    assert.ok(headers['content-security-policy']?.includes("frame-ancestors 'none'"))
    assert.deepEqual(
      [headers['cache-control'], headers['referrer-policy'], headers['x-content-type-options'], headers['connection']],
      ['no-store', 'no-referrer', 'nosniff', 'close'],
    )
    assert.doesNotMatch(text, /<script|src=|href=/)
  })

  test('is on the loopback interface only', async () => {
    const { listener } = await waiting()
    const socket = connect({ host: '127.0.0.1', port: listener.port })
    await once(socket, 'connect')
    assert.equal(socket.remoteAddress, '127.0.0.1')
    socket.destroy()
    await assert.rejects(once(connect({ host: '127.0.0.2', port: listener.port }), 'connect'), { code: 'ECONNREFUSED' })
  })

  const path = (query: string) => ({ path: `/callback?${query}` })
  const wrong: Record<string, [Sent, number]> = {
    'another method': [{ method: 'POST' }, 405],
    'a HEAD': [{ method: 'HEAD' }, 405],
    'a page of another name: DNS rebinding': [{ headers: { host: 'attacker.example' } }, 421],
    'localhost in place of the address': [{ headers: { host: 'localhost' } }, 421],
    'another path': [{ path: `/?request=the-request&code=${CODE}` }, 404],
    'a path below': [{ path: `/callback/x?request=the-request&code=${CODE}` }, 404],
    'an absolute address': [{ path: `http://127.0.0.1/callback?request=the-request&code=${CODE}` }, 404],
    'a favicon': [{ path: '/favicon.ico' }, 404],
    'another request': [path(`request=other&code=${CODE}`), 404],
    'no request': [path(`code=${CODE}`), 400],
    'no code': [path('request=the-request'), 400],
    'a code twice': [path(`request=the-request&code=${CODE}&code=${CODE}`), 400],
    'something more': [path(`request=the-request&code=${CODE}&x=1`), 400],
    'a short code': [path('request=the-request&code=AAAA'), 400],
    'a code with markup': [path(`request=the-request&code=${encodeURIComponent('<script>')}${'A'.repeat(35)}`), 400],
    'an image of some page': [{ headers: { 'sec-fetch-dest': 'image' } }, 403],
    'a frame of some page': [{ headers: { 'sec-fetch-dest': 'iframe' } }, 403],
    'a call of some page': [{ headers: { 'sec-fetch-dest': 'empty' } }, 403],
    'a body': [{ headers: { 'content-length': '2' }, body: '{}' }, 400],
    'a long address': [path(`request=the-request&code=${'A'.repeat(1000)}`), 414],
    'large headers': [{ headers: { 'x-large': 'a'.repeat(20_000) } }, 431],
  }
  for (const [name, [sent, status]] of Object.entries(wrong)) {
    test(`turns away ${name}, and waits on`, async () => {
      const { listener, code } = await waiting()
      assert.equal((await send(listener, sent)).status, status)
      assert.equal((await send(listener)).status, 200)
      assert.equal(await code, CODE)
    })
  }

  test('takes a navigation of the browser', async () => {
    const { listener, code } = await waiting()
    const headers = { 'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'cross-site' }
    assert.equal((await send(listener, { headers })).status, 200)
    assert.equal(await code, CODE)
  })

  test('knows no callback before there is a request', async () => {
    const listener = await openListener()
    open.push(listener)
    assert.equal((await send(listener)).status, 404)
  })

  test('closes with its connections', async () => {
    const { listener } = await waiting()
    const socket = connect({ host: '127.0.0.1', port: listener.port })
    await once(socket, 'connect')
    listener.close()
    socket.resume()
    await once(socket, 'close')
    await assert.rejects(send(listener), { code: 'ECONNREFUSED' })
  })
})
