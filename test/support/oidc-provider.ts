/**
 * A real OpenID provider (oidc-provider) on a port of its own, with people who sign in without a password: by one fetch
 * after the other in tests, or by a click in a browser.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, type JWK } from 'jose'
import { type InteractionContext, Provider } from 'oidc-provider'

export interface TestAccount {
  /** Also the `sub` claim. */
  sub: string
  /** Claims of the ID token and of userinfo, such as `name`, `preferred_username`, `email`, `groups`. */
  claims: Record<string, unknown>
  /** How the person is said to authenticate. */
  acr?: string
  amr?: string[]
}

export interface TestClient {
  client_id: string
  /** Absent for a public client (`token_endpoint_auth_method: 'none'`). */
  client_secret?: string
  redirect_uris: string[]
  token_endpoint_auth_method?: 'client_secret_basic' | 'client_secret_post' | 'none'
}

export interface OidcProviderOptions {
  /** Where people may be sent back to, such as `http://localhost:8780/v1/login/callback`. */
  redirectUris: string[]
  accounts?: TestAccount[]
  /** In place of the one client `nats`. */
  clients?: TestClient[]
  /** 0 by default: any free port. */
  port?: number
}

export interface TestOidcProvider {
  /** `http://localhost:PORT`. */
  issuer: string
  clientId: string
  clientSecret: string
  /** Changes of it are seen at the next login. */
  accounts: Map<string, TestAccount>
  /** Number of requests by path, such as `/jwks`. */
  requests: Map<string, number>
  /** Signs `sub` in, from the address of `begin` to the address that the browser is sent back to. */
  login(authorizationUrl: URL | string, sub: string, jar?: CookieJar): Promise<URL>
  /** As login, but the person goes away by `Cancel`. */
  cancel(authorizationUrl: URL | string): Promise<URL>
  /** New signing keys; with `keepOld` the former ones are still published. */
  rotateKeys(options?: { keepOld: boolean }): Promise<void>
  /** Stops to listen, and breaks what is connected. */
  down(): Promise<void>
  /** Listens on the same port again. */
  up(): Promise<void>
  stop(): Promise<void>
}

/** What a browser keeps between two logins: the session at the provider. */
export type CookieJar = Map<string, string>

export const ALICE: TestAccount = {
  sub: 'b6f4a1c2-alice',
  claims: {
    name: 'Alice Example',
    preferred_username: 'alice',
    email: 'alice@example.com',
    email_verified: true,
    groups: ['staff', 'orders-team'],
  },
  amr: ['pwd', 'mfa'],
}
export const BOB: TestAccount = {
  sub: '0d3e77aa-bob',
  claims: { name: 'Bob Example', preferred_username: 'bob', email: 'bob@example.com', email_verified: true, groups: ['staff'] },
  amr: ['pwd'],
}

const CLIENT_ID = 'nats'
const CLIENT_SECRET = 'a secret of the tests, with: signs & spaces'
const redirectsMax = 12

export async function startOidcProvider(options: OidcProviderOptions): Promise<TestOidcProvider> {
  const accounts = new Map((options.accounts ?? [ALICE, BOB]).map((account) => [account.sub, account]))
  const requests = new Map<string, number>()
  let answer = (_request: IncomingMessage, response: ServerResponse): void => void response.writeHead(503).end()
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    requests.set(pathname, (requests.get(pathname) ?? 0) + 1)
    answer(request, response)
  })
  const port = await listen(server, options.port ?? 0)
  const issuer = `http://localhost:${port}`
  const clients = options.clients ?? [{ client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: options.redirectUris }]

  let keys: JWK[] = []
  const rotateKeys = async ({ keepOld } = { keepOld: false }) => {
    keys = [await newKey(), ...(keepOld ? keys : [])]
    answer = answerBy(newProvider(issuer, { clients, keys, accounts }), accounts)
  }
  await rotateKeys()
  const down = async () => {
    server.closeAllConnections()
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }
  return {
    issuer,
    clientId: clients[0]?.client_id ?? '',
    clientSecret: clients[0]?.client_secret ?? '',
    accounts,
    requests,
    login: (url, sub, jar = new Map()) => travel(issuer, new URL(url), { account: sub }, jar),
    cancel: (url) => travel(issuer, new URL(url), { cancel: 'yes' }, new Map()),
    rotateKeys,
    down,
    async up() {
      await listen(server, port)
    },
    stop: down,
  }
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, 'localhost')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('listening as a provider')
  return address.port
}

let keyNumber = 0
async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  keyNumber += 1
  return { ...(await exportJWK(privateKey)), kid: `key-${keyNumber}`, alg: 'RS256', use: 'sig' }
}

function newProvider(
  issuer: string,
  { clients, keys, accounts }: { clients: TestClient[]; keys: JWK[]; accounts: Map<string, TestAccount> },
): Provider {
  return new Provider(issuer, {
    clients: clients.map((client) => ({ response_types: ['code'], grant_types: ['authorization_code'], ...client })),
    jwks: { keys },
    cookies: { keys: ['a key for the cookies of tests'] },
    features: { devInteractions: { enabled: false } },
    pkce: { required: () => true },
    ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 3600, IdToken: 300, Interaction: 600, Session: 3600 },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: {
      openid: ['sub', 'acr', 'amr', 'auth_time'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups', 'department'],
    },
    acrValues: ['phr', 'mfa'],
    // Claims of the scopes are in the ID token, as with the providers that companies use.
    conformIdTokenClaims: false,
    interactions: { url: (_context: unknown, interaction: { uid: string }) => `/interaction/${interaction.uid}` },
    findAccount: (_context: unknown, sub: string) => {
      const account = accounts.get(sub)
      return account === undefined ? undefined : { accountId: sub, claims: () => ({ ...account.claims, sub }) }
    },
    // Nobody is asked for consent.
    loadExistingGrant: async ({ oidc }: InteractionContext & { oidc: { provider: Provider } }) => {
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.account.accountId })
      grant.addOIDCScope(String(oidc.params['scope'] ?? 'openid'))
      await grant.save()
      return grant
    },
  })
}

function answerBy(provider: Provider, accounts: Map<string, TestAccount>) {
  const standard = provider.callback()
  return (request: IncomingMessage, response: ServerResponse): void => {
    const work = request.url?.startsWith('/interaction/') ? interact(provider, accounts, request, response) : standard(request, response)
    work.catch(() => {
      if (!response.headersSent) response.writeHead(400)
      response.end('no such interaction')
    })
  }
}

/** The page on which a person says who they are. */
async function interact(provider: Provider, accounts: Map<string, TestAccount>, request: IncomingMessage, response: ServerResponse) {
  if (request.method === 'GET') {
    const { uid } = await provider.interactionDetails(request, response)
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end(signInPage(uid, [...accounts.values()]))
    return
  }
  const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
  const account = accounts.get(form.get('account') ?? '')
  const result =
    account === undefined
      ? { error: 'access_denied', error_description: 'The person went away.' }
      : {
          login: {
            accountId: account.sub,
            ...(account.acr === undefined ? {} : { acr: account.acr }),
            ...(account.amr === undefined ? {} : { amr: account.amr }),
          },
        }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}

function signInPage(uid: string, accounts: TestAccount[]): string {
  const buttons = accounts.map(
    ({ sub, claims }) => `<button name="account" value="${sub}" data-account="${sub}">${String(claims['name'] ?? sub)}</button>`,
  )
  return `<!doctype html><html lang="en"><title>Sign in</title><main><h1>Sign in</h1>
<form method="post" action="/interaction/${uid}">${buttons.join(' ')} <button name="cancel" value="yes">Cancel</button></form></main></html>`
}

/** Follows the provider's redirects as a browser would, until one leads away from it. */
async function travel(issuer: string, start: URL, form: Record<string, string>, jar: CookieJar): Promise<URL> {
  let url = start
  let body: URLSearchParams | null = null
  for (let i = 0; i < redirectsMax; i++) {
    const response: Response = await fetch(url, {
      method: body === null ? 'GET' : 'POST',
      body,
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), connection: 'close' },
    })
    for (const cookie of response.headers.getSetCookie()) remember(jar, cookie)
    const text = await response.text()
    const location = response.headers.get('location')
    if (location !== null) {
      url = new URL(location, url)
      body = null
      if (url.origin !== issuer) return url
    } else if (response.ok && url.pathname.startsWith('/interaction/')) body = new URLSearchParams(form)
    else throw new Error(`signing in at the provider: status ${response.status}: ${text.slice(0, 500)}`)
  }
  throw new Error('signing in at the provider: too many redirects')
}

function remember(jar: CookieJar, cookie: string): void {
  const [pair = '', ...attributes] = cookie.split(';')
  const name = pair.slice(0, pair.indexOf('='))
  const value = pair.slice(pair.indexOf('=') + 1)
  const isGone = value === '' || attributes.some((attribute) => /^ *expires=Thu, 01 Jan 1970/i.test(attribute))
  if (isGone) jar.delete(name)
  else jar.set(name, value)
}
