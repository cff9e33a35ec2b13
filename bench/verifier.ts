/** A verifier process for the bench: `nats-webauthn serve` of a build, as shipped or without its audit records. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ProductFiles } from '../test/support/product.ts'
import { endsLater } from './cleanup.ts'

export interface VerifierOptions {
  /** The build to run: a directory as `npm run build` makes it. */
  dist: string
  audit: boolean
  /** Where the process leaves a CPU profile when it ends, or null. */
  profileDir: string | null
}

export interface BenchedProcess {
  pid: number
  /** From its start until it took requests. */
  readyMs: number
  stop(): Promise<void>
}

const WITHOUT_AUDIT = new URL('without-audit.mjs', import.meta.url).href
/** As the Dockerfile starts it. */
export const NODE_OPTIONS = ['--min-semi-space-size=16', '--max-semi-space-size=32']
const readyMsMax = 120_000
const stopMsMax = 30_000
const pollMs = 20
const attemptsMax = 3

export const OWN_DIST = fileURLToPath(new URL('../dist', import.meta.url))

export async function startVerifier(product: ProductFiles, { dist, audit, profileDir }: VerifierOptions): Promise<BenchedProcess> {
  const options = [
    ...(profileDir === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`]),
    ...(audit ? [] : ['--import', WITHOUT_AUDIT]),
  ]
  const args = [...NODE_OPTIONS, ...options, join(dist, 'cli/main.js'), 'serve', '-c', product.configFile]
  const isReady = async () => (await fetch(`${product.operationsUrl}/readyz`)).ok
  // Its ports were free when they were chosen; thousands of clients choose some too.
  for (let attempt = 1; ; attempt++) {
    try {
      return await startProcess(args, { env: {}, isReady })
    } catch (cause) {
      if (attempt === attemptsMax) throw cause
    }
  }
}

/** Starts Node with these arguments and resolves when `isReady` says so; as long as that throws, it is not. */
export async function startProcess(
  args: string[],
  { env, isReady }: { env: Record<string, string>; isReady(): Promise<boolean> },
): Promise<BenchedProcess> {
  const begun = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  // Lines are read, as a log collector would, and what went wrong is shown.
  child.stderr.setEncoding('utf8').on('data', troubleShower())
  const stop = endsLater(async () => {
    process.off('exit', kill)
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const late = setTimeout(kill, stopMsMax)
    await ended
    clearTimeout(late)
  })
  while (!(await isReady().catch(() => false))) {
    if (child.exitCode !== null) throw new Error(`starting ${args.at(-1)}: it ended with ${child.exitCode}`)
    if (performance.now() - begun > readyMsMax) throw new Error(`starting ${args.at(-1)}: never ready`)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  return { pid: child.pid as number, readyMs: performance.now() - begun, stop }
}

const troublesMax = 5
const troubleCharsMax = 400

function troubleShower(): (lines: string) => void {
  let shown = 0
  return (lines) => {
    for (const line of lines.split('\n')) {
      if (line === '' || /"level":"(info|warn|debug)"/.test(line) || shown++ >= troublesMax) continue
      process.stderr.write(`${line.slice(0, troubleCharsMax)}\n`)
    }
  }
}
