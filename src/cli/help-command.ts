/** `help` and `version`. */

import { VERSION } from '../version.ts'
import { type Command, JSON_OPTION } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { helpOf, overview } from './help.ts'
import { findCommand } from './run.ts'

/** `help` knows every command, itself included. */
export function helpCommand(commands: () => readonly Command[]): Command {
  return {
    name: 'help',
    summary: 'Show the commands, or one of them.',
    usage: '[COMMAND]',
    examples: ['nats-webauthn help', 'nats-webauthn help credential revoke'],
    options: {},
    positionals: { min: 0, max: 2 },
    run(input, io) {
      const all = commands()
      const group = all.filter(({ name }) => input.positionals.length === 1 && name.startsWith(`${input.positionals[0]} `))
      if (input.positionals.length === 0) io.out(overview(all))
      else if (group.length > 0) io.out(group.map(helpOf).join('\n\n'))
      else io.out(helpOf(findCommand(input.positionals, all).command))
      return Promise.resolve(EXIT.ok)
    },
  }
}

export const version: Command = {
  name: 'version',
  summary: 'Print the version.',
  usage: '[--json]',
  examples: ['nats-webauthn version'],
  options: JSON_OPTION,
  positionals: { min: 0, max: 0 },
  run(input, io) {
    io.out(input.flag('json') ? JSON.stringify({ version: VERSION, node: process.version }) : VERSION)
    return Promise.resolve(EXIT.ok)
  },
}
