/**
 * Keeps a flood of refusals countable in bounded memory: the sum of `count` over what goes in equals the sum over what
 * comes out, always. Nothing is dropped; what there is no room for is merged.
 */
import type { VerdictEvent } from '../core/audit-event.ts'

export interface CoalescerLimits {
  /** Records a second that each (reason, source address) may have to itself. */
  perSecond: number
  /** Records a second that all of them may have; then each pair's are merged from its first on. */
  totalPerSecond: number
  /** Records that wait for the stream before new ones are merged. */
  waitingMax: number
  /** Kept (reason, source) pairs before sources are merged too. */
  sourcesMax: number
}

export interface Coalescer {
  add(event: VerdictEvent, nowMs: number): void
  /** The next record to publish, or null. */
  take(): VerdictEvent | null
  /** Lets merged records go whose second is over; all of them when `force` is set. */
  settle(nowMs: number, options: { force: boolean }): void
  /** Whether there is anything to settle, now or later. */
  readonly active: boolean
  /** Records that wait, merged ones included. */
  readonly size: number
  /** Verdicts they stand for. */
  readonly verdicts: number
}

interface Window {
  startedAt: number
  passed: number
  merged: VerdictEvent | null
}

const windowMs = 1000

export function createCoalescer(limits: CoalescerLimits): Coalescer {
  const waiting: VerdictEvent[] = []
  const windows = new Map<string, Window>()
  const total = perSecond(limits.totalPerSecond)
  let head = 0
  let merging = 0
  let verdicts = 0

  const length = () => waiting.length - head

  function add(event: VerdictEvent, nowMs: number): void {
    verdicts += event.count
    const [key, sourced] = place(event)
    const window = windowOf(key, nowMs)
    const mayPass = window.passed < limits.perSecond && window.merged === null && length() < limits.waitingMax
    if (mayPass && total.take(nowMs)) {
      window.passed++
      waiting.push(event)
      return
    }
    if (window.merged === null) merging++
    // A copy: the event itself goes on to the log and the metrics as the one verdict that it is.
    window.merged = window.merged === null ? (sourced ? { ...event } : withoutSource(event)) : merge(window.merged, event)
  }

  /** Where the event is counted: under its source, or, when there are too many sources, under its reason alone. */
  function place(event: VerdictEvent): [key: string, sourced: boolean] {
    const reason = `${event.verified ? 'v' : 'u'} ${event.verdict.outcome} ${event.verdict.reason}`
    const key = `${reason} ${event.connection?.clientHost ?? ''}`
    // A pair that starts with `*` cannot be a source: hosts come after a space that no reason holds.
    return windows.has(key) || windows.size < limits.sourcesMax ? [key, true] : [`* ${reason}`, false]
  }

  function windowOf(key: string, nowMs: number): Window {
    const known = windows.get(key)
    if (known !== undefined) {
      if (nowMs - known.startedAt >= windowMs && known.merged === null) Object.assign(known, { startedAt: nowMs, passed: 0 })
      return known
    }
    const opened: Window = { startedAt: nowMs, passed: 0, merged: null }
    windows.set(key, opened)
    return opened
  }

  function settle(nowMs: number, { force }: { force: boolean }): void {
    for (const [key, window] of windows) {
      if (!force && nowMs - window.startedAt < windowMs) continue
      // While the stream is away, the merged record goes on growing in its place.
      if (window.merged !== null && !force && length() >= limits.waitingMax) continue
      if (window.merged !== null) {
        waiting.push(window.merged)
        merging--
      }
      windows.delete(key)
    }
  }

  function take(): VerdictEvent | null {
    const event = waiting[head]
    if (event === undefined) return null
    head++
    // Shifting an array of thousands at each record would be quadratic.
    if (head > 1024 && head * 2 > waiting.length) {
      waiting.splice(0, head)
      head = 0
    }
    verdicts -= event.count
    return event
  }

  return {
    add,
    take,
    settle,
    get active() {
      return windows.size > 0
    },
    get size() {
      return length() + merging
    },
    get verdicts() {
      return verdicts
    },
  }
}

/** So many in each second that begins with one. */
function perSecond(max: number): { take(nowMs: number): boolean } {
  let startedAt = Number.NEGATIVE_INFINITY
  let taken = 0
  return {
    take(nowMs) {
      if (nowMs - startedAt >= windowMs) {
        startedAt = nowMs
        taken = 0
      }
      return taken++ < max
    },
  }
}

/** One event for both: the earlier one's facts, as far as a coalesced record tells any (ocsf-verdict.ts). */
function merge(into: VerdictEvent, event: VerdictEvent): VerdictEvent {
  into.count += event.count
  into.firstAt = Math.min(into.firstAt, event.firstAt)
  into.lastAt = Math.max(into.lastAt, event.lastAt)
  into.durationMs = Math.max(into.durationMs, event.durationMs)
  return into
}

function withoutSource(event: VerdictEvent): VerdictEvent {
  return { ...event, connection: null, identity: null }
}
