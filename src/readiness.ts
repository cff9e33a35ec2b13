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
 * Begins not ready. `onChange` runs one after the other: a verifier that flaps joins and leaves in the order of events.
 * What it throws goes to `onFailure`, and the change is tried again at the next look.
 */
export function watchReadiness(options: {
  checks: Readonly<Record<string, () => boolean>>
  onChange(ready: boolean, failing: string[]): Promise<void>
  onFailure(cause: unknown): void
}): Readiness {
  const { checks, onChange, onFailure } = options
  let ready = false
  let changing: Promise<void> | null = null
  let stopped = false
  const failing = () => Object.entries(checks).flatMap(([name, passes]) => (passes() ? [] : [name]))

  const refresh = () => {
    const now = failing()
    if (stopped || changing !== null || (now.length === 0) === ready) return
    changing = change(now)
  }
  const change = async (now: string[]) => {
    try {
      await onChange(now.length === 0, now)
      ready = now.length === 0
    } catch (cause) {
      onFailure(cause)
    } finally {
      changing = null
    }
  }
  const timer = setInterval(refresh, intervalMs)
  refresh()
  return {
    isReady: () => !stopped && ready && failing().length === 0,
    failing,
    refresh,
    stop: async () => {
      stopped = true
      clearInterval(timer)
      await changing
    },
  }
}
