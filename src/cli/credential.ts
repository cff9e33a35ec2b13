/** `credential list|show|approve|revoke|release`: enrolled devices. */
import { type CredentialId, parseCredentialId } from '../core/identifiers.ts'
import { CREDENTIAL_STATES } from '../nats/credential-store.ts'
import { ADMIN_OPTIONS, ADMIN_USAGE, ask, changeLine, instant, list } from './admin-command.ts'
import { HANDLE_OPTION, handleOption, stateOption } from './arguments.ts'
import { type Command, type CommandInput, UsageError } from './command.ts'

function idOf(input: CommandInput): CredentialId {
  const id = parseCredentialId(input.positionals[0])
  if (id === null) throw new UsageError('a credential id is unpadded base64url, as `credential list` prints it')
  return id
}

const listCredentials: Command = {
  name: 'credential list',
  summary: 'List enrolled credentials.',
  usage: `[--handle HANDLE] [--state STATE] ${ADMIN_USAGE}`,
  examples: ['nats-webauthn credential list', 'nats-webauthn credential list --state quarantined --json'],
  options: {
    ...HANDLE_OPTION,
    state: { type: 'string', value: 'STATE', help: `Only those in a state: ${CREDENTIAL_STATES.join(', ')}.` },
    ...ADMIN_OPTIONS,
  },
  positionals: { min: 0, max: 0 },
  run: (input, io) =>
    list(input, io, {
      operation: 'credential.list',
      body: { handle: handleOption(input), state: stateOption(input, CREDENTIAL_STATES) },
      line: ({ id, handle, class: kind, state, createdAt, approvedBy, connections, name }) =>
        `${id}  ${handle}  ${kind}  ${state}  ${instant(createdAt)}  connections ${connections}${approvedBy === null ? '' : `  approved by ${approvedBy}`}  ${name}`,
    }),
}

const show: Command = {
  name: 'credential show',
  summary: 'Show one credential.',
  usage: `ID ${ADMIN_USAGE}`,
  examples: ['nats-webauthn credential show 5dBvWnCFzRZ3…'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, { operation: 'credential.show', body: { id: idOf(input) }, show: (item) => io.out(JSON.stringify(item, null, 2)) }),
}

const approve: Command = {
  name: 'credential approve',
  summary: 'Approve a device for the roles that require approval. It stands until the credential is revoked.',
  usage: `ID ${ADMIN_USAGE}`,
  examples: ['nats-webauthn credential approve 5dBvWnCFzRZ3…'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, {
      operation: 'credential.approve',
      body: { id: idOf(input) },
      show: (change) => io.out(changeLine(`${change.item.id} of ${change.item.handle} is approved by ${change.item.approvedBy}`, change)),
    }),
}

const revoke: Command = {
  name: 'credential revoke',
  summary: 'End a credential for good, with its sessions and live connections.',
  usage: `ID ${ADMIN_USAGE}`,
  examples: ['nats-webauthn credential revoke 5dBvWnCFzRZ3…'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, {
      operation: 'credential.revoke',
      body: { id: idOf(input) },
      show: (change) => io.out(changeLine(`${change.item.id} of ${change.item.handle} is revoked`, change)),
    }),
}

const release: Command = {
  name: 'credential release',
  summary: 'Let a quarantined credential in again, once its owner has explained.',
  usage: `ID ${ADMIN_USAGE}`,
  examples: ['nats-webauthn credential release 5dBvWnCFzRZ3…'],
  options: ADMIN_OPTIONS,
  positionals: { min: 1, max: 1 },
  run: (input, io) =>
    ask(input, io, {
      operation: 'credential.release',
      body: { id: idOf(input) },
      show: (change) => io.out(changeLine(`${change.item.id} of ${change.item.handle} is active`, change)),
    }),
}

export const credentialCommands: readonly Command[] = [listCredentials, show, approve, revoke, release]
