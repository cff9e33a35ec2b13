/** `logout`: ends the session of this terminal by its own key, and forgets it here. */
import { WebAuthnClientError } from '../client/client-error.ts'
import { endSession } from '../client/session-request.ts'
import { type Command, JSON_OPTION, UsageError } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { readContextName, removeContext } from './nats-context.ts'
import { readSaved, readSavedKey, removeSaved, type SavedSession, savedNames, sessionDir } from './saved-session.ts'

export const logout: Command = {
  name: 'logout',
  summary: 'End the session of this terminal for good, with its connections, and remove its files.',
  usage: '[--context NAME] [--dir DIR] [--json]',
  examples: ['nats-webauthn logout', 'nats-webauthn logout --context work'],
  options: {
    context: { type: 'string', value: 'NAME', help: 'The context that login wrote; the only one otherwise.' },
    dir: { type: 'string', value: 'DIR', help: 'Where the session lives; ~/.config/nats-webauthn otherwise.' },
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
  async run(input, io) {
    const dir = sessionDir(input.text('dir'), io.env)
    const name = nameOf(input.text('context'), dir)
    const saved = readSaved(dir, name)
    if (saved === null) throw new UsageError(`there is no session ${name} in ${dir}`)
    const ended = await end(saved)
    removeContext(saved.contextFile, { name, seedFile: saved.seedFile, env: io.env })
    removeSaved(dir, name, saved)
    if (input.flag('json')) io.out(JSON.stringify({ context: name, handle: saved.handle, nkey: saved.nkey, ended }))
    else io.out(ended ? `${saved.handle} is logged out` : `${saved.handle} is logged out; the session was over already`)
    return EXIT.ok
  },
}

function nameOf(option: string | undefined, dir: string): string {
  if (option !== undefined) return readContextName(option)
  const names = savedNames(dir)
  const [only] = names
  if (only === undefined) throw new UsageError(`there is no session in ${dir}`)
  if (names.length > 1) throw new UsageError(`there are several sessions: name one with --context: ${names.join(', ')}`)
  return readContextName(only)
}

/** Whether there was something to end. A verifier that does not answer keeps the files, unless the session is over anyway. */
async function end(saved: SavedSession): Promise<boolean> {
  const key = readSavedKey(saved)
  if (key === null) {
    if (saved.expiresAt <= Date.now()) return false
    throw new Error(`logging out: the key in ${saved.seedFile} is gone, so end the session ${saved.nkey} at the page of ${saved.origin}`)
  }
  try {
    return await endSession({ url: saved.origin, key })
  } catch (error) {
    if (error instanceof WebAuthnClientError && saved.expiresAt <= Date.now()) return false
    throw error
  }
}
