/** Load of two kinds: so many a second whatever becomes of them, and so many at once whatever time they take. */
import { setTimeout as delay } from 'node:timers/promises'

export interface Rate {
  perSecond: number
  count: number
}

export interface Concurrency {
  concurrency: number
  count: number
}

/** Begins `count` of `one`, evenly spread, and resolves when all have ended. Late ones are made up for. */
export async function steadily({ perSecond, count }: Rate, one: () => Promise<void>): Promise<void> {
  const begun: Promise<void>[] = []
  const startedAt = performance.now()
  while (begun.length < count) {
    const due = Math.min(count, Math.floor(((performance.now() - startedAt) / 1000) * perSecond) + 1)
    while (begun.length < due) begun.push(one())
    await delay(Math.min(20, 1000 / perSecond))
  }
  await Promise.all(begun)
}

/** Runs `count` of `one`, `concurrency` at a time. */
export async function atOnce({ concurrency, count }: Concurrency, one: () => Promise<void>): Promise<void> {
  let left = count
  const worker = async () => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}
