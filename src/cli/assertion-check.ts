/** `assertion check`: JSON lines in, verdicts out. Explains a refusal offline, with the verifier's own code. */
import { open } from 'node:fs/promises'
import { checkAssertionLine } from '../core/webauthn/assertion-check.ts'
import { type Command, JSON_OPTION, UsageError } from './command.ts'
import { EXIT } from './exit-codes.ts'

export const assertionCheck: Command = {
  name: 'assertion check',
  summary: 'Say of recorded assertions whether they would be accepted, and why not.',
  usage: 'FILE|-',
  examples: [
    'nats-webauthn assertion check refused.jsonl',
    'nats-webauthn assertion check - < refused.jsonl | jq \'select(.verdict == "denied")\'',
  ],
  options: JSON_OPTION,
  positionals: { min: 1, max: 1 },
  async run(input, io) {
    const source = input.positionals[0] ?? '-'
    const lines = source === '-' ? io.stdinLines() : await linesOf(source)
    let line = 0
    let denied = false
    let unreadable = false
    for await (const text of lines) {
      line++
      if (text.trim() === '') continue
      const result = checkAssertionLine(text)
      if ('inputError' in result) {
        unreadable = true
        io.say(`${source}:${line}: ${result.inputError}`)
        continue
      }
      if (result.verdict === 'denied') denied = true
      io.out(JSON.stringify(result))
    }
    if (unreadable) return EXIT.usage
    return denied ? EXIT.refused : EXIT.ok
  },
}

async function linesOf(path: string): Promise<AsyncIterable<string>> {
  try {
    return (await open(path)).readLines()
  } catch (cause) {
    throw new UsageError(`cannot read ${path}`, { cause })
  }
}
