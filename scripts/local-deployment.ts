/** A deployment in one directory: made by `init`, run as real processes. What the demo and `npm start` share. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Ports {
  nats: number
  websocket: number
  monitor: number
  enrolment: number
  operations: number
}

/** The ports that `init` writes. */
export const SHIPPED_PORTS: Ports = { nats: 4222, websocket: 8080, monitor: 8222, enrolment: 8780, operations: 9464 }

// Named absolutely: the processes run in the deployment's directory, where tsx is not to be found.
const cli = ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))]

/** `count` ports that nobody listens on, on 127.0.0.1. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('finding a free port')
    return address.port
  })
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/** Puts `ports` where the deployment's files have the shipped ones. */
export function movePorts(dir: string, ports: Ports): void {
  for (const file of ['nats-server.conf', 'nats-webauthn.yaml']) {
    const path = join(dir, file)
    let text = readFileSync(path, 'utf8')
    for (const name of Object.keys(SHIPPED_PORTS) as (keyof Ports)[]) text = text.replaceAll(`:${SHIPPED_PORTS[name]}`, `:${ports[name]}`)
    writeFileSync(path, text)
  }
}

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs one command of the CLI in `dir` to its end, with `stdin` on its standard input and `settings` in its environment. */
export async function runCli(
  dir: string,
  args: readonly string[],
  { stdin = '', settings = {} }: { stdin?: string; settings?: Record<string, string> } = {},
): Promise<Finished> {
  const env = { ...process.env, ...settings }
  const child = spawn(process.execPath, [...cli, ...args], { cwd: dir, env, stdio: ['pipe', 'pipe', 'pipe'] })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  // A command that reads nothing may be gone before this is written.
  child.stdin.on('error', () => undefined)
  child.stdin.end(stdin)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...output }
}

/** A process that runs until it is stopped. */
export interface Running {
  child: ChildProcess
  /** Everything it said on stderr, by lines. */
  lines: string[]
  /** Resolves with the first line, past or future, that matches; rejects when the process ends before. */
  said(pattern: RegExp): Promise<string>
  /** Its exit code, once it has ended by itself. */
  ended: Promise<number | null>
  /** SIGTERM, and its exit code. */
  stop(): Promise<number | null>
}

/** Starts nats-server in `dir`; resolves when it is ready. */
export async function startNatsServer(binary: string, dir: string): Promise<Running> {
  const running = start(binary, ['-c', 'nats-server.conf'], dir)
  await running.said(/Server is ready/)
  return running
}

/** Starts the verifier in `dir`; resolves when it is ready. */
export async function startVerifier(dir: string): Promise<Running> {
  const running = beginVerifier(dir)
  await running.said(/"msg":"ready"/)
  return running
}

/** Starts the verifier in `dir`, ready or not. */
export function beginVerifier(dir: string): Running {
  return start(process.execPath, [...cli, 'serve'], dir)
}

/** Starts a command of the CLI that goes on until something happens; `settings` are put into its environment. */
export function beginCli(dir: string, args: readonly string[], settings: Record<string, string>): Running {
  return start(process.execPath, [...cli, ...args], dir, settings)
}

function start(command: string, args: readonly string[], dir: string, settings: Record<string, string> = {}): Running {
  // A group of its own: Ctrl-C is for the one that started it, who ends the processes in the right order.
  const env = { ...process.env, ...settings }
  const child = spawn(command, args, { cwd: dir, env, stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  process.once('exit', () => child.kill('SIGKILL'))
  const lines: string[] = []
  const waiting = new Set<{ pattern: RegExp; found(line: string): void; failed(error: Error): void }>()
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line)
    for (const wait of waiting) {
      if (!wait.pattern.test(line)) continue
      waiting.delete(wait)
      wait.found(line)
    }
  })
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null))
    child.once('close', (code) => resolve(code))
  })
  void ended.then(() => {
    for (const wait of waiting) wait.failed(new Error(`${command} ended:\n${lines.slice(-20).join('\n')}`))
  })
  return {
    child,
    lines,
    said: (pattern) => {
      const past = lines.find((line) => pattern.test(line))
      return past !== undefined ? Promise.resolve(past) : new Promise((found, failed) => waiting.add({ pattern, found, failed }))
    },
    ended,
    stop: () => {
      child.kill('SIGTERM')
      return ended
    },
  }
}
