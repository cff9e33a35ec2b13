/** The HTTP server of the ceremonies, in the order in which a request goes through it. */
import cookie from '@fastify/cookie'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import type { EnrolmentWorld } from '../core/enrolment/enrolment-steps.ts'
import type { PeopleWorld } from '../core/people/people.ts'
import { secureAnswers } from './answer-headers.ts'
import { checkAddressee } from './callers.ts'
import { createCookies } from './cookies.ts'
import { enrolmentRoutes } from './enrolment.ts'
import { answerFailures } from './failures.ts'
import type { HttpLogger } from './http-logger.ts'
import { malformed } from './http-refusal.ts'
import { acceptStrictJson } from './json-body.ts'
import { bareServer, type ListenerOptions } from './listener.ts'
import { type OccasionOf, type OccasionOptions, rememberOccasions } from './occasions.ts'
import { type Page, type PageFiles, pageRoutes, readPage } from './page-files.ts'
import { peopleRoutes } from './people.ts'
import { group } from './people-http.ts'
import { createBuckets, type RateLimits } from './rate-limits.ts'
import { createRefusalLog } from './refusal-log.ts'

export type { PageFiles } from './page-files.ts'
export { DEFAULT_RATE_LIMITS, type RateLimits } from './rate-limits.ts'

export interface HttpServerOptions extends EnrolmentWorld, ListenerOptions, OccasionOptions {
  /** Null: machines alone. */
  people: PeopleWorld | null
  /** The page for people; null: none. */
  page: PageFiles | null
  logger: HttpLogger | null
  rateLimits: RateLimits
}

/** A server that is not listening yet. `close()` waits until every refusal is on record. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { origin, logger, lifecycle } = options
  // Here, because nobody catches what is thrown while routes are added.
  const page = options.page === null ? null : readPage(options.page)
  const app = bareServer(options)
  const refusals = createRefusalLog(lifecycle, (cause) => logger?.error({ err: cause }, 'recording a refused request'))
  app.addHook('onClose', () => refusals.close())
  acceptStrictJson(app)
  const occasionOf = rememberOccasions(options)
  secureAnswers(app, origin)
  checkAddressee(app, origin)
  answerFailures(app, { refusals, occasionOf, logger })
  app.register(rateLimit, { global: false })
  // Only for writing: what browsers send is read in cookies.ts.
  app.register(cookie, { hook: false })
  app.register((scope, _, done) => {
    addRoutes(scope, { ...options, page }, occasionOf)
    done()
  })
  return app
}

function addRoutes(app: FastifyInstance, options: Omit<HttpServerOptions, 'page'> & { page: Page | null }, occasionOf: OccasionOf): void {
  const { people, page, origin, logger, rateLimits } = options
  const buckets = createBuckets(app, rateLimits)
  // Before the body is read, and after the request was counted: who guesses paths is limited as well.
  app.addHook('onRequest', buckets.route)
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw malformed('route', 404)
  })
  app.setNotFoundHandler(async () => {
    throw malformed('route', 404)
  })
  enrolmentRoutes(app, options, occasionOf)
  if (people !== null) peopleRoutes(app, { world: people, cookies: createCookies(origin), buckets, occasionOf, logger })
  if (page !== null) group(app, { area: 'login', caller: null }, (scope) => pageRoutes(scope, page))
}
