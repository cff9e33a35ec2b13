/** How long a watch may take to begin, and to tell everything where that is waited for. */
import { StoreUnavailable } from '../core/ports.ts'

const FIRST_PASS_MS_MAX = 30_000

/** `work`, or StoreUnavailable when it takes longer than a first pass may. */
export async function within(work: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreUnavailable(what)), FIRST_PASS_MS_MAX)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
