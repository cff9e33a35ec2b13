/** The operations listener: /metrics behind its own authentication, /livez and /readyz without any and without content. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Metrics } from './metrics.ts'
import { type Authenticator, createAuthenticator, type MetricsAuth } from './metrics-auth.ts'
import { OperationsConfigError } from './secret-file.ts'
import { type ServerTls, serverTls, type TlsFiles } from './server-tls.ts'

export interface OperationsOptions {
  listen: { host: string; port: number }
  /** Must be written out: undefined, as from a configuration without it, is refused. */
  auth: MetricsAuth | undefined
  /** Certificate and key of the listener; required by mtls. */
  tls: TlsFiles | null
  metrics: Pick<Metrics, 'exposition' | 'metricsAuthFailed'>
  ready(): boolean
  /** Told what the peer is not told: why a secret or a certificate could not be read. */
  failed(cause: unknown): void
}

export interface OperationsListener {
  address: { host: string; port: number }
  close(): Promise<void>
}

const headerBytesMax = 8 * 1024
const connectionsMax = 256
const timeoutsMs = { headers: 5_000, request: 10_000, keepAlive: 65_000, close: 1_000 } as const

const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
} as const

/** Listens. Throws OperationsConfigError when the settings or their files cannot be used. */
export async function createOperationsListener(options: OperationsOptions): Promise<OperationsListener> {
  const { auth, listen } = options
  const authenticator = await createAuthenticator(auth)
  if (auth?.mode === 'mtls' && options.tls === null) throw new OperationsConfigError('operations.auth mtls needs operations.tls')
  const tls = options.tls === null ? null : await serverTls(options.tls, auth?.mode === 'mtls' ? auth.clientCaFile : null)
  const server = createListener({ ...options, authenticator, tls })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new Error(`listening on ${listen.host}:${listen.port}`, { cause })))
    server.listen(listen.port, listen.host, resolve)
  })
  const { address, port } = server.address() as AddressInfo
  return { address: { host: address, port }, close: () => close(server) }
}

interface Endpoint extends Omit<OperationsOptions, 'tls'> {
  authenticator: Authenticator
  tls: ServerTls | null
}

function createListener(endpoint: Endpoint): Server | TlsServer {
  const { tls } = endpoint
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response, endpoint).catch((cause) => {
      endpoint.failed(cause)
      if (response.headersSent) response.destroy()
      else answer(response, request, 500, 'error')
    })
  }
  const limits = {
    maxHeaderSize: headerBytesMax,
    headersTimeout: timeoutsMs.headers,
    requestTimeout: timeoutsMs.request,
    keepAliveTimeout: timeoutsMs.keepAlive,
    connectionsCheckingInterval: 1_000,
  }
  const server = tls === null ? createServer(limits, handler) : createSecureServer(tls, { limits, handler, endpoint })
  server.maxConnections = connectionsMax
  return server
}

function createSecureServer(
  tls: ServerTls,
  { limits, handler, endpoint }: { limits: ServerOptions; handler: RequestListener; endpoint: Endpoint },
): TlsServer {
  const server = createTlsServer({ ...limits, ...tls.options, handshakeTimeout: timeoutsMs.headers }, handler)
  // At a connection, not at a request: with an expired certificate there would be no request to learn of its successor.
  server.on('connection', () => {
    tls.renewed().then(
      (material) => material === null || server.setSecureContext(material),
      (cause) => endpoint.failed(new Error('renewing operations.tls', { cause })),
    )
  })
  if (endpoint.auth?.mode === 'mtls') server.on('tlsClientError', () => endpoint.metrics.metricsAuthFailed('mtls'))
  return server
}

async function handle(request: IncomingMessage, response: ServerResponse, endpoint: Endpoint): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0]
  if (path !== '/metrics' && path !== '/livez' && path !== '/readyz') return answer(response, request, 404, 'not found')
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    return answer(response, request, 405, 'method not allowed')
  }
  switch (path) {
    case '/livez':
      return answer(response, request, 200, 'ok')
    case '/readyz':
      return endpoint.ready() ? answer(response, request, 200, 'ok') : answer(response, request, 503, 'not ready')
    case '/metrics':
      return scrape(request, response, endpoint)
  }
}

async function scrape(
  request: IncomingMessage,
  response: ServerResponse,
  { auth, authenticator, metrics, failed }: Endpoint,
): Promise<void> {
  const verdict = await authenticator.check(request)
  if (!verdict.allowed) {
    if (auth !== undefined && auth.mode !== 'none') metrics.metricsAuthFailed(auth.mode)
    if (verdict.cause !== undefined) failed(verdict.cause)
    if (verdict.challenge !== null) response.setHeader('www-authenticate', verdict.challenge)
    if (verdict.status === 429) response.setHeader('retry-after', '1')
    return answer(response, request, verdict.status, REFUSALS[verdict.status])
  }
  const { contentType, body } = await metrics.exposition()
  response.setHeader('content-type', contentType)
  send(response, request, 200, body)
}

const REFUSALS = { 401: 'unauthorized', 403: 'forbidden', 429: 'too many requests', 503: 'unavailable' } as const

function answer(response: ServerResponse, request: IncomingMessage, status: number, text: string): void {
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  send(response, request, status, `${text}\n`)
}

function send(response: ServerResponse, request: IncomingMessage, status: number, body: string): void {
  const bytes = Buffer.from(body)
  // A body that nobody reads could be taken for the next request.
  const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  response.writeHead(status, { ...HEADERS, ...(hasBody ? { connection: 'close' } : {}), 'content-length': bytes.length })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

async function close(server: Server | TlsServer): Promise<void> {
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), timeoutsMs.close)
  await closed
  clearTimeout(timer)
}
