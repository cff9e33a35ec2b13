/** Waiting for what is not there yet, and no longer than is good. */
import { setTimeout as pause } from 'node:timers/promises'

const retryMs = 1_000

/** Tries until it works: at a start, NATS may come up later than the verifier. Each failure is told. */
export async function untilThere<T>(
  name: string,
  log: { warn(fields: object, message: string): void },
  work: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (cause) {
      log.warn({ err: cause }, `${name}: trying again`)
    }
    await pause(retryMs)
  }
}

/** Whether `work` ended within `ms`. Rejects as it does. */
export async function inTime(work: Promise<unknown>, ms: number): Promise<boolean> {
  const timeout = new AbortController()
  try {
    return await Promise.race([work.then(() => true), pause(ms, false, { signal: timeout.signal })])
  } finally {
    timeout.abort()
  }
}
