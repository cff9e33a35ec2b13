/** Whether the verifier may take requests, and why not. Looks at its checks often; changes are told once each. */

export interface Readiness {
  isReady(): boolean
  /** Names of the checks that fail; empty when ready. */
  failing(): string[]
  /** Looks now. */
  refresh(): void
  /** No more changes; resolves when the last one is done. */
  stop(): Promise<void>
}

const intervalMs = 100

/**
 * Begins not ready. A check that has `patienceMs` must fail for that long, at each look, before readiness is lost: without it
 * a verifier that was held up for a moment would leave the queue group, and what comes until it is back there is answered by
 * nobody if there is no other. `onChange` runs one after the other: a verifier that flaps joins and leaves in the order of events.
 * What it throws goes to `onFailure`, and the change is tried again at the next look.
 */
export function watchReadiness(options: {
  checks: Readonly<Record<string, () => boolean>>
  patienceMs?: Readonly<Record<string, number>>
  /** Milliseconds of a monotonic clock. */
  now?: () => number
  onChange(ready: boolean, failing: string[]): Promise<void>
  onFailure(cause: unknown): void
}): Readiness {
  const { checks, patienceMs = {}, now = () => performance.now(), onChange, onFailure } = options
  let ready = false
  let changing: Promise<void> | null = null
  let stopped = false
  const failingSince = new Map<string, number>()
  const failing = () => Object.entries(checks).flatMap(([name, passes]) => (passes() ? [] : [name]))
  /** Those of them that readiness is lost for. */
  const lasting = (names: string[]) => {
    for (const name of failingSince.keys()) if (!names.includes(name)) failingSince.delete(name)
    return names.filter((name) => {
      const since = failingSince.get(name) ?? now()
      failingSince.set(name, since)
      return now() - since >= (patienceMs[name] ?? 0)
    })
  }

  const refresh = () => {
    const names = failing()
    const lost = lasting(names)
    const isDue = ready ? lost.length > 0 : names.length === 0
    if (!stopped && changing === null && isDue) changing = change(names)
  }
  const change = async (names: string[]) => {
    try {
      await onChange(names.length === 0, names)
      ready = names.length === 0
    } catch (cause) {
      onFailure(cause)
    } finally {
      changing = null
    }
  }
  const timer = setInterval(refresh, intervalMs)
  refresh()
  return {
    isReady: () => !stopped && ready && lasting(failing()).length === 0,
    failing,
    refresh,
    stop: async () => {
      stopped = true
      clearInterval(timer)
      await changing
    },
  }
}
