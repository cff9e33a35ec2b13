/** Whether the audit streams are there: looked at every now and then, and sooner while something is wrong. */

export interface StreamWatch {
  there(): boolean
  stop(): void
}

const lookMs = 10_000
const againMs = 1_000

/**
 * Begins with true. `look` says whether they are there, and throws when nobody answered: once is no news, for a look that
 * a restart of nats-server caught says nothing, and without verifiers in the queue group nobody gets in.
 */
export function watchStreams(look: () => Promise<boolean>): StreamWatch {
  let there = true
  let unanswered = 0
  let stopped = false
  const run = async () => {
    try {
      there = await look()
      unanswered = 0
    } catch {
      if (++unanswered > 1) there = false
    }
    if (!stopped) timer = setTimeout(run, there && unanswered === 0 ? lookMs : againMs)
  }
  let timer = setTimeout(run, lookMs)
  return {
    there: () => there,
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}
