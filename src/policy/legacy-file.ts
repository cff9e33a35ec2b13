/** The file of legacy users: read, watched, and swapped as a whole. A bad file changes nothing but is always spoken about. */
import type { AccountName } from '../core/identifiers.ts'
import { parseLegacyUsers } from '../core/legacy/legacy-document.ts'
import type { LegacyUsers } from '../core/legacy/legacy-users.ts'
import { watchDirectory } from './watch-directory.ts'

// Who could not be taken over is as good as before; nothing about the file will change to say so.
const takeOverAgainMs = 1_000

/** The file cannot be used: a line for each thing that is wrong with it, and never a word of a hash. */
export class LegacyUsersInvalid extends Error {
  override readonly name = 'LegacyUsersInvalid'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super('loading the legacy users')
    this.problems = problems
  }
}

export interface LegacyFileOptions {
  path: string
  /** The file's text; throws where others could read it too. */
  read(path: string): string
  targetAccounts: readonly AccountName[]
  /** Awaited before `users` are in force, so that their record can be durable first. Not called for the first. */
  onChange(users: LegacyUsers, previous: LegacyUsers): Promise<void>
  /** The users in force have stayed the same, and why. Called once for each distinct reason. */
  onRefused(problems: readonly string[]): void
}

export interface LegacyFile {
  current(): LegacyUsers
  /** Reads the file now (SIGHUP). Reloads run one after the other. */
  reload(): Promise<'unchanged' | 'loaded' | 'refused'>
  close(): void
}

/** The users of the file. Throws LegacyUsersInvalid, or what `read` throws. */
export function readLegacyUsers({ path, read, targetAccounts }: Pick<LegacyFileOptions, 'path' | 'read' | 'targetAccounts'>): LegacyUsers {
  const parsed = parseLegacyUsers(read(path), { targetAccounts })
  if (parsed.ok) return parsed.users
  throw new LegacyUsersInvalid(
    parsed.issues.map(({ line, path: where, message }) => `${path}:${line}: ${where === '' ? '' : `${where}: `}${message}`),
  )
}

/** Loads the file and keeps it current. Throws as readLegacyUsers does where the first one is not good. */
export function openLegacyFile(options: LegacyFileOptions): LegacyFile {
  let current = readLegacyUsers(options)
  // What was last refused is reported once, not at every event of its directory.
  let refused = ''
  let closed = false
  let again: NodeJS.Timeout | null = null

  const refuse = (problems: readonly string[]): 'refused' => {
    if (problems.join('\n') !== refused) options.onRefused(problems)
    refused = problems.join('\n')
    return 'refused'
  }
  const reloadNow = async () => {
    if (again !== null) clearTimeout(again)
    let users: LegacyUsers
    try {
      users = readLegacyUsers(options)
    } catch (error) {
      return refuse(error instanceof LegacyUsersInvalid ? error.problems : [error instanceof Error ? error.message : String(error)])
    }
    if (closed || users.hash === current.hash) {
      refused = ''
      return 'unchanged'
    }
    try {
      await options.onChange(users, current)
    } catch {
      if (!closed) again = setTimeout(reloadSoon, takeOverAgainMs).unref()
      return refuse([`${options.path}: its record could not be made`])
    }
    refused = ''
    current = users
    return 'loaded'
  }

  let queue: Promise<unknown> = Promise.resolve()
  const reload = () => {
    const next = queue.then(reloadNow)
    queue = next.catch(() => undefined)
    return next
  }
  const reloadSoon = (): void => void reload()
  const stopWatching = watchDirectory(options.path, {
    changed: reloadSoon,
    failed: (error) => options.onRefused([`watching ${options.path}: ${error.message}`]),
  })
  return {
    current: () => current,
    reload,
    close: () => {
      closed = true
      if (again !== null) clearTimeout(again)
      stopWatching()
    },
  }
}
