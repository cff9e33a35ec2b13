import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { describe, test } from 'node:test'
import { createIdp, type IdpOptions } from '../../src/idp/idp.ts'
import { json, startHostileIssuer, unsignedToken } from '../support/hostile-issuer.ts'
import { CLIENT_SECRET, hostileLogins, outcome } from '../support/hostile-login.ts'
import { idpConfig, idpOptions, SECRETS } from '../support/idp-case.ts'
import { testCa } from '../support/test-certificates.ts'

const { issuer, setUp, loginWith, callback, signed } = hostileLogins()

describe('a provider that misbehaves', () => {
  const paths: [string, string][] = [
    ['/.well-known/openid-configuration', 'discovery'],
    ['/token', 'token_endpoint'],
    ['/jwks', 'keys'],
    ['/me', 'userinfo'],
  ]
  for (const [path, step] of paths) {
    const login = async (options: Partial<IdpOptions> = {}) => {
      const setting = setUp({ claimsFrom: 'userinfo' }, options)
      const result = await loginWith(await signed(), setting)
      return { result, detail: setting.troubles.map((trouble) => `${trouble.step}: ${trouble.detail}`).join() }
    }

    test(`with a redirect at ${path} is unavailable, and the redirect is not followed`, async () => {
      const other = await startHostileIssuer()
      issuer().answers.set(path, (response) => response.writeHead(307, { location: `${other.issuer}${path}` }).end())
      const { result, detail } = await login()
      await other.stop()
      assert.equal(result, `provider_unavailable/${step}`)
      assert.match(detail, new RegExp(`^${step}: .*307`))
      assert.equal(other.seen.length, 0)
    })

    test(`with a huge answer at ${path} is unavailable, and is not read to the end`, async () => {
      issuer().answers.set(path, (response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        // For ever, if it is let.
        const more = () => {
          while (response.write(' '.repeat(65_536)));
          response.once('drain', more)
        }
        more()
      })
      const { result, detail } = await login()
      assert.equal(result, `provider_unavailable/${step}`)
      assert.match(detail, /larger than 262144 bytes/)
    })

    test(`that trickles at ${path} is unavailable after the deadline`, async () => {
      issuer().answers.set(path, (response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const trickle = setInterval(() => response.write(' '), 20)
        response.once('close', () => clearInterval(trickle))
      })
      const { result, detail } = await login({ timeoutMs: 300 })
      assert.equal(result, `provider_unavailable/${step}`)
      assert.match(detail, /no whole answer in time/)
    })

    test(`that hangs up at ${path}, answers with 500 or with no JSON is unavailable`, async () => {
      issuer().answers.set(path, (response) => response.destroy())
      assert.equal((await login()).result, `provider_unavailable/${step}`)
      issuer().answers.set(path, (response) => response.writeHead(500, { 'content-type': 'text/plain' }).end('secret stack trace'))
      const failed = await login()
      assert.equal(failed.result, `provider_unavailable/${step}`)
      assert.ok(!failed.detail.includes('stack trace'))
      for (const body of ['<html>', '[]', '"text"', 'null']) {
        issuer().answers.set(path, (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(body))
        assert.equal((await login()).result, `provider_unavailable/${step}`, body)
      }
    })
  }

  const metadata: [string, () => Record<string, unknown>][] = [
    ['another issuer', () => ({ issuer: 'https://other.example' })],
    ['its issuer with one slash more', () => ({ issuer: `${issuer().issuer}/` })],
    ['no issuer', () => ({ issuer: undefined })],
    ['no token endpoint', () => ({ token_endpoint: undefined })],
    ['keys without TLS beyond this machine', () => ({ jwks_uri: 'http://keys.example/jwks' })],
    ['a token endpoint without TLS beyond this machine', () => ({ token_endpoint: 'http://token.example/' })],
    ['an authorization endpoint that is a script', () => ({ authorization_endpoint: 'javascript:alert(1)' })],
    ['keys in a file', () => ({ jwks_uri: 'file:///etc/passwd' })],
  ]
  for (const [name, changes] of metadata) {
    test(`whose metadata names ${name} is unavailable`, async () => {
      issuer().metadata = changes()
      const { idp } = setUp()
      assert.equal(outcome(await idp.begin('corp', SECRETS, { fresh: false })), 'provider_unavailable/discovery')
    })
  }

  test('with more keys than anybody needs is unavailable', async () => {
    issuer().published = Array.from({ length: 101 }, (_, i) => ({ ...issuer().key.jwk, kid: `key-${i}` }))
    assert.equal(await loginWith(await signed()), 'provider_unavailable/keys')
  })

  test('and refuses a code by an error of its own making gives no word of it away', async () => {
    issuer().answers.set('/token', (response) => json(response, { error: 'made_up', error_description: 'secret' }, 400))
    assert.equal(await loginWith(await signed()), 'code_refused')
    issuer().answers.set('/token', (response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"', 'content-type': 'application/json' }).end('{}')
    })
    assert.equal(await loginWith(await signed()), 'code_refused/invalid_client')
  })

  test('gives userinfo of somebody else, or as a JWT, and is refused', async () => {
    issuer().userinfo = { sub: 'somebody-else', groups: ['orders-team'] }
    const setting = setUp({ claimsFrom: 'userinfo' })
    assert.equal(await loginWith(await signed(), setting), 'subject_malformed/userinfo')
    issuer().userinfo = { groups: ['orders-team'] }
    assert.equal(await loginWith(await signed(), setting), 'provider_unavailable/userinfo')
    issuer().answers.set('/me', (response) => {
      response.writeHead(200, { 'content-type': 'application/jwt' }).end(unsignedToken({ sub: 'person-1' }))
    })
    assert.equal(await loginWith(await signed(), setting), 'provider_unavailable/userinfo')
  })

  test('cannot put claims of userinfo where the ID token was to be asked', async () => {
    issuer().userinfo = { sub: 'person-1', groups: ['orders-team'] }
    const { idp } = setUp()
    issuer().tokens = { access_token: 'a', token_type: 'Bearer', id_token: await signed() }
    const judged = await idp.finish('corp', SECRETS, callback(), { fresh: false })
    assert.ok(judged.ok)
    assert.equal(judged.value.claims['groups'], undefined)
    assert.equal(issuer().count('/me'), 0)
  })
})

describe('TLS', () => {
  test('is verified against the configured authorities, or the system’s', async () => {
    const ca = await testCa('idp authorities')
    const { cert, key } = await ca.issue({ name: 'localhost', dns: ['localhost'] })
    const server = createServer({ cert, key }, (_request, response) => {
      const address = server.address()
      const base = `https://localhost:${typeof address === 'object' ? address?.port : ''}`
      json(response, { issuer: base, authorization_endpoint: `${base}/auth`, token_endpoint: `${base}/token`, jwks_uri: `${base}/jwks` })
    }).listen(0, 'localhost')
    await once(server, 'listening')
    const address = server.address()
    const base = `https://localhost:${typeof address === 'object' ? address?.port : ''}`
    const open = (readPem: (path: string) => string, caFile: string | null, url = base) => {
      const world = idpOptions(CLIENT_SECRET, { readPem })
      return { idp: createIdp([idpConfig(url, { caFile })], world), troubles: world.troubles }
    }
    const trusted = open(() => ca.cert, 'ca.pem')
    assert.equal(outcome(await trusted.idp.begin('corp', SECRETS, { fresh: false })), 'accepted')
    const other = await testCa('other authorities')
    for (const untrusting of [open(() => other.cert, 'ca.pem'), open(() => '', null)]) {
      assert.equal(outcome(await untrusting.idp.begin('corp', SECRETS, { fresh: false })), 'provider_unavailable/discovery')
      assert.match(untrusting.troubles[0]?.detail ?? '', /^[A-Z_]+$/)
    }
    const misnamed = open(() => ca.cert, 'ca.pem', base.replace('localhost', '127.0.0.1'))
    assert.equal(outcome(await misnamed.idp.begin('corp', SECRETS, { fresh: false })), 'provider_unavailable/discovery')
    assert.match(misnamed.troubles[0]?.detail ?? '', /ALTNAME/)
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
})
