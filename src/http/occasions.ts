/** Each request as core sees it: a moment, a source, and what is known of it so far. */
import type { FastifyRequest } from 'fastify'
import type { Occasion } from '../core/enrolment/enrolment-events.ts'

export interface OccasionOptions {
  policyHash(): string
  now(): Date
  /** Cryptographically strong random bytes. */
  random(bytes: number): Uint8Array
  uuid(): string
}

/** The occasion of a request: made when it is first asked for, the same from then on. */
export type OccasionOf = (request: FastifyRequest) => Occasion

export function rememberOccasions({ now, random, uuid, policyHash }: OccasionOptions): OccasionOf {
  const occasions = new WeakMap<FastifyRequest, Occasion>()
  return (request) => {
    const remembered = occasions.get(request)
    if (remembered !== undefined) return remembered
    const occasion: Occasion = {
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
