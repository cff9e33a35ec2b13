/** From the words of a command line to a command of the table, and from what it throws to an exit code. */
import { parseArgs } from 'node:util'
import { WebAuthnClientError } from '../client/client-error.ts'
import { ConfigInvalid } from '../config.ts'
import { type Command, type CommandInput, type CommandIo, UsageError } from './command.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { helpOf, suggestion, usageOf } from './help.ts'

const argumentsMax = 256

/** Runs one command line. Never throws. */
export async function run(args: readonly string[], commands: readonly Command[], io: CommandIo): Promise<ExitCode> {
  let command: Command | null = null
  try {
    if (args.length > argumentsMax) throw new UsageError('too many arguments')
    const found = findCommand(normalised(args), commands)
    command = found.command
    if (found.rest.includes('--help') || found.rest.includes('-h')) {
      io.out(helpOf(command))
      return EXIT.ok
    }
    return await command.run(parseInput(command, found.rest), io)
  } catch (error) {
    return explain(error, command, io)
  }
}

// What people type everywhere: no arguments, --help and --version.
function normalised(args: readonly string[]): readonly string[] {
  const [first, ...rest] = args
  if (first === undefined || first === '--help' || first === '-h') return ['help', ...rest]
  return first === '--version' || first === '-V' ? ['version', ...rest] : args
}

/** The command whose one or two words begin `args`. */
export function findCommand(args: readonly string[], commands: readonly Command[]): { command: Command; rest: readonly string[] } {
  for (const words of [2, 1]) {
    const name = args.slice(0, words).join(' ')
    const command = commands.find((candidate) => candidate.name === name)
    if (command !== undefined && args.length >= words) return { command, rest: args.slice(words) }
  }
  const group = commands.filter(({ name }) => name.startsWith(`${args[0]} `))
  const typed = group.length > 0 ? args.slice(0, 2).join(' ') : (args[0] ?? '')
  const names =
    group.length > 0 ? group.map(({ name }) => name) : [...new Set(commands.flatMap(({ name }) => [name, name.split(' ')[0] ?? '']))]
  const meant = suggestion(typed, names)
  const hint =
    meant !== null ? `; did you mean \`${meant}\`?` : group.length > 0 ? `; there is: ${names.join(', ')}` : '; see `nats-webauthn help`'
  throw new UsageError(`no command \`${typed}\`${hint}`)
}

function parseInput(command: Command, args: readonly string[]): CommandInput {
  const { min, max } = command.positionals
  const parsed = parse(command, args)
  if (parsed.positionals.length < min) throw new UsageError('an argument is missing')
  if (parsed.positionals.length > max) throw new UsageError(`unexpected argument ${JSON.stringify(parsed.positionals[max])}`)
  const values: Record<string, unknown> = parsed.values
  const texts = (option: string): string[] => {
    const value = values[option]
    return (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'string')
  }
  return {
    positionals: parsed.positionals,
    texts,
    text: (option) => texts(option)[0],
    flag: (option) => values[option] === true,
  }
}

function parse(command: Command, args: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short === undefined ? {} : { short }), ...(multiple === undefined ? {} : { multiple }) },
    ]),
  )
  try {
    return parseArgs({ args: withIdsLast(args), options, allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(wrongOption(error, command, args))
  }
}

// One credential id in 64 begins with a dash, and is no option: no option has so long a name.
const idPattern = /^-[A-Za-z0-9_-]{21,}$/

/** The arguments, ids that look like options behind the mark that ends options. */
function withIdsLast(args: readonly string[]): string[] {
  const end = args.includes('--') ? args.indexOf('--') : args.length
  const options = args.slice(0, end)
  const ids = options.filter((arg) => idPattern.test(arg))
  if (ids.length === 0) return [...args]
  return [...options.filter((arg) => !idPattern.test(arg)), '--', ...ids, ...args.slice(end + 1)]
}

// parseArgs repeats the argument in its message; an argument may be a secret that somebody put in the wrong place.
function wrongOption(error: unknown, command: Command, args: readonly string[]): string {
  const names = Object.keys(command.options)
  const known = (arg: string) =>
    names.some((name) => arg === `--${name}` || arg.startsWith(`--${name}=`) || arg === `-${command.options[name]?.short}`)
  const unknown = args.find((arg) => /^--?[a-z]/i.test(arg) && !known(arg))?.split('=')[0]
  const code = error instanceof Error && 'code' in error ? error.code : ''
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION' || unknown === undefined) return 'an option has no value, or one it does not take'
  const meant = suggestion(
    unknown,
    names.map((name) => `--${name}`),
  )
  return `no option ${unknown}${meant === null ? '' : `; did you mean ${meant}?`}`
}

function explain(error: unknown, command: Command | null, io: CommandIo): ExitCode {
  if (error instanceof UsageError) {
    io.say(`nats-webauthn: ${error.message}`)
    if (command !== null) io.say(`Usage: ${usageOf(command)}`)
    return EXIT.usage
  }
  if (error instanceof WebAuthnClientError && error.code === 'url_invalid') {
    io.say(`nats-webauthn: ${error.message}`)
    return EXIT.usage
  }
  if (error instanceof ConfigInvalid) {
    for (const problem of error.problems) io.say(problem)
    return EXIT.configInvalid
  }
  io.say(`nats-webauthn: ${causes(error).join(': ')}`)
  return EXIT.refused
}

/** The messages of an error and its causes, outermost first. */
function causes(error: unknown): string[] {
  if (!(error instanceof Error)) return ['an unknown failure']
  return [error.message === '' ? error.name : error.message, ...(error.cause === undefined ? [] : causes(error.cause))]
}
