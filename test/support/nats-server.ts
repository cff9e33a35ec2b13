/** A real nats-server for one test: free ports, its own store, gone afterwards. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setImmediate } from 'node:timers/promises'
import { findNatsServer, type NatsServerLine } from '../../scripts/nats-server.ts'

export interface RunningNatsServer {
  /** Client port on 127.0.0.1. */
  port: number
  /** WebSocket port, or 0. */
  websocketPort: number
  /** HTTP monitoring port, or 0. */
  monitorPort: number
  dir: string
  configFile: string
  child: ChildProcess
  /** Everything the server logged. */
  log(): string
  /** Resolves with the first line, past or future, that matches. */
  logged(pattern: RegExp): Promise<string>
  /** SIGTERM (or `signal`) and wait. Keeps the store. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** SIGSTOP, and every thread has stopped. SIGCONT to `child` lets it go on. */
  hang(): Promise<void>
  /** Starts again on the same ports and store. */
  restart(): Promise<RunningNatsServer>
  /** Kills and removes everything. */
  stop(): Promise<void>
}

/** Versions under test: both ends of the supported range, or the one in NATS_LINE. */
export const NATS_LINES: readonly NatsServerLine[] = process.env['NATS_LINE']
  ? [process.env['NATS_LINE'] as NatsServerLine]
  : ['2.15', '2.10']

/**
 * Starts nats-server with `config`, in which ports are -1 and `$DIR` stands for the server's directory.
 * `files` are written into that directory first.
 */
export async function startNatsServer(
  config: string,
  options: { line?: NatsServerLine; files?: Record<string, string> } = {},
): Promise<RunningNatsServer> {
  const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-test-'))
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(dir, name), text, { mode: 0o600 })
  const configFile = join(dir, 'nats-server.conf')
  writeFileSync(configFile, config.replaceAll('$DIR', dir))
  return run({ dir, configFile, binary: findNatsServer(options.line ?? NATS_LINES[0]) })
}

async function run(server: { dir: string; configFile: string; binary: string }): Promise<RunningNatsServer> {
  const { dir, configFile, binary } = server
  const child = spawn(binary, ['-c', configFile], { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] })
  process.once('exit', () => child.kill('SIGKILL'))
  const lines: string[] = []
  const waiting = new Set<{ pattern: RegExp; found: (line: string) => void; failed: (error: Error) => void }>()
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line)
    for (const wait of waiting)
      if (wait.pattern.test(line)) {
        waiting.delete(wait)
        wait.found(line)
      }
  })
  child.once('exit', () => {
    for (const wait of waiting) wait.failed(new Error(`nats-server ended:\n${lines.join('\n')}`))
  })
  const logged = (pattern: RegExp): Promise<string> => {
    const past = lines.find((line) => pattern.test(line))
    if (past !== undefined) return Promise.resolve(past)
    return new Promise((found, failed) => waiting.add({ pattern, found, failed }))
  }
  await logged(/Server is ready/)
  const portOf = (pattern: RegExp) => Number(lines.map((line) => pattern.exec(line)?.[1]).find((port) => port !== undefined) ?? 0)
  const port = portOf(/Listening for client connections on [^ ]*:(\d+)/)
  const websocketPort = portOf(/Listening for websocket clients on [^ ]*:(\d+)/)
  const monitorPort = portOf(/Starting http monitor on [^ ]*:(\d+)/)
  const kill = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
  return {
    port,
    websocketPort,
    monitorPort,
    dir,
    configFile,
    child,
    logged,
    log: () => lines.join('\n'),
    kill,
    hang: async () => {
      child.kill('SIGSTOP')
      while (!isStopped(child.pid)) await setImmediate()
    },
    restart: async () => {
      await kill()
      pinPorts(configFile, [port, websocketPort, monitorPort])
      return run(server)
    },
    stop: async () => {
      await kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

// On a busy machine a thread may still answer after the signal was sent. Linux tells; elsewhere the signal must do.
function isStopped(pid: number | undefined): boolean {
  const tasks = `/proc/${pid}/task`
  return !existsSync(tasks) || readdirSync(tasks).every((task) => /\) T/.test(readFileSync(join(tasks, task, 'stat'), 'utf8')))
}

// A restarted server must be found where its clients left it.
function pinPorts(configFile: string, ports: number[]): void {
  const [client, websocket, monitor] = ports
  const text = readFileSync(configFile, 'utf8')
    .replace(/^listen: "127\.0\.0\.1:-1"/m, `listen: "127.0.0.1:${client}"`)
    .replace(/^ {2}listen: "127\.0\.0\.1:-1"/m, `  listen: "127.0.0.1:${websocket}"`)
    .replace(/^http: "127\.0\.0\.1:-1"/m, `http: "127.0.0.1:${monitor}"`)
  writeFileSync(configFile, text)
}
