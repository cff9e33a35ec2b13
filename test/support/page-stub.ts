/**
 * The HTTP API as the page sees it, over one person in memory: real HTTP with the page's real policy, real challenges, and
 * refusals on demand. It trusts every signature: what it judges is the page, not the person.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { bundlePage } from '../../scripts/build-page.ts'
import type { PersonView, SessionRequestView } from '../../src/core/people/people.ts'
import { PAGE_POLICY } from '../../src/http/answer-headers.ts'
import { type StubAnswer, stubAnswers } from './page-stub-answers.ts'
import { personView } from './page-views.ts'

/** What the service knows: tests change it. */
export interface StubState {
  providers: { name: string; label: string }[]
  rpId: string | null
  person: PersonView
  signedIn: boolean
  /** The ticket that signs in. */
  ticket: string
  /** What a terminal asks; null: nothing is open. */
  request: SessionRequestView | null
  /** Where an endorsed terminal of the loopback flow listens. */
  callback: string
  /** Where the identity provider is; null: the stub itself, which sends the browser back at once. */
  providerUrl: string | null
  /** Error code that the identity provider comes back with; null: it signs in. */
  callbackError: string | null
  /** Timeout of ceremonies, milliseconds. */
  timeoutMs: number
  /** What became of the connections of what was removed. */
  connections: { kicked: number; failed: number }
}

export interface StubRefusal {
  status: number
  code: string
  check?: string
  retryAfterSeconds?: number
}

export interface PageStub {
  origin: string
  state: StubState
  /** Every request so far, in order. */
  requests: { method: string; url: string; body: string }[]
  /** Answers the next request to `path` with a refusal. */
  refuseNext(path: string, refusal: StubRefusal): void
  close(): Promise<void>
}

/** Starts the stub on http://localhost, a secure context where `localhost` is a relying party. */
export async function startPageStub(change: Partial<StubState> = {}): Promise<PageStub> {
  const files = await bundlePage()
  const state = initialState(change)
  const refusals = new Map<string, StubRefusal>()
  const requests: PageStub['requests'] = []
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('starting the stub')
  const origin = `http://localhost:${address.port}`
  const answers = stubAnswers(state, origin)

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', origin)
    const body = await bodyOf(request)
    requests.push({ method: request.method ?? '', url: request.url ?? '', body })
    const refusal = refusals.get(pathname)
    refusals.delete(pathname)
    if (refusal !== undefined) return refuse(response, refusal)
    if (pathname === '/v1/login/callback') return comeBack(response, state)
    if (request.method === 'GET') return serveFile(pathname, { files, response, state })
    const { headers } = request
    if (headers.origin !== origin || headers['sec-fetch-site'] !== 'same-origin' || headers['content-type'] !== 'application/json') {
      return refuse(response, { status: 403, code: 'request_malformed', check: 'origin' })
    }
    answer(response, answers(pathname, JSON.parse(body)))
  }
  server.on('request', (request, response) => void serve(request, response))
  return {
    origin,
    state,
    requests,
    refuseNext: (path, refusal) => void refusals.set(path, refusal),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function initialState(change: Partial<StubState>): StubState {
  return {
    providers: [{ name: 'keycloak', label: 'Example Corp' }],
    rpId: 'localhost',
    person: personView(),
    signedIn: false,
    ticket: 't'.repeat(43),
    request: null,
    callback: '',
    providerUrl: null,
    callbackError: null,
    timeoutMs: 60_000,
    connections: { kicked: 2, failed: 0 },
    ...change,
  }
}

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

function serveFile(path: string, site: { files: Map<string, Uint8Array>; response: ServerResponse; state: StubState }): void {
  const { files, response, state } = site
  if (path === '/v1/page') {
    json(response, 200, { providers: state.providers, rpId: state.rpId })
    return
  }
  const name = path === '/' ? 'index.html' : path.slice(1)
  const bytes = files.get(name)
  if (bytes === undefined) {
    refuse(response, { status: 404, code: 'request_malformed', check: 'route' })
    return
  }
  const type = TYPES[name.split('.').at(-1) ?? ''] ?? 'application/octet-stream'
  response.writeHead(200, { ...HEADERS, 'content-type': type, 'content-security-policy': PAGE_POLICY }).end(bytes)
}

function comeBack(response: ServerResponse, state: StubState): void {
  state.signedIn = state.callbackError === null
  response.writeHead(303, { ...HEADERS, location: state.callbackError === null ? '/' : `/#error=${state.callbackError}` }).end()
}

function answer(response: ServerResponse, { status, body }: StubAnswer): void {
  json(response, status, body)
}

function refuse(response: ServerResponse, { status, code, check, retryAfterSeconds }: StubRefusal): void {
  if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds)
  json(response, status, { error: { code, message: 'A sentence of the service.', ...(check === undefined ? {} : { check }) } })
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    ...HEADERS,
    'content-type': 'application/json; charset=utf-8',
    'content-security-policy': "default-src 'none'",
  })
  response.end(JSON.stringify(body))
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text
}
