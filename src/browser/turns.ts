/** Who may ask for a tap: one connection of a page at a time, and only while its person sees the page. */
import { PasskeyError } from './passkey-error.ts'

let last: Promise<unknown> = Promise.resolve()

/**
 * Runs `work` when it is its turn. Servers give a connection little time, so it is dialled in its turn and not before.
 * `gone`: nobody waits for it any more; then this rejects with `closed`.
 */
export function inTurn<T>(gone: AbortSignal, work: () => Promise<T>): Promise<T> {
  const turn = last.then(async () => {
    await seen(gone)
    if (gone.aborted) throw new PasskeyError('closed', 'waiting for a turn: the connection ended')
    return work()
  })
  last = turn.catch(() => undefined)
  return turn
}

/** Browsers show no question in a page that nobody looks at. Resolves when somebody does, or `gone` is aborted. */
async function seen(gone: AbortSignal): Promise<void> {
  while (document.visibilityState !== 'visible' && !gone.aborted) {
    await new Promise<void>((resolve) => {
      document.addEventListener('visibilitychange', () => resolve(), { once: true })
      gone.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}
