/** A file with a secret, read again whenever it changed. */
import { open } from 'node:fs/promises'

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
      let file: Awaited<ReturnType<typeof open>> | null = null
      try {
        // What is looked at and what is read is one open file, so a rename in between cannot mix two.
        file = await open(path, 'r')
        const stat = await file.stat({ bigint: true })
        if ((stat.mode & 0o077n) !== 0n) throw new Error('readable by others: its mode must be 0600 or 0400')
        const identity = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ')
        if (known?.identity === identity) return known.value
        if (stat.size > fileBytesMax) throw new Error('larger than 256 KiB')
        known = { identity, value: parse(await file.readFile('utf8')) }
        return known.value
      } catch (cause) {
        known = null
        throw new Error(`reading ${path}: ${(cause as Error).message}`, { cause })
      } finally {
        await file?.close()
      }
    },
  }
}
