/** How often one source, and one person, may ask. Each verifier counts for itself. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Handle } from '../core/identifiers.ts'
import { HttpRefusal } from './http-refusal.ts'

/** Requests in one window. A source is an IPv4 address or an IPv6 /64. */
export interface RateLimits {
  windowSeconds: number
  /** Of one source. A machine's enrolment takes three, a person's first device about eight. */
  perSource: number
  /** Of those, what strangers may begin: sign-ins, terminals' requests, guesses at codes. */
  strangersPerSource: number
  /** Of one source, what costs next to nothing and is not among `perSource`: files of the page, a terminal that asks again each second. */
  lightPerSource: number
  /** Ceremonies that one person begins while signed in. */
  ceremoniesPerPerson: number
  /** Codes that one person types. */
  codesPerPerson: number
}

export const DEFAULT_RATE_LIMITS: RateLimits = {
  windowSeconds: 60,
  perSource: 120,
  strangersPerSource: 30,
  lightPerSource: 600,
  ceremoniesPerPerson: 20,
  codesPerPerson: 10,
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a request of this route counts as; `source` where not given. */
    bucket?: 'source' | 'strangers' | 'light'
  }
}

export interface Buckets {
  /** Counts a request where its route belongs. All refuse with `rate_limited`. */
  route(request: FastifyRequest, reply: FastifyReply): Promise<void>
  /** Counts it among what strangers begin. */
  stranger(request: FastifyRequest, reply: FastifyReply): Promise<void>
  ceremony(request: FastifyRequest, reply: FastifyReply, handle: Handle): Promise<void>
  code(request: FastifyRequest, reply: FastifyReply, handle: Handle): Promise<void>
}

/** The buckets of `app`, where @fastify/rate-limit is registered. */
export function createBuckets(app: FastifyInstance, limits: RateLimits): Buckets {
  const timeWindow = limits.windowSeconds * 1000
  const persons = new WeakMap<FastifyRequest, Handle>()
  const perSource = (max: number) => app.createRateLimit({ max, timeWindow })
  const perPerson = (max: number) => app.createRateLimit({ max, timeWindow, keyGenerator: (request) => persons.get(request) ?? '' })
  const source = perSource(limits.perSource)
  const strangers = perSource(limits.strangersPerSource)
  const light = perSource(limits.lightPerSource)
  const ceremonies = perPerson(limits.ceremoniesPerPerson)
  const codes = perPerson(limits.codesPerPerson)

  async function count(limit: ReturnType<typeof perSource>, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const state = await limit(request)
    if (state.isAllowed || !state.isExceeded) return
    reply.header('retry-after', state.ttlInSeconds)
    throw new HttpRefusal({ area: 'enrolment', reason: 'rate_limited', check: null })
  }
  async function countPerson(limit: ReturnType<typeof perSource>, request: FastifyRequest, reply: FastifyReply, handle: Handle) {
    persons.set(request, handle)
    await count(limit, request, reply)
  }

  return {
    async route(request, reply) {
      const bucket = request.routeOptions.config.bucket ?? 'source'
      if (bucket === 'light') return count(light, request, reply)
      await count(source, request, reply)
      if (bucket === 'strangers') await count(strangers, request, reply)
    },
    stranger: (request, reply) => count(strangers, request, reply),
    ceremony: (request, reply, handle) => countPerson(ceremonies, request, reply, handle),
    code: (request, reply, handle) => countPerson(codes, request, reply, handle),
  }
}
