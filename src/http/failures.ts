/** The one place where a request that was not served is answered, logged and recorded. */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { failureEvent, refusalEvent } from '../core/enrolment/enrolment-events.ts'
import { AuditUnavailable, StoreUnavailable } from '../core/ports.ts'
import type { Refusal, RefusalArea } from '../core/refusal.ts'
import type { HttpLogger } from './http-logger.ts'
import { type ErrorBody, HttpRefusal, INTERNAL, malformed, type RequestCheck, refusalBody, UNAVAILABLE } from './http-refusal.ts'
import type { OccasionOf } from './occasions.ts'
import type { RefusalLog } from './refusal-log.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Where a failure of ours in this route is recorded; `enrolment` where not given. */
    area?: RefusalArea
    /** A browser went there by itself: it is sent back to the page, whose words for the code the person reads. */
    isNavigation?: boolean
  }
}

interface Failures {
  refusals: RefusalLog
  occasionOf: OccasionOf
  logger: HttpLogger | null
}

export function answerFailures(app: FastifyInstance, failures: Failures): void {
  const { refusals, occasionOf, logger } = failures
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const refused = error instanceof HttpRefusal ? error : refusalOf(error)
    if (refused === null) return fail(error, request, reply, failures)
    const { refusal, statusCode } = refused
    const { area, reason, check } = refusal
    const occasion = occasionOf(request)
    refusals.note(
      `${area}.${reason}`,
      (count) => refusalEvent(refusal, occasion, count),
      isOrdinary(refusal) ? `${reason} ${occasion.source}` : null,
    )
    const fields = { route: routeOf(request), source: occasion.source, area, reason, check, status: statusCode }
    logger?.info(fields, 'request refused')
    return send(reply, request, { status: statusCode, body: refusalBody(refusal) })
  })
}

/** What a source may cause by the hundred, and by opening the page: one record of its own in a window says enough. */
function isOrdinary({ reason }: Refusal): boolean {
  return reason === 'rate_limited' || reason === 'login_missing'
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
  const { refusals, occasionOf, logger } = failures
  const occasion = occasionOf(request)
  const area = request.routeOptions.config.area ?? 'enrolment'
  logger?.error({ err: error, route: routeOf(request) }, 'answering a request')
  refusals.note(`${area}.internal`, (count) => failureEvent(area, occasion, count), null)
  const isUnavailable = error instanceof StoreUnavailable || error instanceof AuditUnavailable
  return send(reply, request, isUnavailable ? { status: 503, body: UNAVAILABLE } : { status: 500, body: INTERNAL })
}

function send(reply: FastifyReply, request: FastifyRequest, { status, body }: { status: number; body: ErrorBody }): FastifyReply {
  // Who asks under another name (421) is not sent to a page under that name.
  if (request.routeOptions.config.isNavigation && status !== 421) return reply.redirect(`/#error=${body.error.code}`, 303)
  return reply.code(status).send(body)
}

/** The route's pattern: what was asked for is a stranger's text. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none'
}
