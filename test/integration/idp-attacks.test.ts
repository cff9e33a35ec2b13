import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { json, newIssuerKey } from '../support/hostile-issuer.ts'
import { CLIENT_SECRET, hostileLogins, NOW, outcome } from '../support/hostile-login.ts'
import { SECRETS } from '../support/idp-case.ts'

const { issuer, stranger, setUp, loginWith, callback, claims, signed } = hostileLogins()
const seconds = Math.floor(NOW.getTime() / 1000)

describe('a callback', () => {
  const callbacks: [string, () => URLSearchParams, string][] = [
    ['of another issuer (mix-up)', () => callback({ iss: 'https://other.example' }), 'issuer_mismatch/callback'],
    ['without iss, where the provider always sends it', () => without('iss'), 'issuer_mismatch/callback'],
    [
      'of another issuer that pretends an error',
      () => callback({ iss: 'https://other.example', error: 'access_denied' }),
      'issuer_mismatch/callback',
    ],
    ['with another state', () => callback({ state: 'another' }), 'request_mismatch/state'],
    ['without state', () => without('state'), 'request_mismatch/state'],
    ['without a code', () => without('code'), 'code_refused/code_missing'],
    ['with a huge code', () => callback({ code: 'x'.repeat(5_000) }), 'code_refused/code_missing'],
    ['with two codes', () => twice('code', 'another'), 'code_refused/parameter_repeated'],
    ['with two states', () => twice('state', SECRETS.state), 'code_refused/parameter_repeated'],
    ['with a token in it', () => callback({ id_token: 'e30.e30.' }), 'code_refused/response_type'],
    ['with a JARM response', () => callback({ response: 'e30.e30.' }), 'code_refused/response_type'],
    ['with a registered error', () => callback({ error: 'login_required' }), 'provider_refused/login_required'],
    ['with an error that nobody registered', () => callback({ error: '<script>alert(1)</script>' }), 'provider_refused'],
  ]
  for (const [name, query, expected] of callbacks) {
    test(`${name} is refused, and no code is sent anywhere`, async () => {
      const { idp } = setUp()
      assert.equal(outcome(await idp.finish('corp', SECRETS, query(), { fresh: false })), expected)
      assert.equal(issuer().count('/token'), 0)
    })
  }

  test('without iss is accepted of a provider that does not know RFC 9207', async () => {
    issuer().metadata = { authorization_response_iss_parameter_supported: undefined }
    const { idp } = setUp()
    issuer().tokens = { access_token: 'a', token_type: 'Bearer', id_token: await signed() }
    assert.equal(outcome(await idp.finish('corp', SECRETS, without('iss'), { fresh: false })), 'accepted')
    assert.equal(
      outcome(await idp.finish('corp', SECRETS, callback({ iss: 'https://x.example' }), { fresh: false })),
      'issuer_mismatch/callback',
    )
  })
})

describe('an unknown kid', () => {
  const unknown = (kid: string) => issuer().sign(claims(), { key: { ...stranger(), kid } })

  test('causes one fetch of the keys, and then none for half a minute', async () => {
    const setting = setUp()
    assert.equal(await loginWith(await signed(), setting), 'accepted')
    assert.equal(issuer().count('/jwks'), 1)
    for (const kid of ['x1', 'x2', 'x3']) assert.equal(await loginWith(await unknown(kid), setting), 'key_unknown')
    assert.equal(issuer().count('/jwks'), 2)
    setting.clock.now = new Date(NOW.getTime() + 29_999)
    assert.equal(await loginWith(await unknown('x4'), setting), 'key_unknown')
    assert.equal(issuer().count('/jwks'), 2)
    setting.clock.now = new Date(NOW.getTime() + 30_000)
    assert.equal(await loginWith(await unknown('x5'), setting), 'key_unknown')
    assert.equal(issuer().count('/jwks'), 3)
  })

  test('is not looked up twice when the keys were fetched for this very token', async () => {
    assert.equal(await loginWith(await unknown('x1')), 'key_unknown')
    assert.equal(issuer().count('/jwks'), 1)
  })

  test('shares one fetch among all who come meanwhile', async () => {
    const { idp } = setUp()
    issuer().tokens = { access_token: 'a', token_type: 'Bearer', id_token: await signed() }
    assert.equal(outcome(await idp.finish('corp', SECRETS, callback(), { fresh: false })), 'accepted')
    const next = await newIssuerKey('RS256', 'key-2')
    issuer().published = [next.jwk]
    issuer().tokens = { ...issuer().tokens, id_token: await issuer().sign(claims(), { key: next }) }
    const all = await Promise.all(Array.from({ length: 8 }, () => idp.finish('corp', SECRETS, callback(), { fresh: false })))
    assert.deepEqual(
      all.map(outcome),
      Array.from({ length: 8 }, () => 'accepted'),
    )
    assert.equal(issuer().count('/jwks'), 2)
    assert.equal(issuer().count('/.well-known/openid-configuration'), 1)
  })

  test('that the provider cannot answer for makes it unavailable', async () => {
    const setting = setUp()
    assert.equal(await loginWith(await signed(), setting), 'accepted')
    issuer().answers.set('/jwks', (response) => response.writeHead(500).end())
    assert.equal(await loginWith(await unknown('x1'), setting), 'provider_unavailable/keys')
    assert.equal(await loginWith(await unknown('x1'), setting), 'key_unknown')
    assert.equal(await loginWith(await signed(), setting), 'accepted')
  })

  test('of a key that was withdrawn is trusted for ten minutes at most', async () => {
    const setting = setUp()
    const token = await signed({ exp: seconds + 3_600 })
    assert.equal(await loginWith(token, setting), 'accepted')
    issuer().published = []
    setting.clock.now = new Date(NOW.getTime() + 10 * 60_000 - 1)
    assert.equal(await loginWith(token, setting), 'accepted')
    setting.clock.now = new Date(NOW.getTime() + 10 * 60_000)
    assert.equal(await loginWith(token, setting), 'key_unknown')
  })
})

describe('secrets', () => {
  test('are in no refusal and no trouble, whatever fails', async () => {
    const token = await signed({ exp: seconds - 100 })
    const secrets = [CLIENT_SECRET, 'the-authorization-code', 'the-access-token', token, SECRETS.codeVerifier, SECRETS.nonce, SECRETS.state]
    const failures: [string, (() => void) | null][] = [
      ['an expired token', null],
      ['no JSON', () => issuer().answers.set('/token', (response) => response.end(`{"id_token":"${token}"`))],
      [
        'an error',
        () => issuer().answers.set('/token', (response) => json(response, { error: CLIENT_SECRET, error_description: token }, 400)),
      ],
      [
        'an unknown token type',
        () => issuer().answers.set('/token', (response) => json(response, { access_token: 'the-access-token', id_token: token })),
      ],
      ['no keys', () => issuer().answers.set('/jwks', (response) => json(response, { keys: token }))],
    ]
    for (const [name, fail] of failures) {
      issuer().answers.clear()
      fail?.()
      const setting = setUp()
      const result = await loginWith(token, setting)
      assert.notEqual(result, 'accepted', name)
      for (const secret of secrets) assert.ok(!JSON.stringify([result, setting.troubles]).includes(secret), name)
    }
  })

  test('of the client are read anew at each login, and a file that cannot be read is not the provider’s fault', async () => {
    let secret = 'first'
    const setting = setUp({}, { readSecret: () => secret })
    assert.equal(await loginWith(await signed(), setting), 'accepted')
    secret = 'second'
    assert.equal(await loginWith(await signed(), setting), 'accepted')
    const sent = issuer()
      .seen.filter(({ path }) => path === '/token')
      .map(({ headers }) => headers.authorization)
    assert.deepEqual(
      sent,
      ['first', 'second'].map((text) => `Basic ${Buffer.from(`nats:${text}`).toString('base64')}`),
    )
    const unreadable = setUp({}, { readSecret: () => assert.fail('unreadable') })
    await assert.rejects(loginWith(await signed(), unreadable), /unreadable/)
  })
})

function without(name: string): URLSearchParams {
  const query = callback()
  query.delete(name)
  return query
}

function twice(name: string, value: string): URLSearchParams {
  const query = callback()
  query.append(name, value)
  return query
}
