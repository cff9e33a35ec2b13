/** What the HTTP interface answers when it does not do what was asked. */
import { type Refusal, refusalRow } from '../core/refusal.ts'

/** Which part of a request was not as it must be: `check` of request_malformed. */
export const REQUEST_CHECKS = ['route', 'host', 'origin', 'content_type', 'body_size', 'json', 'schema', 'http'] as const
export type RequestCheck = (typeof REQUEST_CHECKS)[number]

/** A refusal on its way to the error handler, which answers and records it. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal'
  readonly refusal: Refusal
  readonly statusCode: number

  constructor(refusal: Refusal, statusCode: number = refusalRow(refusal).status) {
    super(refusal.reason)
    this.refusal = refusal
    this.statusCode = statusCode
  }
}

/** A request that is not one that this service reads. */
export function malformed(check: RequestCheck, statusCode: number): HttpRefusal {
  return new HttpRefusal({ area: 'enrolment', reason: 'request_malformed', check }, statusCode)
}

export interface ErrorBody {
  error: { code: string; message: string; check?: string }
}

// Only these name the check: the ticket's holder is told what is wrong with the key, a stranger is told nothing of tickets.
const TELLS_CHECK: readonly string[] = ['request_malformed', 'registration_invalid', 'possession_invalid']

/** The body for a refusal: fixed sentences and codes from closed sets. */
export function refusalBody(refusal: Refusal): ErrorBody {
  const { reason, check } = refusal
  const { code, message } = refusalRow(refusal)
  return { error: { code, message, ...(check !== null && TELLS_CHECK.includes(reason) ? { check } : {}) } }
}

export const UNAVAILABLE: ErrorBody = { error: { code: 'unavailable', message: 'The service cannot do this now. Try again later.' } }
export const INTERNAL: ErrorBody = { error: { code: 'internal', message: 'The service failed.' } }
