/** What was started and has to be ended, also when the bench fails or is interrupted. The last that was started ends first. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const started: (() => Promise<unknown>)[] = []

/** `end` runs once, at the end of the bench at the latest. Returns how to run it now. */
export function endsLater(end: () => Promise<unknown>): () => Promise<void> {
  let ending: Promise<void> | null = null
  const once = () => (ending ??= end().then(() => {}))
  started.push(once)
  return once
}

export async function endEverything(): Promise<void> {
  for (const end of started.splice(0).toReversed())
    await end().catch((cause: unknown) => void process.stderr.write(`ending the bench: ${String(cause)}\n`))
}

const INTERRUPTED = 130

/** ^C ends what was started, and the bench; a second one ends it at once. */
export function endOnInterrupt(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(INTERRUPTED))
      // Whatever was being measured fails for want of what has ended.
      process.on('uncaughtException', () => {})
      void endEverything().then(() => process.exit(INTERRUPTED))
    })
  }
}

/** What is started from now on keeps its files in one directory, so that what was interrupted while it started leaves none. */
export function keepFilesTogether(): void {
  const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-bench-'))
  process.env['TMPDIR'] = dir
  process.once('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))
}
