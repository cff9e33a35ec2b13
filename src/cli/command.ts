/** What a command is: a row of the table in main.ts. Help, docs/cli.md and parsing are made from it. */
import type { ExitCode } from './exit-codes.ts'

export interface OptionSpec {
  type: 'string' | 'boolean'
  /** One letter, for `-c`. */
  short?: string
  multiple?: boolean
  /** What stands for the value in help: `FILE`. Present exactly on options of type string. */
  value?: string
  help: string
}

export interface Command {
  /** One or two words: `serve`, `credential list`. */
  name: string
  /** One sentence for the list of commands. */
  summary: string
  /** What follows the name: `NAME --role ROLE… [--machine]`. */
  usage: string
  /** Whole command lines; help shows them first. */
  examples: readonly string[]
  options: Readonly<Record<string, OptionSpec>>
  /** How many positional arguments it takes. */
  positionals: { min: number; max: number }
  run(input: CommandInput, io: CommandIo): Promise<ExitCode>
}

export interface CommandInput {
  positionals: readonly string[]
  /** Value of an option of type string; undefined when it was not given. */
  text(option: string): string | undefined
  /** Values of an option with `multiple`. */
  texts(option: string): readonly string[]
  flag(option: string): boolean
}

/** The world of a command. Data goes to stdout, everything for people to stderr. */
export interface CommandIo {
  /** Writes one line of data. */
  out(line: string): unknown
  /** Writes one message. */
  say(line: string): unknown
  /** All of standard input as text; throws past `bytesMax`. */
  readStdin(bytesMax: number): Promise<string>
  /** Lines of standard input as they come. */
  stdinLines(): AsyncIterable<string>
  stdinIsTerminal: boolean
  env: Readonly<Record<string, string | undefined>>
  /** Aborted by the first SIGINT or SIGTERM. Commands that ask for it end themselves; the others just end. */
  stopSignal(): AbortSignal
}

/** The command line makes no sense: exit 2 with the command's usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** `--json` of every command that prints data. */
export const JSON_OPTION = { json: { type: 'boolean', help: 'Print JSON instead of text.' } } as const satisfies Record<string, OptionSpec>

/** `-c` of every command that reads nats-webauthn.yaml. */
export const CONFIG_OPTION = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'The configuration; NATS_WEBAUTHN_CONFIG or ./nats-webauthn.yaml otherwise.' },
} as const satisfies Record<string, OptionSpec>
