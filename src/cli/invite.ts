/** `invite`, `ticket list|revoke`: one-time tickets to enrol with. */
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { parseDuration } from '../config-units.ts'
import type { Invitation } from '../nats/admin-protocol.ts'
import { ADMIN_OPTIONS, ADMIN_USAGE, ask, instant, list } from './admin-command.ts'
import { handleOf, ROLE_OPTION, rolesOf } from './arguments.ts'
import { type Command, type CommandInput, type CommandIo, UsageError } from './command.ts'
import type { ExitCode } from './exit-codes.ts'

const invite: Command = {
  name: 'invite',
  summary: 'Issue a link with which a person, or a ticket with which a machine, enrols once: under this name and with these roles.',
  usage: `NAME [--machine] --role ROLE… [--out FILE] [--expires DURATION] [--display-name TEXT] ${ADMIN_USAGE}`,
  examples: [
    'nats-webauthn invite alice --role orders-terminal',
    'nats-webauthn invite orders --machine --role orders-writer --out orders.ticket',
    'nats-webauthn invite orders --machine --role orders-writer --expires 15m | nats-webauthn enrol --url https://verifier.example.com --key orders.key',
  ],
  options: {
    ...ROLE_OPTION,
    machine: { type: 'boolean', help: 'A machine, where nobody is present; a person otherwise.' },
    out: { type: 'string', value: 'FILE', help: 'Write the link or ticket here, for its owner alone, instead of printing it.' },
    expires: { type: 'string', value: 'DURATION', help: 'How long it is good, up to 7d; 1h otherwise.' },
    'display-name': { type: 'string', value: 'TEXT', help: 'What people call it; the name otherwise.' },
    ...ADMIN_OPTIONS,
  },
  positionals: { min: 1, max: 1 },
  async run(input, io) {
    const body = bodyOf(input)
    const out = input.text('out')
    // The file first: an invitation that cannot be written down would be lost, but good.
    const file = out === undefined ? null : createTicketFile(out)
    let written = false
    const show = (invitation: Invitation) => {
      const secret = invitation.link ?? invitation.ticket
      if (file === null) io.out(secret)
      else writeSync(file, `${secret}\n`)
      written = true
      sayNext(io, invitation, out ?? null)
    }
    try {
      return await asked(input, io, { body, show, hide: file !== null })
    } finally {
      if (file !== null) closeSync(file)
      if (out !== undefined && !written) unlinkSync(out)
    }
  },
}

function asked(
  input: CommandInput,
  io: CommandIo,
  { body, show, hide }: { body: ReturnType<typeof bodyOf>; show(invitation: Invitation): void; hide: boolean },
): Promise<ExitCode> {
  if (!hide) return ask(input, io, { operation: 'invite', body, show })
  // The ticket, and the link that holds it, go to the file and nowhere else.
  const quiet = { ...input, flag: (option: string) => option !== 'json' && input.flag(option) }
  return ask(quiet, io, {
    operation: 'invite',
    body,
    show: (invitation) => {
      show(invitation)
      const { id, expiresAt, url } = invitation
      if (input.flag('json')) io.out(JSON.stringify({ id, expiresAt, url }))
    },
  })
}

function bodyOf(input: CommandInput) {
  const expires = input.text('expires')
  const expiresMs = expires === undefined ? null : parseDuration(expires)
  if (expires !== undefined && expiresMs === null) throw new UsageError('write --expires as a number with m, h or d')
  const roles = rolesOf(input)
  if (roles.length === 0) throw new UsageError('--role is needed: without a role nobody gets in')
  return {
    handle: handleOf(input),
    class: input.flag('machine') ? ('machine' as const) : ('person' as const),
    roles,
    displayName: input.text('display-name') ?? null,
    ...(expiresMs === null ? {} : { expiresInSeconds: Math.floor(expiresMs / 1000) }),
  }
}

function createTicketFile(path: string): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (cause) {
    throw new UsageError('--out names a file that exists, or that cannot be created', { cause })
  }
}

function sayNext(io: CommandIo, { expiresAt, url, link }: Invitation, out: string | null): void {
  if (link !== null) {
    io.say(`The link is good for one device, until ${instant(expiresAt)}. It is a secret: whoever opens it first enrols.`)
    return
  }
  io.say(`The ticket is good for one enrolment, until ${instant(expiresAt)}. It is a secret.`)
  if (url !== null) io.say(`There: nats-webauthn enrol --url ${url} --key FILE ${out === null ? '' : `--ticket-file ${out}`}`.trimEnd())
}

const listTickets: Command = {
  name: 'ticket list',
  summary: 'List invitations, and what became of them.',
  usage: ADMIN_USAGE,
  examples: ['nats-webauthn ticket list'],
  options: ADMIN_OPTIONS,
  positionals: { min: 0, max: 0 },
  run: (input, io) =>
    list(input, io, {
      operation: 'ticket.list',
      body: {},
      line: ({ id, handle, state, roles, invitedBy, expiresAt }) =>
        `${id}  ${handle}  ${state}  ${roles.join(',')}  by ${invitedBy}  until ${instant(expiresAt)}`,
    }),
}

const revokeTicket: Command = {
  name: 'ticket revoke',
  summary: 'Take an invitation back.',
  usage: `ID ${ADMIN_USAGE}`,
  examples: ['nats-webauthn ticket revoke TsIwqhSTvLcAnyjhbRqhAKBfLtvWzs6rKrIYw3OIlJM'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, {
      operation: 'ticket.revoke',
      body: { id: input.positionals[0] ?? '' },
      show: ({ item, changed }) => io.out(`the ticket for ${item.handle} is ${item.state}${changed ? '' : ', as before'}`),
    }),
}

export const invitationCommands: readonly Command[] = [invite, listTickets, revokeTicket]
