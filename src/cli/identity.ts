/** `identity list|show|roles|disable|enable`: people and machines, whatever devices they have. */
import type { IdentityView } from '../nats/admin-protocol.ts'
import { ADMIN_OPTIONS, ADMIN_USAGE, ask, changeLine, list } from './admin-command.ts'
import { handleOf, ROLE_OPTION, rolesOf } from './arguments.ts'
import type { Command } from './command.ts'

const listIdentities: Command = {
  name: 'identity list',
  summary: 'List people and machines.',
  usage: ADMIN_USAGE,
  examples: ['nats-webauthn identity list', 'nats-webauthn identity list --json | jq -r \'select(.state == "disabled").handle\''],
  options: ADMIN_OPTIONS,
  positionals: { min: 0, max: 0 },
  run: (input, io) =>
    list(input, io, {
      operation: 'identity.list',
      body: {},
      line: ({ handle, class: kind, state, roles, devices, connections }) => {
        const held = [...new Set(roles.map(({ name }) => name))].join(',') || '-'
        return `${handle}  ${kind}  ${state}  ${held}  ${kind === 'person' ? `devices ${devices.length}  ` : ''}connections ${connections}`
      },
    }),
}

const show: Command = {
  name: 'identity show',
  summary: 'Show one identity.',
  usage: `NAME ${ADMIN_USAGE}`,
  examples: ['nats-webauthn identity show orders'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, {
      operation: 'identity.show',
      body: { handle: handleOf(input) },
      show: (item) => io.out(JSON.stringify(item, null, 2)),
    }),
}

const roles: Command = {
  name: 'identity roles',
  summary:
    "Replace an identity's assigned roles, not those of its identity provider; its live connections end and come back with the new ones.",
  usage: `NAME [--role ROLE]… ${ADMIN_USAGE}`,
  examples: ['nats-webauthn identity roles orders --role orders-writer --role orders-reader', 'nats-webauthn identity roles orders'],
  options: { ...ROLE_OPTION, ...ADMIN_OPTIONS },
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, {
      operation: 'identity.roles',
      body: { handle: handleOf(input), roles: rolesOf(input) },
      show: (change) =>
        io.out(changeLine(`${change.item.handle} holds ${change.item.roles.map(roleText).join(', ') || 'no role'}`, change)),
    }),
}

function roleText({ name, source }: IdentityView['roles'][number]): string {
  return source === 'idp' ? `${name} (identity provider)` : name
}

function stateCommand(verb: 'disable' | 'enable', summary: string): Command {
  return {
    name: `identity ${verb}`,
    summary,
    usage: `NAME ${ADMIN_USAGE}`,
    examples: [`nats-webauthn identity ${verb} orders`],
    options: ADMIN_OPTIONS,
    positionals: { min: 1, max: 1 },
    run: (input, io) =>
      ask(input, io, {
        operation: `identity.${verb}`,
        body: { handle: handleOf(input) },
        show: (change) => io.out(changeLine(`${change.item.handle} is ${change.item.state}`, change)),
      }),
  }
}

export const identityCommands: readonly Command[] = [
  listIdentities,
  show,
  roles,
  stateCommand('disable', 'Shut an identity out, with all its devices and live connections.'),
  stateCommand('enable', 'Let a disabled identity in again.'),
]
