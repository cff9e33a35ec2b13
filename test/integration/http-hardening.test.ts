/** What a browser is told and keeps: headers, the page's files, cookies. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, before, beforeEach, describe, test } from 'node:test'
import { PAGE_POLICY } from '../../src/http/answer-headers.ts'
import { PROGRAM_ROUTES, pageRoutes } from '../support/http-routes.ts'
import { PAGE_SCRIPT, type PeopleService, pageHeaders, startPeopleService, verdictOf } from '../support/people-service.ts'
import { putLogin, putPerson, putTicket } from '../support/people-world.ts'

const LOGIN = 'nats-webauthn-login'
const HTTPS = 'https://verifier.example.com'
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

describe('every answer', () => {
  const api = "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'"

  test('forbids to be framed, guessed, cached, referred to and read by others, in every route and refusal', async () => {
    const answers = [
      ...(await Promise.all(paths.map((path) => service.ask({ path, body: {}, headers: fromPage() })))),
      ...(await Promise.all(paths.map((path) => service.ask({ path, body: {} })))),
      ...(await Promise.all(PROGRAM_ROUTES.map((path) => service.terminal(path, {})))),
      await service.ask({ method: 'GET', path: '/v1/page' }),
      await service.ask({ method: 'GET', path: CALLBACK }),
      await service.ask({ method: 'GET', path: '/nowhere' }),
      await service.ask({ method: 'GET', path: '/', headers: { host: 'evil.example' } }),
      await service.ask({ method: 'GET', path: '/' }),
      await service.ask({ method: 'GET', path: '/assets/page.js' }),
    ]
    for (const { headers, status } of answers) {
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(headers['x-frame-options'], 'DENY')
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin')
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin')
      assert.match(
        headers['permissions-policy'] as string,
        /^publickey-credentials-get=\(self\), publickey-credentials-create=\(self\), .*camera=\(\)/,
      )
      for (const name of ['strict-transport-security', 'server', 'x-powered-by', 'access-control-allow-origin', 'x-ratelimit-limit'])
        assert.equal(headers[name], undefined, `${status} ${name}`)
    }
    const [asset, document, ...others] = answers.toReversed()
    assert.equal(document?.headers['content-security-policy'], PAGE_POLICY)
    for (const answer of [asset, ...others]) assert.equal(answer?.headers['content-security-policy'], api)
    for (const answer of [document, ...others]) assert.equal(answer?.headers['cache-control'], 'no-store')
  })

  test('asks browsers to stay with HTTPS where the service has it', async () => {
    await service.stop()
    service = await startPeopleService({ world: { origin: HTTPS } })
    const answers = [
      await service.ask({ method: 'GET', path: '/' }),
      await service.ask({ path: '/v1/me', body: {}, headers: fromPage() }),
      await service.ask({ method: 'GET', path: CALLBACK }),
    ]
    for (const { headers } of answers) assert.equal(headers['strict-transport-security'], 'max-age=31536000')
  })
})

describe('the page', () => {
  const get = (path: string, headers: Record<string, string> = {}) => service.ask({ method: 'GET', path, headers })

  test('may run its own files and nothing else', () => {
    const directives = PAGE_POLICY.split('; ')
    for (const directive of ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"])
      assert.ok(directives.includes(directive), directive)
    assert.doesNotMatch(PAGE_POLICY, /unsafe|\*|https?:/)
  })

  test('is sent with its type, its assets with a tag by which a browser asks again', async () => {
    const document = await get('/')
    assert.deepEqual([document.status, document.headers['content-type']], [200, 'text/html; charset=utf-8'])
    const script = await get('/assets/page.js')
    const { etag, 'content-type': type, 'cache-control': caching } = script.headers
    assert.deepEqual([script.text, type, caching], [PAGE_SCRIPT, 'text/javascript; charset=utf-8', 'no-cache'])
    assert.ok(etag)
    const again = await get('/assets/page.js', { 'if-none-match': etag })
    assert.deepEqual([again.status, again.text, again.headers.etag], [304, '', etag])
    assert.equal((await get('/assets/page.js', { 'if-none-match': '"other"' })).status, 200)
  })

  for (const path of [
    '/secret.txt',
    '/index.html',
    '/assets/',
    '/assets/.secret',
    '/assets/page.js.map',
    '/assets/../secret.txt',
    '/assets/%2e%2e/secret.txt',
    '/assets/..%2fsecret.txt',
    '/assets/..\\secret.txt',
    '/assets/page.js%00.txt',
    '/assets/page.js/',
    '//assets/page.js',
    '/assets/page.css/../page.js',
    '/assets/constructor',
  ]) {
    test(`has nothing at ${path}`, async () => {
      const answer = await get(path)
      assert.deepEqual([verdictOf(answer), answer.text.includes('not for')], ['404 request_malformed/route', false])
    })
  }

  test('is read once: what changes in its directory later changes nothing', async () => {
    writeFileSync(join(service.pageDir, 'assets', 'later.js'), 'alert(1)')
    writeFileSync(join(service.pageDir, 'assets', 'page.js'), 'alert(1)')
    assert.equal((await get('/assets/later.js')).status, 404)
    assert.equal((await get('/assets/page.js')).text, PAGE_SCRIPT)
  })

  test('is only there to be got', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'])
      for (const path of ['/', '/assets/page.js']) assert.equal((await service.ask({ method, path, headers: fromPage() })).status, 404)
  })
})

describe('a cookie', () => {
  /** Set-Cookie lines of a sign-in by ticket and of a redirect, without the values. */
  async function attributes(): Promise<string[]> {
    const { ticket } = putTicket(service.world)
    const entered = await service.ask({ path: '/v1/login/ticket', body: { ticket }, headers: fromPage() })
    const sent = await service.ask({ path: '/v1/login/idp', body: { provider: 'corp' }, headers: fromPage() })
    const lines = [...(entered.headers['set-cookie'] ?? []), ...(sent.headers['set-cookie'] ?? [])]
    return lines.map((line) => line.replace(/=[A-Za-z0-9_-]{43};/, '=VALUE;'))
  }

  test('is for this host alone, for HTTPS alone, and out of reach of scripts', async () => {
    await service.stop()
    service = await startPeopleService({ world: { origin: HTTPS } })
    assert.deepEqual(await attributes(), [
      `__Host-${LOGIN}=VALUE; Max-Age=1800; Path=/; HttpOnly; Secure; SameSite=Strict`,
      '__Host-nats-webauthn-idp=VALUE; Max-Age=600; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  test('on loopback without HTTPS is the same without what needs HTTPS', async () => {
    assert.deepEqual(await attributes(), [
      `${LOGIN}=VALUE; Max-Age=1800; Path=/; HttpOnly; SameSite=Strict`,
      'nats-webauthn-idp=VALUE; Max-Age=600; Path=/; HttpOnly; SameSite=Lax',
    ])
  })

  test('is taken away, both of them, with the attributes it was set with', async () => {
    await service.stop()
    service = await startPeopleService({ world: { origin: HTTPS } })
    const out = await service.ask({ path: '/v1/logout', body: {}, headers: fromPage() })
    assert.deepEqual(out.headers['set-cookie'], [
      `__Host-${LOGIN}=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Strict`,
      '__Host-nats-webauthn-idp=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  test('without the prefix is not read where there is HTTPS: any subdomain could have set it', async () => {
    await service.stop()
    service = await startPeopleService({ world: { origin: HTTPS } })
    const { cookie } = putLogin(service.world, putPerson(service.world).handle)
    const me = (name: string) => service.ask({ path: '/v1/me', body: {}, headers: fromPage({ cookie: `${name}=${cookie}` }) })
    assert.equal(verdictOf(await me(LOGIN)), '401 login_required')
    assert.equal((await me(`__Host-${LOGIN}`)).status, 200)
  })

  const good = randomBytes(32).toString('base64url')
  const malformed: Record<string, string> = {
    'that is empty': `${LOGIN}=`,
    'without a value': LOGIN,
    'that is too short': `${LOGIN}=${good.slice(1)}`,
    'that is too long': `${LOGIN}=${good}A`,
    'in quotes': `${LOGIN}="${good}"`,
    'with an escape': `${LOGIN}=%41${good.slice(3)}`,
    'with other characters': `${LOGIN}=${good.slice(1)}+`,
    'that is there twice': `${LOGIN}=${good}; ${LOGIN}=${good}`,
    'that is there twice, once malformed': `${LOGIN}=${good};${LOGIN}=x`,
  }
  for (const [name, cookie] of Object.entries(malformed)) {
    test(`${name} is refused wherever it is read, and taken away`, async () => {
      const { ticket } = putTicket(service.world)
      const calls: [string, unknown][] = [
        ['/v1/me', {}],
        ['/v1/logout', {}],
        ['/v1/devices/begin', {}],
        ['/v1/session/show', { code: 'BCDF-GHJK' }],
        ['/v1/login/ticket', { ticket }],
      ]
      for (const [path, body] of calls) {
        const answer = await service.ask({ path, body, headers: fromPage({ cookie }) })
        assert.equal(verdictOf(answer), '400 request_malformed/cookie', path)
        assert.match(answer.headers['set-cookie']?.[0] ?? '', new RegExp(`^${LOGIN}=; Max-Age=0; Path=/;`))
      }
      assert.equal(service.world.logins.all().size, 0)
    })
  }

  test('of another name, or of the same name longer, is not ours to mind', async () => {
    const { cookie } = putLogin(service.world, putPerson(service.world).handle)
    const header = `x=1; ${LOGIN}s=y; other-${LOGIN}=z; ${LOGIN}=${cookie}; =; ;`
    assert.equal((await service.ask({ path: '/v1/me', body: {}, headers: fromPage({ cookie: header }) })).status, 200)
  })

  test('that nobody was given, that was signed out, or that is too old gets the answer of no cookie at all', async () => {
    const { cookie: ended } = putLogin(service.world, putPerson(service.world).handle, { state: 'ended' })
    const { cookie: expired } = putLogin(service.world, 'alice', { expiresAt: service.world.clock.now })
    const me = (cookie: string | null) => service.ask({ path: '/v1/me', body: {}, headers: fromPage({ cookie }) })
    const [first, ...others] = await Promise.all([me(null), ...[good, ended, expired].map((value) => me(`${LOGIN}=${value}`))])
    assert.equal(first?.status, 401)
    for (const other of others) {
      assert.equal(other.text, first?.text)
      assert.equal(other.headers['set-cookie'], undefined)
    }
  })
})
