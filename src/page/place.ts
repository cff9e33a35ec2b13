/**
 * Where on the page somebody is: the fragment of the address, which no server and no log ever sees. It is kept in the
 * tab's storage while the person is away at their identity provider.
 */
import type { Failure } from './failure.ts'
import { isKnownCode } from './words.ts'

export type Place =
  | { kind: 'home' }
  | { kind: 'enrol' }
  | { kind: 'code' }
  | { kind: 'session'; request: string }
  | { kind: 'ticket'; ticket: string }
  | { kind: 'error'; code: Failure['code'] }

const HOME: Place = { kind: 'home' }
const keptUnder = 'nats-webauthn.place'
const keptMs = 15 * 60_000
const TOKEN = /^[A-Za-z0-9_-]{1,256}$/

/** The place that a fragment names (with or without its `#`). */
export function placeOf(fragment: string): Place {
  const text = fragment.replace(/^#/, '')
  const [kind = '', ...rest] = text.split('=')
  const value = rest.join('=')
  if (kind === 'enrol' || kind === 'code') return value === '' ? { kind } : broken()
  if (kind === 'session') return TOKEN.test(value) ? { kind, request: value } : broken()
  if (kind === 'ticket') return TOKEN.test(value) ? { kind, ticket: value } : broken()
  if (kind === 'error') return { kind, code: isKnownCode(value) ? value : 'unexpected' }
  return text === '' ? HOME : broken()
}

function broken(): Place {
  return { kind: 'error', code: 'link_broken' }
}

/** The fragment of a place, '' where it has none: a ticket is never put back into the address. */
export function fragmentOf(place: Place): string {
  switch (place.kind) {
    case 'enrol':
    case 'code':
      return `#${place.kind}`
    case 'session':
      return `#session=${place.request}`
    case 'home':
    case 'ticket':
    case 'error':
      return ''
  }
}

/** Takes the place out of the address. A ticket and an error leave the address, and its history, at once. */
export function takePlace(): Place {
  const place = placeOf(location.hash)
  history.replaceState(history.state, '', addressOf(place))
  return place
}

/**
 * Puts a place into the address without loading anything. Enrolling is a step that the browser's Back button undoes;
 * `next`, where it leads, outlives a reload.
 */
export function showPlace(place: Place, next: Place | null = null): void {
  const state = next === null ? null : fragmentOf(next)
  if (place.kind === 'enrol' && placeOf(location.hash).kind !== 'enrol') history.pushState(state, '', addressOf(place))
  else history.replaceState(state, '', addressOf(place))
}

/** Where the present place leads, if it was shown so. */
export function nextPlace(): Place | null {
  const state: unknown = history.state
  const place = typeof state === 'string' ? placeOf(state) : HOME
  return place.kind === 'session' || place.kind === 'code' ? place : null
}

function addressOf(place: Place): string {
  return location.pathname + fragmentOf(place)
}

/** Keeps a place for after the identity provider. Tickets are never kept: they sign in by themselves. */
export function keepPlace(place: Place, now: number): void {
  const fragment = fragmentOf(place)
  try {
    if (fragment === '') sessionStorage.removeItem(keptUnder)
    else sessionStorage.setItem(keptUnder, JSON.stringify([fragment, now]))
  } catch {
    // Storage may be switched off; then the person lands at home and opens the link again.
  }
}

/** The place that was kept, if it was not long ago, and forgets it. */
export function takeKeptPlace(now: number): Place | null {
  let kept: unknown
  try {
    kept = JSON.parse(sessionStorage.getItem(keptUnder) ?? 'null')
  } catch {
    kept = null
  }
  forgetPlace()
  if (!Array.isArray(kept)) return null
  const [fragment, at]: unknown[] = kept
  if (typeof fragment !== 'string' || typeof at !== 'number' || at > now || now - at > keptMs) return null
  const place = placeOf(fragment)
  return place.kind === 'error' || place.kind === 'ticket' ? null : place
}

function forgetPlace(): void {
  try {
    sessionStorage.removeItem(keptUnder)
  } catch {
    // Nothing was kept then.
  }
}
