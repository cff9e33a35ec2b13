/** A command line in this process, whose messages a test can wait for. */
import { COMMANDS } from '../../src/cli/commands.ts'
import { run } from '../../src/cli/run.ts'
import { type MemoryIo, memoryIo } from './memory-io.ts'

export interface TypedCommand {
  io: MemoryIo
  done: Promise<number>
  /** The first match in what it says; rejects when it ends without. */
  said(pattern: RegExp): Promise<string>
}

export function typed(args: readonly string[], env: Record<string, string>): TypedCommand {
  const io = memoryIo({ env })
  const waiting = new Set<() => void>()
  const say = (line: string) => {
    io.stderr.push(line)
    for (const look of waiting) look()
  }
  let ended = false
  const done = run(args, COMMANDS, { ...io, say }).finally(() => {
    ended = true
    for (const look of waiting) look()
  })
  return {
    io,
    done,
    said: (pattern) =>
      new Promise((found, failed) => {
        const look = () => {
          const match = pattern.exec(io.stderr.join('\n'))
          if (match !== null) found(match[1] ?? match[0])
          else if (ended) failed(new Error(`the command ended with: ${io.stderr.join('\n')}`))
          else return
          waiting.delete(look)
        }
        waiting.add(look)
        look()
      }),
  }
}
