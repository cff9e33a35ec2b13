/** `init`: everything a first deployment needs, on loopback. */
import { resolve } from 'node:path'
import { type Command, JSON_OPTION } from './command.ts'
import { writeDeployment } from './deployment-files.ts'
import { EXIT } from './exit-codes.ts'

export const init: Command = {
  name: 'init',
  summary: 'Write the keys and files of a deployment; nothing that exists is touched.',
  usage: '[DIR] [--json]',
  examples: ['nats-webauthn init my-deployment', 'nats-webauthn init --json'],
  options: JSON_OPTION,
  positionals: { min: 0, max: 1 },
  async run(input, io) {
    const dir = resolve(input.positionals[0] ?? '.')
    const { files, conflict } = writeDeployment(dir)
    if (input.flag('json')) io.out(JSON.stringify({ dir, files, conflict }))
    else for (const { path, action } of files) io.out(`${action.padEnd(7)}  ${path}`)
    if (conflict) {
      io.say('nats-webauthn: nats-server.keys.conf does not name the keys in keys/; remove it and run init again to have it written anew')
      return EXIT.refused
    }
    for (const line of NEXT) io.say(line.replaceAll('DIR', dir))
    return EXIT.ok
  },
}

const NEXT = [
  '',
  'Next, in DIR:',
  '  nats-server -c nats-server.conf',
  '  nats-webauthn serve',
  '  nats-webauthn check',
  '  nats-webauthn invite orders --machine --role orders-writer --out orders.ticket',
  '  nats-webauthn invite alice --role orders-terminal',
  'Keep keys/ to yourself: it holds every secret of this deployment.',
  'Take keys/break-glass/ away from here: it is for the day on which no verifier runs, and switched off until then.',
]
