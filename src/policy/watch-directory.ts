/** Notices that a file may have changed, however it is replaced. */
import { watch } from 'node:fs'
import { dirname, resolve } from 'node:path'

// An editor's save is several events; the file is read once they have stopped for this long.
const settleMs = 50
// Something else in its directory, such as a log, may never stop: the file is read nevertheless.
const settleMsMax = 1_000

/**
 * Calls `changed` some time after anything in the directory of `path` has changed; returns how to stop that. Editors rename
 * a new file over the old one and Kubernetes swaps a symbolic link beside it: watching the file itself would go on watching
 * what was replaced.
 */
export function watchDirectory(path: string, { changed, failed }: { changed: () => void; failed: (error: Error) => void }): () => void {
  let settle: NodeJS.Timeout | null = null
  let latest: NodeJS.Timeout | null = null
  const rest = (): void => {
    for (const timer of [settle, latest]) if (timer !== null) clearTimeout(timer)
    settle = latest = null
  }
  const fire = (): void => {
    rest()
    changed()
  }
  const watcher = watch(dirname(resolve(path)), () => {
    if (settle !== null) clearTimeout(settle)
    settle = setTimeout(fire, settleMs)
    latest ??= setTimeout(fire, settleMsMax)
  })
  watcher.on('error', failed)
  return () => {
    rest()
    watcher.close()
  }
}
