#!/usr/bin/env node
/** The binary `nats-webauthn`. The commands are in commands.ts; what a line of words means is in run.ts. */
import { createInterface } from 'node:readline'
import { type CommandIo, UsageError } from './command.ts'
import { COMMANDS } from './commands.ts'
import { run } from './run.ts'

let stopped: AbortController | null = null

// Only commands that ask for the signal end themselves; all others end at once, as processes do.
function stopSignal(): AbortSignal {
  if (stopped !== null) return stopped.signal
  const controller = new AbortController()
  stopped = controller
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // The second signal means now.
      if (controller.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143)
      controller.abort()
    })
  }
  return controller.signal
}

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', () => process.exit(0))

const io: CommandIo = {
  out: (line) => process.stdout.write(`${line}\n`),
  say: (line) => process.stderr.write(`${line}\n`),
  readStdin: async (bytesMax) => {
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of process.stdin) {
      bytes += chunk.length
      if (bytes > bytesMax) throw new UsageError(`standard input is larger than ${bytesMax} bytes`)
      chunks.push(Buffer.from(chunk))
    }
    return Buffer.concat(chunks).toString('utf8')
  },
  stdinLines: () => createInterface({ input: process.stdin, crlfDelay: Infinity }),
  stdinIsTerminal: process.stdin.isTTY === true,
  env: process.env,
  stopSignal,
}

const code = await run(process.argv.slice(2), COMMANDS, io)
// nats.js leaves behind the socket of an attempt to connect, which would keep this process for as long as nats-server hangs.
process.stdout.write('', () => process.exit(code))
