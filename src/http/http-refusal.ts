/** What the HTTP interface answers when it does not do what was asked. */
import { type Judged, type Refusal, refusalRow } from '../core/refusal.ts'

/** Which part of a request was not as it must be: `check` of request_malformed. */
export const REQUEST_CHECKS = {
  route: 'There is no such path or method.',
  host: 'The `Host` header names another host: a name that somebody pointed at this address.',
  origin:
    "The request comes from a web page of another origin, from nobody's page where our own must ask, or from a page where only a program may.",
  cookie: 'The cookie is not one of ours, or there are two of its name. The answer takes it away.',
  query: 'The query of the callback is too long, or names a parameter twice.',
  content_type: 'The body is not `application/json` in UTF-8.',
  body_size: 'The body is larger than 32 KiB.',
  json: 'The body is not JSON that can be read in one way only.',
  schema: 'A member is missing, unknown or not as documented.',
  http: 'The bytes are not an HTTP/1.1 request.',
} as const
export type RequestCheck = keyof typeof REQUEST_CHECKS

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

/** What was asked for, or the refusal on its way. */
export function answer<T>(judged: Judged<T>): T {
  if (!judged.ok) throw new HttpRefusal(judged.refusal)
  return judged.value
}

/**
 * Only these (`area.reason`) name the check: whoever holds a ticket or a login is told what is wrong with the key, a stranger
 * is told nothing of tickets, logins or passkeys.
 */
export const TELLS_CHECK: readonly string[] = [
  'enrolment.request_malformed',
  'enrolment.registration_invalid',
  'enrolment.possession_invalid',
  'enrolment.device_refused',
]

/** The body for a refusal: fixed sentences and codes from closed sets. */
export function refusalBody(refusal: Refusal): ErrorBody {
  const { area, reason, check } = refusal
  const { code, message } = refusalRow(refusal)
  return { error: { code, message, ...(check !== null && TELLS_CHECK.includes(`${area}.${reason}`) ? { check } : {}) } }
}

export const UNAVAILABLE: ErrorBody = { error: { code: 'unavailable', message: 'The service cannot do this now. Try again later.' } }
export const INTERNAL: ErrorBody = { error: { code: 'internal', message: 'The service failed.' } }
