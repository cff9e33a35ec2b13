/** Weekly windows of local wall-clock time, correct across changes of the clock: what the clock on the wall shows decides. */
import type { TimeWindow } from './policy.ts'

const minuteMs = 60_000
const dayMinutes = 1440
// No user JWT lives longer than a day, so how a window goes on after two days is nobody's concern.
const horizonMs = 2 * 24 * 3600 * 1000
const DAYS: readonly string[] = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

// Making a formatter is expensive; a policy names few zones. Bounded by what parsePolicy accepted.
const formatters = new Map<string, Intl.DateTimeFormat>()

/** Whether `zone` is a time zone this runtime knows. */
export function isTimeZone(zone: string): boolean {
  try {
    return formatter(zone) !== null
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

/** Whether one of the windows is open at `now`. */
export function isWithinWindows(windows: readonly TimeWindow[], now: Date): boolean {
  return windows.some((window) => isOpen(window, now.getTime()))
}

/** Epoch seconds of the first moment after `now` at which none of the windows is open; `now` lies within one of them. */
export function windowsCloseAt(windows: readonly TimeWindow[], now: Date): number {
  let at = now.getTime()
  while (at < now.getTime() + horizonMs) {
    const moment = at
    const open = windows.filter((window) => isOpen(window, moment))
    if (open.length === 0) break
    at = Math.max(...open.map((window) => closesAt(window, moment)))
  }
  return Math.floor(at / 1000)
}

function isOpen(window: TimeWindow, at: number): boolean {
  const { day, minute } = wallClock(window.timeZone, at)
  return window.days.includes(day) && window.fromMinute <= minute && minute < window.toMinute
}

function closesAt(window: TimeWindow, at: number): number {
  const { minute, offsetMs } = wallClock(window.timeZone, at)
  const wholeMinute = Math.floor(at / minuteMs) * minuteMs
  const close = wholeMinute + (window.toMinute - minute) * minuteMs
  if (wallClock(window.timeZone, close).offsetMs === offsetMs) return close
  // The clock is changed before the window would close: judge anew from the moment of the change.
  const change = changeBetween(window.timeZone, at, close)
  return isOpen(window, change) ? closesAt(window, change) : change
}

// The first whole second with another offset; there is one at `to`.
function changeBetween(zone: string, from: number, to: number): number {
  const { offsetMs } = wallClock(zone, from)
  let before = Math.floor(from / 1000)
  let after = Math.ceil(to / 1000)
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (wallClock(zone, middle * 1000).offsetMs === offsetMs) before = middle
    else after = middle
  }
  return after * 1000
}

function wallClock(zone: string, at: number): { day: number; minute: number; offsetMs: number } {
  const parts = new Map(
    formatter(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  )
  const number = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type))
  const minute = number('hour') * 60 + number('minute')
  const local = Date.UTC(number('year'), number('month') - 1, number('day'), 0, minute, number('second'))
  const day = DAYS.indexOf(parts.get('weekday') ?? '')
  return { day, minute: minute % dayMinutes, offsetMs: local - Math.floor(at / 1000) * 1000 }
}

function formatter(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone)
  if (known !== undefined) return known
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    weekday: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  formatters.set(zone, made)
  return made
}
