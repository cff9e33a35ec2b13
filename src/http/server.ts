/** The HTTP server of the ceremonies: what every request must be before a route sees it, and what every answer carries. */
import type { Socket } from 'node:net'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { failureEvent, type Occasion, refusalEvent } from '../core/enrolment-events.ts'
import type { EnrolmentWorld } from '../core/enrolment-steps.ts'
import { AuditUnavailable, StoreUnavailable } from '../core/ports.ts'
import { enrolmentRoutes } from './enrolment.ts'
import { HttpRefusal, INTERNAL, malformed, type RequestCheck, refusalBody, UNAVAILABLE } from './http-refusal.ts'
import { acceptStrictJson, bodyBytesMax } from './json-body.ts'
import { createRefusalLog, type RefusalLog } from './refusal-log.ts'

/** As much of a logger as is needed here; pino fits. */
export interface HttpLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface RateLimits {
  windowSeconds: number
  /** Requests of one source, an IPv4 address or an IPv6 /64, in one window. An enrolment takes three. */
  perSource: number
}

export const DEFAULT_RATE_LIMITS: RateLimits = { windowSeconds: 60, perSource: 120 }

export interface HttpServerOptions extends EnrolmentWorld {
  policyHash(): string
  logger: HttpLogger | null
  /** Certificate chain and key in PEM, to serve HTTPS; null behind a proxy that does, or on loopback. */
  tls: { cert: string | Buffer; key: string | Buffer } | null
  /** Addresses of the reverse proxies whose `X-Forwarded-For` names the source; false: nobody's. */
  trustProxy: false | readonly string[]
  rateLimits: RateLimits
  now(): Date
  /** Cryptographically strong random bytes. */
  random(bytes: number): Uint8Array
  uuid(): string
}

/** The occasion of a request: made when it is first asked for, the same from then on. */
export type OccasionOf = (request: FastifyRequest) => Occasion

const socketIdleMs = 10_000
const requestMs = 10_000
const headersMs = 5_000
const keepAliveMs = 5_000
const requestsPerSocketMax = 100
const connectionsMax = 512
const headerBytesMax = 8 * 1024

/** A server that is not listening yet. `close()` waits until every refusal is on record. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const app = bareServer(options)
  app.server.maxConnections = connectionsMax
  const refusals = createRefusalLog(options.lifecycle, (cause) => options.logger?.error({ err: cause }, 'recording a refused request'))
  app.addHook('onClose', () => refusals.close())
  acceptStrictJson(app)
  const occasionOf = rememberOccasions(options)
  secureAnswers(app, options)
  checkAddressee(app, options)
  answerFailures(app, { options, refusals, occasionOf })
  app.register(rateLimit, {
    max: options.rateLimits.perSource,
    timeWindow: options.rateLimits.windowSeconds * 1000,
    errorResponseBuilder: () => new HttpRefusal({ area: 'enrolment', reason: 'rate_limited', check: null }),
  })
  app.register((scope, _, done) => {
    // Before the body is read, and after the request was counted: who guesses paths is limited as well.
    scope.addHook('onRequest', scope.rateLimit())
    scope.addHook('onRequest', async (request) => {
      if (request.is404) throw malformed('route', 404)
    })
    scope.setNotFoundHandler(async () => {
      throw malformed('route', 404)
    })
    enrolmentRoutes(scope, options, occasionOf)
    done()
  })
  return app
}

function bareServer({ tls, trustProxy }: HttpServerOptions): FastifyInstance {
  const settings = {
    logger: false,
    trustProxy: trustProxy === false ? false : [...trustProxy],
    bodyLimit: bodyBytesMax,
    connectionTimeout: socketIdleMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    maxRequestsPerSocket: requestsPerSocketMax,
    clientErrorHandler: refuseBytes,
    frameworkErrors: refuseUrl,
  } as const
  // Without these, Node looks for slow requests every half minute, gives their headers a whole one, and a TLS handshake two.
  const limits = { maxHeaderSize: headerBytesMax, headersTimeout: headersMs, connectionsCheckingInterval: 1_000 }
  if (tls === null) return Fastify({ ...settings, http: limits })
  // The types tell HTTPS servers apart; nothing here does.
  return Fastify({
    ...settings,
    https: { ...limits, ...tls, handshakeTimeout: headersMs, minVersion: 'TLSv1.2' },
  }) as unknown as FastifyInstance
}

function rememberOccasions({ now, random, uuid, policyHash }: HttpServerOptions): OccasionOf {
  const occasions = new WeakMap<FastifyRequest, Occasion>()
  return (request) => {
    const known = occasions.get(request)
    if (known !== undefined) return known
    const occasion = {
      now: now(),
      source: request.ip,
      policyHash: policyHash(),
      known: { ticket: null, credential: null, handle: null, session: null },
      random,
      uuid,
    }
    occasions.set(request, occasion)
    return occasion
  }
}

/** An API has no page: nothing may be loaded, framed, cached or guessed from its answers. */
function secureAnswers(app: FastifyInstance, { origin }: HttpServerOptions): void {
  app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] },
    },
    strictTransportSecurity: origin.startsWith('https:') ? { maxAge: 31_536_000, includeSubDomains: false } : false,
    xFrameOptions: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
  })
  app.addHook('onRequest', async (_, reply) => {
    reply.header('cache-control', 'no-store')
  })
}

/** The request is for us and from nobody's web page. */
function checkAddressee(app: FastifyInstance, { origin }: HttpServerOptions): void {
  const { host } = new URL(origin)
  app.addHook('onRequest', async (request) => {
    // DNS rebinding: a page whose own name resolves to our address sends its own name.
    if (request.headers.host?.toLowerCase() !== host) throw malformed('host', 421)
    const from = request.headers.origin
    if (from !== undefined && from !== origin) throw malformed('origin', 403)
  })
}

interface Failures {
  options: HttpServerOptions
  refusals: RefusalLog
  occasionOf: OccasionOf
}

function answerFailures(app: FastifyInstance, failures: Failures): void {
  const { options, refusals, occasionOf } = failures
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const refused = error instanceof HttpRefusal ? error : refusalOf(error)
    if (refused === null) return fail(error, request, reply, failures)
    const { refusal, statusCode } = refused
    const { reason, check } = refusal
    const occasion = occasionOf(request)
    refusals.note(reason, (count) => refusalEvent(refusal, occasion, count), reason === 'rate_limited' ? occasion.source : null)
    options.logger?.info({ route: routeOf(request), source: occasion.source, reason, check, status: statusCode }, 'request refused')
    return reply.code(statusCode).send(refusalBody(refusal))
  })
}

const CHECKS: Record<string, RequestCheck> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_size',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'content_type',
}

/** What fastify itself refuses, or null when the failure is ours. */
function refusalOf(error: FastifyError): HttpRefusal | null {
  const { statusCode } = error
  return statusCode !== undefined && statusCode >= 400 && statusCode < 500 ? malformed(CHECKS[error.code] ?? 'http', statusCode) : null
}

async function fail(error: FastifyError, request: FastifyRequest, reply: FastifyReply, failures: Failures): Promise<FastifyReply> {
  const { options, refusals, occasionOf } = failures
  const occasion = occasionOf(request)
  options.logger?.error({ err: error, route: routeOf(request) }, 'answering a request')
  refusals.note('internal', (count) => failureEvent(occasion, count), null)
  const isUnavailable = error instanceof StoreUnavailable || error instanceof AuditUnavailable
  return reply.code(isUnavailable ? 503 : 500).send(isUnavailable ? UNAVAILABLE : INTERNAL)
}

/** A path that cannot be decoded reaches no route either. */
function refuseUrl(_: FastifyError, __: FastifyRequest, reply: FastifyReply): void {
  void reply.code(400).send(refusalBody(malformed('http', 400).refusal))
}

/** Bytes that are not HTTP reach no route: one fixed answer, and the connection ends. */
function refuseBytes(_: Error, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(refusalBody(malformed('http', 400).refusal))
  const head = ['HTTP/1.1 400 Bad Request', 'content-type: application/json', `content-length: ${body.length}`, 'connection: close', '', '']
  socket.write(head.join('\r\n') + body)
  // Not end(): a client that never closes its own side would keep its connection.
  socket.destroySoon()
}

/** The route's pattern: what was asked for is a stranger's text. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none'
}
