/**
 * Records of what was refused over HTTP. Strangers may knock as often as they like, and the records of grants share
 * their stream: so a window has a budget of single records, and the rest becomes one record with a count for each area and reason.
 */
import type { LifecycleEvent } from '../core/audit-event.ts'
import type { LifecyclePort } from '../core/ports.ts'

export interface RefusalLog {
  /**
   * `what` names the refusals that one record may stand for: area and reason. `make` gives the record for `count` of them.
   * With `once`, only the first of that key in a window is a record of its own.
   */
  note(what: string, make: (count: number) => LifecycleEvent, once: string | null): void
  /** Writes what is still counted, and waits for all of it. */
  close(): Promise<void>
}

const windowMs = 60_000
const singleRecordsMax = 20
const onceKeysMax = 1_000

/** `failed` hears of records that could not be written: a refusal is answered all the same. */
export function createRefusalLog(lifecycle: LifecyclePort, failed: (cause: unknown) => void): RefusalLog {
  const writing = new Set<Promise<void>>()
  const counted = new Map<string, { count: number; make: (count: number) => LifecycleEvent }>()
  const once = new Set<string>()
  let singles = 0
  let timer: NodeJS.Timeout | null = null

  function write(event: LifecycleEvent): void {
    const done = lifecycle
      .record(event)
      .catch(failed)
      .finally(() => writing.delete(done))
    writing.add(done)
  }

  function endWindow(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    for (const { count, make } of counted.values()) write(make(count))
    counted.clear()
    once.clear()
    singles = 0
  }

  return {
    note(what, make, key) {
      if (timer === null) timer = setTimeout(endWindow, windowMs).unref()
      const repeated = key !== null && (once.has(key) || once.size >= onceKeysMax)
      if (!repeated && singles < singleRecordsMax) {
        if (key !== null) once.add(key)
        singles++
        write(make(1))
        return
      }
      const earlier = counted.get(what)
      counted.set(what, { count: (earlier?.count ?? 0) + 1, make: earlier?.make ?? make })
    },
    async close() {
      endWindow()
      await Promise.all(writing)
    },
  }
}
