/** The verifier as a process of its own, as operators run it. Needs `npm run build`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface VerifierProcess {
  child: ChildProcess
  /** Everything it printed, both streams. */
  output(): string
  /** Sends the signal and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts `nats-webauthn serve` and resolves when /readyz says so. */
export async function startVerifierProcess(configFile: string, operationsUrl: string): Promise<VerifierProcess> {
  const child = spawn(process.execPath, [CLI, 'serve', '-c', configFile], { stdio: ['ignore', 'pipe', 'pipe'] })
  process.once('exit', () => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  await new Promise<void>((ready, failed) => {
    const ended = () => failed(new Error(`the verifier ended:\n${output}`))
    child.once('exit', ended)
    const poll = () => {
      fetch(`${operationsUrl}/readyz`).then((answer) => {
        if (!answer.ok) return again()
        child.off('exit', ended)
        ready()
      }, again)
    }
    // There is no event to await across processes before the listener is up.
    const again = () => {
      if (child.exitCode === null) setTimeout(poll, 50)
    }
    poll()
  })
  return {
    child,
    output: () => output,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
      const ended = once(child, 'exit')
      child.kill(signal)
      const [code] = (await ended) as [number | null]
      return code
    },
  }
}
