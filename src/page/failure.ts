/** What can go wrong on the page, as values: codes that the service answers with, and those that only a browser has. */
import type { REFUSALS } from '../core/refusal.ts'

type Areas = typeof REFUSALS
type Rows = { [A in keyof Areas]: Areas[A][keyof Areas[A]] }[keyof Areas]

/** Every `error.code` of the HTTP API. */
export type ServiceCode = Rows['code'] | 'unavailable' | 'internal'

/** What fails in the browser, before or after the service has its say. */
export type BrowserCode =
  | 'cancelled'
  | 'timed_out'
  | 'already_enrolled'
  | 'unsupported_browser'
  | 'insecure_page'
  | 'wrong_domain'
  | 'verification_impossible'
  | 'device_unsuitable'
  | 'device_failed'
  | 'network'
  | 'link_broken'
  | 'callback_refused'
  | 'unexpected'

export interface Failure {
  code: ServiceCode | BrowserCode
  /** Which check, from the service's closed set; null when it does not say. */
  check: string | null
  /** How long the service asks to wait, or null. */
  waitSeconds: number | null
}

export type Outcome<T> = { ok: true; value: T } | { ok: false; failure: Failure }

export function done<T>(value: T): { ok: true; value: T } {
  return { ok: true, value }
}

/** A failure by its code. */
export function failed(code: Failure['code'], more: Partial<Pick<Failure, 'check' | 'waitSeconds'>> = {}): { ok: false; failure: Failure } {
  return { ok: false, failure: { code, check: more.check ?? null, waitSeconds: more.waitSeconds ?? null } }
}
