/** Something that is loaded when it is first needed, kept for a time, and loaded once for all who ask meanwhile. */

export interface Kept<T> {
  /** What was loaded not too long ago; `loaded`: just now, for this call. Throws what loading throws. */
  get(): Promise<{ value: T; loaded: boolean }>
  /** Loads anew, whatever the age. */
  renew(): Promise<T>
}

export function kept<T>(load: () => Promise<T>, { ageMsMax, now }: { ageMsMax: number; now(): Date }): Kept<T> {
  let held: { value: T; at: number } | null = null
  let loading: Promise<T> | null = null

  const renew = (): Promise<T> => {
    const at = now().getTime()
    loading ??= load()
      .then((value) => {
        held = { value, at }
        return value
      })
      .finally(() => {
        loading = null
      })
    return loading
  }
  return {
    renew,
    async get() {
      const age = held === null ? Number.POSITIVE_INFINITY : now().getTime() - held.at
      // A clock that was set back says nothing of an age.
      if (held !== null && age >= 0 && age < ageMsMax) return { value: held.value, loaded: false }
      return { value: await renew(), loaded: true }
    },
  }
}
