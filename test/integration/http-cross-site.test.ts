/** What a foreign page can do, and what can be sent: CSRF, names that were pointed at us, bodies, the callback. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, before, beforeEach, describe, test } from 'node:test'
import { PROGRAM_ROUTES, pageRoutes } from '../support/http-routes.ts'
import { browser, type PeopleService, pageHeaders, startPeopleService, verdictOf } from '../support/people-service.ts'
import { putLogin, putPerson } from '../support/people-world.ts'

const LOGIN = 'nats-webauthn-login'
const CALLBACK = '/v1/login/callback'

let service: PeopleService
let paths: string[]
before(async () => {
  paths = await pageRoutes()
  assert.ok(paths.length >= 15)
})
beforeEach(async () => {
  service = await startPeopleService()
})
afterEach(() => service.stop())

const fromPage = (change: Record<string, string | null> = {}) => pageHeaders(service.origin, change)

describe("another site's page", () => {
  const foreign: Record<string, [Record<string, string | null>, string]> = {
    'that sends no Origin': [{ origin: null }, '403 request_malformed/origin'],
    'of another origin': [{ origin: 'https://evil.example' }, '403 request_malformed/origin'],
    'in a sandbox, or after a redirect': [{ origin: 'null' }, '403 request_malformed/origin'],
    'of our host with another scheme': [{ origin: 'https://localhost' }, '403 request_malformed/origin'],
    'that calls itself our subdomain': [{ origin: 'http://a.localhost' }, '403 request_malformed/origin'],
    'whose browser says cross-site': [{ 'sec-fetch-site': 'cross-site' }, '403 request_malformed/origin'],
    'whose browser says same-site': [{ 'sec-fetch-site': 'same-site' }, '403 request_malformed/origin'],
    'whose browser says none': [{ 'sec-fetch-site': 'none' }, '403 request_malformed/origin'],
  }
  for (const [name, [change, verdict]] of Object.entries(foreign)) {
    test(`${name} does nothing with the cookie of its visitor`, async () => {
      const { cookie } = putLogin(service.world, putPerson(service.world).handle)
      for (const path of paths) {
        const answer = await service.ask({ path, body: {}, headers: fromPage({ cookie: `${LOGIN}=${cookie}`, ...change }) })
        assert.equal(verdictOf(answer), verdict, path)
        assert.equal(answer.headers['set-cookie'], undefined, path)
      }
      assert.equal([...service.world.logins.all().values()][0]?.record.state, 'active')
    })
  }

  test('sends no form, no text and no empty body that is read', async () => {
    const { cookie } = putLogin(service.world, putPerson(service.world).handle)
    const headers = (type: string | null) => fromPage({ cookie: `${LOGIN}=${cookie}`, 'content-type': type })
    for (const path of paths) {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx'])
        assert.equal(verdictOf(await service.ask({ path, body: '{}', headers: headers(type) })), '415 request_malformed/content_type', path)
      const empty = await service.ask({ path, headers: headers(null) })
      assert.equal(verdictOf(empty), '400 request_malformed/schema', path)
    }
    assert.equal([...service.world.logins.all().values()][0]?.record.state, 'active')
  })

  test('cannot reach by GET what is for POST', async () => {
    for (const path of [...paths, ...PROGRAM_ROUTES]) {
      for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])
        assert.equal((await service.ask({ method, path, headers: fromPage() })).status, 404, `${method} ${path}`)
    }
  })

  test('does not drive a terminal, nor does our own', async () => {
    for (const path of PROGRAM_ROUTES) {
      for (const origin of [service.origin, 'https://evil.example', 'null'])
        assert.equal(verdictOf(await service.ask({ path, body: {}, headers: { origin } })), '403 request_malformed/origin', path)
      for (const site of ['same-origin', 'cross-site', 'none'])
        assert.equal(verdictOf(await service.ask({ path, body: {}, headers: { 'sec-fetch-site': site } })), '403 request_malformed/origin')
    }
  })

  test('under a name that was pointed at us reads nothing, on any route', async () => {
    const hosts = ['evil.example', `evil.example:${service.port}`, `127.0.0.1:${service.port}`, 'localhost', `localhost.:${service.port}`]
    for (const host of hosts) {
      for (const path of [...paths, ...PROGRAM_ROUTES])
        assert.equal(verdictOf(await service.ask({ path, body: {}, headers: { host } })), '421 request_malformed/host', path)
      for (const path of ['/', '/assets/page.js', '/v1/page', CALLBACK])
        assert.equal(verdictOf(await service.ask({ method: 'GET', path, headers: { host } })), '421 request_malformed/host', path)
    }
  })
})

describe('a body', () => {
  test('is at most 32 KiB, and has the members of its route and no other', async () => {
    for (const path of paths) {
      const large = await service.ask({ path, body: ' '.repeat(32 * 1024 + 1), headers: fromPage() })
      assert.equal(verdictOf(large), '413 request_malformed/body_size', path)
      for (const body of ['[]', 'null', '{"more":1}', '{"__proto__":{}}'])
        assert.equal(verdictOf(await service.ask({ path, body, headers: fromPage() })), '400 request_malformed/schema', `${path} ${body}`)
    }
    for (const path of PROGRAM_ROUTES) {
      assert.equal(verdictOf(await service.terminal(path, ' '.repeat(32 * 1024 + 1))), '413 request_malformed/body_size', path)
      assert.equal(verdictOf(await service.terminal(path, { more: 1 })), '400 request_malformed/schema', path)
    }
  })

  test('has members that are what they are for', async () => {
    const nkey = 'UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4'
    const terminal = { nkey, flow: 'loopback', host: 'build-7', port: 41_234 }
    const wrong: [string, unknown][] = [
      ...[0, 1, 80, 1_023, 65_536, 1.5, '4711', null].map((port): [string, unknown] => ['/v1/session/begin', { ...terminal, port }]),
      ...['', 'x'.repeat(65), 'a\nb', 'a\u202eb'].map((host): [string, unknown] => ['/v1/session/begin', { ...terminal, host }]),
      ...['', nkey.slice(1), nkey.toLowerCase(), `S${nkey.slice(1)}`].map((key): [string, unknown] => [
        '/v1/session/end/begin',
        { nkey: key },
      ]),
      ['/v1/session/begin', { ...terminal, flow: 'code' }],
      ['/v1/session/begin', { ...terminal, flow: 'other' }],
      ['/v1/session/complete', { request: 'r', code: 'short' }],
      ['/v1/session/possess', { request: '../x', signature: 'A'.repeat(86) }],
      ['/v1/session/possess', { request: 'r', signature: 'A'.repeat(87) }],
    ]
    for (const [path, body] of wrong)
      assert.equal(verdictOf(await service.terminal(path, body)), '400 request_malformed/schema', JSON.stringify(body))
    const page: [string, unknown][] = [
      ['/v1/session/show', { request: 'r', code: 'BCDF-GHJK' }],
      ['/v1/session/show', { code: 'x'.repeat(33) }],
      ['/v1/devices/rename', { id: 'A', name: 'x\u2028' }],
      ['/v1/devices/remove', { id: '=' }],
      ['/v1/sessions/end', { nkey: 'U' }],
      ['/v1/login/ticket', { ticket: 'x'.repeat(257) }],
      ['/v1/login/idp', { provider: 'corp', fresh: 'yes' }],
      ['/v1/login/passkey/finish', { ceremony: 'a.b', response: {} }],
    ]
    for (const [path, body] of page)
      assert.equal(verdictOf(await service.ask({ path, body, headers: fromPage() })), '400 request_malformed/schema', JSON.stringify(body))
  })
})

describe('the callback', () => {
  const open = (query: string, headers: Record<string, string> = {}) => service.ask({ method: 'GET', path: `${CALLBACK}${query}`, headers })

  test('says nothing of what it was asked, in any header or body', async () => {
    const marker = 'rEfLeCt'
    const queries = [
      `?state=${marker}&code=${marker}`,
      `?error=${marker}&error_description=<script>${marker}</script>`,
      `?${marker}=1`,
      `?state=%0d%0aset-cookie:%20${marker}=1`,
      `?state=https://evil.example/${marker}`,
      `?state=a&state=${marker}`,
      `?state=${marker.repeat(700)}`,
      '',
    ]
    for (const query of queries) {
      const answer = await open(query)
      assert.deepEqual([answer.status, answer.text], [303, ''], query)
      assert.match(answer.headers.location ?? '', /^\/#error=(?:signin_expired|request_malformed)$/, query)
      assert.equal(JSON.stringify(answer.headers).toLowerCase().includes(marker.toLowerCase()), false, query)
      assert.equal(answer.headers['set-cookie'], undefined)
    }
  })

  test('reads a query of 4 KiB, each parameter once', async () => {
    assert.equal(verdictOf(await open(`?${'x'.repeat(4096)}`)), '303 /#error=signin_expired')
    assert.equal(verdictOf(await open(`?${'x'.repeat(4097)}`)), '303 /#error=request_malformed')
    assert.equal(verdictOf(await open('?state=a&code=b&code=c')), '303 /#error=request_malformed')
    assert.equal(verdictOf(await open('?st%61te=a&state=b')), '303 /#error=request_malformed')
  })

  test('in another browser, a second time, and of no redirect of ours looks alike, and signs nobody in', async () => {
    const page = browser(service)
    const { url } = (await page.post('/v1/login/idp', { provider: 'corp' })).body
    const query = `?state=${new URL(url).searchParams.get('state')}&code=c`
    const forged = await open(query)
    const begunElsewhere = browser(service)
    await begunElsewhere.post('/v1/login/idp', { provider: 'corp' })
    const other = await begunElsewhere.open(`${CALLBACK}${query}`)
    assert.equal(verdictOf(await page.open(`${CALLBACK}${query}`)), '303 /')
    const replayed = await page.open(`${CALLBACK}${query}`)
    const unknown = await open(`?state=${randomBytes(32).toString('base64url')}&code=c`)
    for (const answer of [forged, other, replayed, unknown]) {
      assert.equal(verdictOf(answer), '303 /#error=signin_expired')
      assert.equal(answer.headers['set-cookie'], undefined)
    }
    assert.equal(service.world.idp.exchanges, 1)
  })

  test('with a malformed cookie takes it away', async () => {
    const answer = await open('?state=a', { cookie: 'nats-webauthn-idp=x; nats-webauthn-idp=y' })
    assert.equal(verdictOf(answer), '303 /#error=request_malformed')
    assert.match(answer.headers['set-cookie']?.[0] ?? '', /^nats-webauthn-idp=; Max-Age=0/)
  })
})
