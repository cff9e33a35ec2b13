/** What several commands read from their arguments: handles, roles, states. */
import { type Handle, parseHandle, parseRoleName, type RoleName } from '../core/identifiers.ts'
import { type CommandInput, type OptionSpec, UsageError } from './command.ts'

export const HANDLE_OPTION = {
  handle: { type: 'string', value: 'HANDLE', help: 'Only those of one identity.' },
} as const satisfies Record<string, OptionSpec>

export const ROLE_OPTION = {
  role: { type: 'string', multiple: true, value: 'ROLE', help: 'A role of the policy; give it again for more.' },
} as const satisfies Record<string, OptionSpec>

/** The handle among the arguments. */
export function handleOf(input: CommandInput): Handle {
  return readHandle(input.positionals[0], 'a name')
}

/** The handle given with --handle, or null. */
export function handleOption(input: CommandInput): Handle | null {
  const text = input.text('handle')
  return text === undefined ? null : readHandle(text, '--handle')
}

function readHandle(text: string | undefined, what: string): Handle {
  const handle = parseHandle(text)
  if (handle === null) throw new UsageError(`${what} is 1 to 64 of a-z 0-9 _ -`)
  return handle
}

/** Roles given with --role. */
export function rolesOf(input: CommandInput): RoleName[] {
  return input.texts('role').map((text) => {
    const role = parseRoleName(text)
    if (role === null) throw new UsageError('a role is 1 to 64 of A-Z a-z 0-9 _ -')
    return role
  })
}

/** The one of `states` given with --state, or null. */
export function stateOption<State extends string>(input: CommandInput, states: readonly State[]): State | null {
  const text = input.text('state')
  const state = states.find((known) => known === text) ?? null
  if (text !== undefined && state === null) throw new UsageError(`--state is one of ${states.join(', ')}`)
  return state
}
