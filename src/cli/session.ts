/** `session list|show|revoke`: endorsed session nkeys. */
import { parseUserNkey, type UserNkey } from '../core/identifiers.ts'
import { safeText } from '../core/safe-text.ts'
import { ADMIN_OPTIONS, ADMIN_USAGE, ask, changeLine, instant, list } from './admin-command.ts'
import { HANDLE_OPTION, handleOption, stateOption } from './arguments.ts'
import { type Command, type CommandInput, UsageError } from './command.ts'

const labelCharsMax = 64
const STATES = ['pending', 'active', 'expired', 'revoked'] as const

function nkeyOf(input: CommandInput): UserNkey {
  const nkey = parseUserNkey(input.positionals[0])
  if (nkey === null) throw new UsageError('a session is named by its public nkey (U…), as `session list` prints it')
  return nkey
}

const listSessions: Command = {
  name: 'session list',
  summary: 'List endorsed sessions.',
  usage: `[--handle HANDLE] [--state STATE] ${ADMIN_USAGE}`,
  examples: ['nats-webauthn session list --state active', 'nats-webauthn session list --handle orders --json'],
  options: {
    ...HANDLE_OPTION,
    state: { type: 'string', value: 'STATE', help: `Only those in a state: ${STATES.join(', ')}.` },
    ...ADMIN_OPTIONS,
  },
  positionals: { min: 0, max: 0 },
  run: (input, io) =>
    list(input, io, {
      operation: 'session.list',
      body: { handle: handleOption(input), state: stateOption(input, STATES) },
      line: ({ nkey, handle, state, plain, byCode, label, expiresAt, connections }) => {
        const kind = `${plain ? 'plain' : 'bound'}${byCode ? ' by code' : ''}`
        // What a terminal's host calls itself: anybody's text.
        const labelled = label === '' ? '' : `  ${safeText(label, labelCharsMax)}`
        return `${nkey}  ${handle}  ${state}  ${kind}  until ${instant(expiresAt)}  connections ${connections}${labelled}`
      },
    }),
}

const show: Command = {
  name: 'session show',
  summary: 'Show one session.',
  usage: `NKEY ${ADMIN_USAGE}`,
  examples: ['nats-webauthn session show UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, { operation: 'session.show', body: { nkey: nkeyOf(input) }, show: (item) => io.out(JSON.stringify(item, null, 2)) }),
}

const revoke: Command = {
  name: 'session revoke',
  summary: 'End a session for good, with its live connections; the credential stays.',
  usage: `NKEY ${ADMIN_USAGE}`,
  examples: ['nats-webauthn session revoke UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, {
      operation: 'session.revoke',
      body: { nkey: nkeyOf(input) },
      show: (change) => io.out(changeLine(`${change.item.nkey} of ${change.item.handle} is revoked`, change)),
    }),
}

export const sessionCommands: readonly Command[] = [listSessions, show, revoke]
