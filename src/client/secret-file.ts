/** Files that hold secrets: made whole or not at all, for their owner alone. */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { utf8 } from '../core/encoding.ts'
import { WebAuthnClientError } from './client-error.ts'

const fileBytesMax = 64 * 1024

/** Creates `path` with `text`, 0600. Never overwrites, and a crash leaves no half of a secret behind. */
export function createSecretFile(path: string, text: string): void {
  const partial = writePartial(path, text)
  try {
    // Unlike rename, link fails when the name is taken, be it by a file, a directory or a dangling symlink.
    linkSync(partial, path)
    syncDirectory(path)
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST')
      throw new WebAuthnClientError('key_file_exists', 'creating a secret file: something has this name already')
    throw new WebAuthnClientError('key_file_io', 'creating a secret file', { cause })
  } finally {
    unlinkSync(partial)
  }
}

/** Replaces the regular file at `path`, or creates it: readers see the old text or the new one, never a mixture. */
export function replaceSecretFile(path: string, text: string): void {
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined && !there.isFile()) {
    throw new WebAuthnClientError('key_file_unsafe', 'replacing a secret file: a symbolic link or no regular file')
  }
  const partial = writePartial(path, text)
  try {
    renameSync(partial, path)
    syncDirectory(path)
  } catch (cause) {
    unlinkSync(partial)
    throw new WebAuthnClientError('key_file_io', 'replacing a secret file', { cause })
  }
}

/** The text of a secret file. What is checked is the file that was opened, so nothing can be swapped in between. */
export function readSecretFile(path: string): string {
  let fd: number
  try {
    // A named pipe would wait for a writer without O_NONBLOCK.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    throw new WebAuthnClientError('key_file_io', 'opening a secret file', { cause })
  }
  try {
    refuseUnsafe(fd)
    const buffer = Buffer.alloc(fileBytesMax + 1)
    const length = readSync(fd, buffer, 0, buffer.length, 0)
    if (length > fileBytesMax) throw new WebAuthnClientError('key_file_invalid', 'reading a secret file: too long')
    return buffer.toString('utf8', 0, length)
  } finally {
    closeSync(fd)
  }
}

function refuseUnsafe(fd: number): void {
  const stat = fstatSync(fd)
  if (!stat.isFile()) throw new WebAuthnClientError('key_file_unsafe', 'reading a secret file: no regular file')
  // Windows has neither owners nor modes in this sense.
  if (process.getuid === undefined) return
  if ((stat.mode & 0o077) !== 0) throw new WebAuthnClientError('key_file_unsafe', 'reading a secret file: others may use it, chmod 600 it')
  if (stat.uid !== process.getuid() && stat.uid !== 0) {
    throw new WebAuthnClientError('key_file_unsafe', 'reading a secret file: it belongs to somebody else')
  }
}

function writePartial(path: string, text: string): string {
  const partial = join(dirname(path), `.${randomBytes(8).toString('hex')}.partial`)
  try {
    const fd = openSync(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      writeSync(fd, utf8(text))
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    throw new WebAuthnClientError('key_file_io', 'writing a secret file', { cause })
  }
  return partial
}

// The name is durable only when its directory is; Windows cannot open directories.
function syncDirectory(path: string): void {
  if (process.platform === 'win32') return
  const fd = openSync(dirname(path), constants.O_RDONLY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
