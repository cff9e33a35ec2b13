/** Times as people read them: in the order and with the clock of their own settings. */

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' })
const dayAndClock = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' })
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' })

/** A day, such as `3 Nov 2026` in Britain. `at`: epoch milliseconds, here as everywhere. */
export function dayWords(at: number): string {
  return day.format(at)
}

/** A time near `now`: `14:05`, or with its day when that is another one. */
export function timeWords(at: number, now: number): string {
  return dayWords(at) === dayWords(now) ? clock.format(at) : dayAndClock.format(at)
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** A length of time in its two largest units, such as `7 hours 30 minutes`. */
export function lengthWords(seconds: number): string {
  let left = Math.max(0, Math.round(seconds))
  const parts: string[] = []
  for (const [name, size] of UNITS) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) parts.push(`${count} ${name}${count === 1 ? '' : 's'}`)
  }
  return parts.slice(0, 2).join(' ') || 'no time'
}
