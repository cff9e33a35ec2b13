/** Files with secrets: read only where nobody else can read them, again whenever they changed. */
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** The settings of the operations listener do not work. The caller ends the process: there is no safe default. */
export class OperationsConfigError extends Error {
  override readonly name = 'OperationsConfigError'
}

export interface SecretFile<T> {
  /** What the file says now. Throws when it cannot be read, others may read it, or it makes no sense. */
  current(): Promise<T>
}

const fileBytesMax = 256 * 1024

/** `parse` gets the file's text; what it throws says which line is wrong, never what it holds. */
export function secretFile<T>(path: string, parse: (text: string) => T): SecretFile<T> {
  let known: { identity: string; value: T } | null = null
  return {
    async current() {
      try {
        known = await withSecretFile(path, async (file, { dev, ino, size, mtimeNs, ctimeNs }) => {
          const identity = [dev, ino, size, mtimeNs, ctimeNs].join(' ')
          return known?.identity === identity ? known : { identity, value: parse(await file.readFile('utf8')) }
        })
        return known.value
      } catch (cause) {
        known = null
        throw cause
      }
    },
  }
}

/** The text of a secret file. Throws when it cannot be read, or others may read it. */
export function readSecretFile(path: string): Promise<string> {
  return withSecretFile(path, (file) => file.readFile('utf8'))
}

/** What is looked at and what is read is one open file, so a rename in between cannot mix two. */
async function withSecretFile<R>(path: string, read: (file: FileHandle, stat: BigIntStats) => Promise<R>): Promise<R> {
  let file: FileHandle | null = null
  try {
    // A named pipe would wait for a writer without O_NONBLOCK.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = await file.stat({ bigint: true })
    if (!stat.isFile()) throw new Error('no regular file')
    if ((stat.mode & 0o077n) !== 0n) throw new Error('readable by others: its mode must be 0600 or 0400')
    if (stat.size > fileBytesMax) throw new Error('larger than 256 KiB')
    return await read(file, stat)
  } catch (cause) {
    throw new Error(`reading ${path}: ${(cause as Error).message}`, { cause })
  } finally {
    await file?.close()
  }
}
