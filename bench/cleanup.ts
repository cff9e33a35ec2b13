/** What was started and has to be ended, also when the bench fails or is interrupted. The last that was started ends first. */

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

/** ^C ends what was started, and the bench; a second one ends it at once. */
export function endOnInterrupt(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      process.once(signal, () => process.exit(130))
      void endEverything().then(() => process.exit(130))
    })
  }
}
