/** The world of a command, in memory. */

import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { type CommandIo, UsageError } from '../../src/cli/command.ts'

export interface MemoryIo extends CommandIo {
  stdout: string[]
  stderr: string[]
  /** Ends commands that run until told to stop. */
  stop(): void
}

export function memoryIo(world: { stdin?: string; env?: Record<string, string>; stdinIsTerminal?: boolean } = {}): MemoryIo {
  const stdout: string[] = []
  const stderr: string[] = []
  const stopped = new AbortController()
  const stdin = world.stdin ?? ''
  return {
    stdout,
    stderr,
    stop: () => stopped.abort(),
    out: (line) => stdout.push(line),
    say: (line) => stderr.push(line),
    readStdin: async (bytesMax) => {
      if (Buffer.byteLength(stdin) > bytesMax) throw new UsageError('standard input is too large')
      return stdin
    },
    stdinLines: () => createInterface({ input: Readable.from([stdin]), crlfDelay: Infinity }),
    stdinIsTerminal: world.stdinIsTerminal ?? false,
    env: world.env ?? {},
    stopSignal: () => stopped.signal,
  }
}
