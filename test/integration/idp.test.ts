import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { freshSeconds, type IdpPort, type IdpSecrets } from '../../src/core/people/people.ts'
import type { Judged } from '../../src/core/refusal.ts'
import { createIdp } from '../../src/idp/idp.ts'
import type { IdpConfig } from '../../src/idp/idp-config.ts'
import { idpConfig, idpOptions, REDIRECT_URI, SECRETS, type Trouble } from '../support/idp-case.ts'
import { ALICE, BOB, type CookieJar, startOidcProvider, type TestOidcProvider } from '../support/oidc-provider.ts'

const PUBLIC_CLIENT = 'nats-public'
const POST_CLIENT = 'nats-post'
let provider: TestOidcProvider

before(async () => {
  const redirects = { redirect_uris: [REDIRECT_URI] }
  provider = await startOidcProvider({
    redirectUris: [REDIRECT_URI],
    clients: [
      { client_id: 'nats', client_secret: 'the secret of nats: with signs & spaces', ...redirects },
      { client_id: POST_CLIENT, client_secret: 'the secret of nats-post', token_endpoint_auth_method: 'client_secret_post', ...redirects },
      { client_id: PUBLIC_CLIENT, token_endpoint_auth_method: 'none', ...redirects },
    ],
  })
})
after(() => provider.stop())

interface Setting {
  idp: IdpPort
  troubles: Trouble[]
}

function setUp(changes: Partial<IdpConfig> = {}, options: Parameters<typeof idpOptions>[1] = {}): Setting {
  const world = idpOptions(provider.clientSecret, options)
  return { idp: createIdp([idpConfig(provider.issuer, changes)], world), troubles: world.troubles }
}

function value<T>(judged: Judged<T>): T {
  assert.ok(judged.ok, JSON.stringify(judged))
  return judged.value
}

function refusal(judged: Judged<unknown>): string {
  assert.ok(!judged.ok, 'accepted')
  const { area, reason, check } = judged.refusal
  assert.equal(area, 'login')
  return check === null ? reason : `${reason}/${check}`
}

/** To the provider and back: the query of the callback. */
async function visit(idp: IdpPort, options: { sub?: string; fresh?: boolean; jar?: CookieJar; secrets?: IdpSecrets } = {}) {
  const { sub = ALICE.sub, fresh = false, jar, secrets = SECRETS } = options
  const url = value(await idp.begin('corp', secrets, { fresh }))
  return (await provider.login(url, sub, jar)).searchParams
}

describe('a login at a real OpenID provider', () => {
  test('gives a checked statement with its claims', async () => {
    const { idp } = setUp()
    const statement = value(await idp.finish('corp', SECRETS, await visit(idp), { fresh: false }))
    assert.equal(statement.provider, 'corp')
    assert.equal(statement.issuer, provider.issuer)
    assert.equal(statement.subject, ALICE.sub)
    assert.deepEqual(statement.claims['groups'], ALICE.claims['groups'])
    assert.equal(statement.claims['name'], 'Alice Example')
  })

  test('asks for exactly what is configured, with PKCE S256 and no secret in the address', async () => {
    const { idp } = setUp({ acrValues: ['phr', 'mfa'] })
    const url = value(await idp.begin('corp', SECRETS, { fresh: false }))
    assert.equal(url.origin + url.pathname, `${provider.issuer}/auth`)
    assert.deepEqual(Object.fromEntries(url.searchParams), {
      client_id: 'nats',
      response_type: 'code',
      redirect_uri: REDIRECT_URI,
      scope: 'openid profile groups',
      state: SECRETS.state,
      nonce: SECRETS.nonce,
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
      acr_values: 'phr mfa',
      max_age: '2592000',
    })
    assert.ok(!url.href.includes(SECRETS.codeVerifier))
  })

  test('says of every login when the person authenticated: who has just done so needs no second visit', async () => {
    const { idp } = setUp()
    const jar: CookieJar = new Map()
    const before = Date.now() - 1_000
    const first = value(await idp.finish('corp', SECRETS, await visit(idp, { jar }), { fresh: false }))
    assert.ok((first.authenticatedAt ?? 0) >= before - (before % 1_000))
    const second = value(await idp.finish('corp', SECRETS, await visit(idp, { jar }), { fresh: false }))
    assert.equal(second.authenticatedAt, first.authenticatedAt)
  })

  test('asks a fresh login for a new authentication, and says when it was', async () => {
    const { idp } = setUp()
    const jar: CookieJar = new Map()
    await visit(idp, { jar })
    const url = value(await idp.begin('corp', SECRETS, { fresh: true }))
    assert.equal(url.searchParams.get('max_age'), String(freshSeconds))
    assert.equal(url.searchParams.get('prompt'), 'login')
    const before = Date.now() - 1_000
    const statement = value(await idp.finish('corp', SECRETS, await visit(idp, { fresh: true, jar }), { fresh: true }))
    assert.ok((statement.authenticatedAt ?? 0) >= before - (before % 1_000))
    assert.ok((statement.authenticatedAt ?? Number.POSITIVE_INFINITY) <= Date.now())
  })

  test('asks what the configuration says in place of login, or nothing', async () => {
    const select = value(await setUp({ freshPrompt: 'select_account' }).idp.begin('corp', SECRETS, { fresh: true }))
    assert.equal(select.searchParams.get('prompt'), 'select_account')
    const none = value(await setUp({ freshPrompt: 'none' }).idp.begin('corp', SECRETS, { fresh: true }))
    assert.equal(none.searchParams.has('prompt'), false)
    assert.equal(none.searchParams.get('max_age'), String(freshSeconds))
  })

  test('works by client_secret_post, and for a public client', async () => {
    const post = setUp({ clientId: POST_CLIENT, tokenEndpointAuth: 'client_secret_post' }, { readSecret: () => 'the secret of nats-post' })
    value(await post.idp.finish('corp', SECRETS, await visit(post.idp), { fresh: false }))
    const open = setUp({ clientId: PUBLIC_CLIENT, tokenEndpointAuth: 'none', clientSecretFile: null })
    value(await open.idp.finish('corp', SECRETS, await visit(open.idp), { fresh: false }))
  })

  test('reads userinfo where the configuration says so', async () => {
    const { idp } = setUp({ claimsFrom: 'userinfo', scopes: ['openid', 'profile', 'groups'] })
    const before = provider.requests.get('/me') ?? 0
    const statement = value(await idp.finish('corp', SECRETS, await visit(idp), { fresh: false }))
    assert.equal(provider.requests.get('/me'), before + 1)
    assert.deepEqual(statement.claims['groups'], ALICE.claims['groups'])
    assert.equal(statement.claims['iss'], provider.issuer)
  })

  test('judges how the person authenticated', async () => {
    const { idp } = setUp({ amr: ['mfa'] })
    value(await idp.finish('corp', SECRETS, await visit(idp), { fresh: false }))
    assert.equal(refusal(await idp.finish('corp', SECRETS, await visit(idp, { sub: BOB.sub }), { fresh: false })), 'amr_unmet')
    const contexts = setUp({ acrValues: ['phr'] })
    assert.equal(refusal(await contexts.idp.finish('corp', SECRETS, await visit(contexts.idp), { fresh: false })), 'acr_unmet')
    provider.accounts.set(ALICE.sub, { ...ALICE, acr: 'phr' })
    value(await contexts.idp.finish('corp', SECRETS, await visit(contexts.idp), { fresh: false }))
    provider.accounts.set(ALICE.sub, ALICE)
  })
})

describe('a login that a real OpenID provider refuses', () => {
  test('cannot use a code twice', async () => {
    const { idp } = setUp()
    const callback = await visit(idp)
    value(await idp.finish('corp', SECRETS, callback, { fresh: false }))
    assert.equal(refusal(await idp.finish('corp', SECRETS, callback, { fresh: false })), 'code_refused/invalid_grant')
  })

  test('cannot use a code with another PKCE verifier: that of another browser', async () => {
    const { idp } = setUp()
    const callback = await visit(idp)
    const thief = { ...SECRETS, codeVerifier: 'another-verifier-that-is-long-enough-for-the-standard' }
    assert.equal(refusal(await idp.finish('corp', thief, callback, { fresh: false })), 'code_refused/invalid_grant')
  })

  test('cannot use a code of another client', async () => {
    const { idp } = setUp({ clientId: PUBLIC_CLIENT, tokenEndpointAuth: 'none', clientSecretFile: null })
    const callback = await visit(idp)
    assert.equal(refusal(await setUp().idp.finish('corp', SECRETS, callback, { fresh: false })), 'code_refused/invalid_grant')
  })

  test('cannot use an invented code, nor a wrong client secret', async () => {
    const { idp } = setUp()
    const callback = new URLSearchParams({ code: 'invented', state: SECRETS.state, iss: provider.issuer })
    assert.equal(refusal(await idp.finish('corp', SECRETS, callback, { fresh: false })), 'code_refused/invalid_grant')
    const wrong = setUp({}, { readSecret: () => 'wrong' })
    assert.equal(refusal(await wrong.idp.finish('corp', SECRETS, await visit(wrong.idp), { fresh: false })), 'code_refused/invalid_client')
  })

  test('cannot use the token of another redirect', async () => {
    const { idp } = setUp()
    const callback = await visit(idp)
    assert.equal(refusal(await idp.finish('corp', { ...SECRETS, nonce: 'of another login' }, callback, { fresh: false })), 'nonce_mismatch')
  })

  test('ends with what the provider says when the person goes away', async () => {
    const { idp } = setUp()
    const back = await provider.cancel(value(await idp.begin('corp', SECRETS, { fresh: false })))
    assert.equal(refusal(await idp.finish('corp', SECRETS, back.searchParams, { fresh: false })), 'provider_refused/access_denied')
  })

  test('ends where the provider is not configured', async () => {
    const { idp } = setUp()
    assert.equal(refusal(await idp.begin('other', SECRETS, { fresh: false })), 'provider_unknown')
    assert.equal(refusal(await idp.begin('__proto__', SECRETS, { fresh: false })), 'provider_unknown')
    assert.equal(refusal(await idp.finish('other', SECRETS, new URLSearchParams(), { fresh: false })), 'provider_unknown')
  })
})

describe('the keys of a provider', () => {
  test('are fetched once and kept', async () => {
    const { idp } = setUp()
    const before = provider.requests.get('/jwks') ?? 0
    for (let i = 0; i < 3; i++) value(await idp.finish('corp', SECRETS, await visit(idp), { fresh: false }))
    assert.equal((provider.requests.get('/jwks') ?? 0) - before, 1)
  })

  test('roll over without a restart: with both published, and with the old ones gone', async () => {
    const { idp } = setUp()
    value(await idp.finish('corp', SECRETS, await visit(idp), { fresh: false }))
    await provider.rotateKeys({ keepOld: true })
    value(await idp.finish('corp', SECRETS, await visit(idp), { fresh: false }))
    // What is fetched for an unknown key now is held back for a while; what another verifier fetches is its own.
    const later = setUp()
    value(await later.idp.finish('corp', SECRETS, await visit(later.idp), { fresh: false }))
    await provider.rotateKeys()
    const before = provider.requests.get('/jwks') ?? 0
    value(await later.idp.finish('corp', SECRETS, await visit(later.idp), { fresh: false }))
    assert.equal((provider.requests.get('/jwks') ?? 0) - before, 1)
  })
})

describe('a provider that is down', () => {
  test('stops nothing at the start, is unavailable, and is tried again at the next login', async () => {
    await provider.down()
    const { idp, troubles } = setUp()
    assert.equal(idp.list()[0]?.label, 'Corp')
    assert.equal(refusal(await idp.begin('corp', SECRETS, { fresh: false })), 'provider_unavailable/discovery')
    assert.deepEqual(troubles, [{ provider: 'corp', step: 'discovery', detail: 'ECONNREFUSED' }])
    await provider.up()
    const callback = await visit(idp)
    await provider.down()
    assert.equal(refusal(await idp.finish('corp', SECRETS, callback, { fresh: false })), 'provider_unavailable/token_endpoint')
    await provider.up()
    // The code was not spent by the failure.
    value(await idp.finish('corp', SECRETS, callback, { fresh: false }))
  })
})
