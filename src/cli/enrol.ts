/** `enrol`: a machine makes its key where the key will live, and registers it with a ticket. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { WebAuthnClientError } from '../client/client-error.ts'
import { enrolMachine } from '../client/enrol.ts'
import { completeKeyFile, createKeyFile, loadPendingKey } from '../client/key-file.ts'
import { type Command, type CommandInput, type CommandIo, JSON_OPTION, UsageError } from './command.ts'
import { EXIT } from './exit-codes.ts'

const ticketBytesMax = 1024

export const enrol: Command = {
  name: 'enrol',
  summary: 'Make a key for this machine and register it with a ticket.',
  usage: '--url URL --key FILE [--ticket-file FILE] [--name TEXT] [--json]',
  examples: [
    'nats-webauthn enrol --url https://verifier.example.com --ticket-file orders.ticket --key orders.key',
    'nats-webauthn enrol --url https://verifier.example.com --key orders.key < orders.ticket',
  ],
  options: {
    url: { type: 'string', value: 'URL', help: "The verifier's enrolment address; http:// only to this machine." },
    key: { type: 'string', value: 'FILE', help: 'Where the key will live: created for its owner alone, never overwritten.' },
    'ticket-file': { type: 'string', value: 'FILE', help: 'The ticket; standard input otherwise.' },
    name: { type: 'string', value: 'TEXT', help: 'What people call this key; the name of the ticket otherwise.' },
    algorithm: { type: 'string', value: 'NAME', help: 'ES256 (the default) or EdDSA.' },
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
  async run(input, io) {
    const url = input.text('url')
    const path = input.text('key')
    if (url === undefined || path === undefined) throw new UsageError('--url and --key are needed')
    const alg = ALGORITHMS.get(input.text('algorithm') ?? 'ES256')
    if (alg === undefined) throw new UsageError('--algorithm is ES256 or EdDSA')
    const ticket = await readTicket(input, io)
    // A pending key is one whose enrolment was interrupted: it goes on with a new ticket.
    const key = existsSync(path) ? loadPendingKey(path) : createKeyFile(path, { alg })
    const name = input.text('name')
    try {
      const enrolled = await enrolMachine({ url, ticket, key, ...(name === undefined ? {} : { name }) })
      completeKeyFile(path, enrolled)
      const { handle, credentialId, roles, urls } = enrolled
      if (input.flag('json')) io.out(JSON.stringify({ key: path, handle, credential_id: credentialId, roles, urls }))
      else io.out(`${handle} is enrolled; its key is ${path}, its credential ${credentialId}`)
      return EXIT.ok
    } catch (error) {
      if (!(error instanceof WebAuthnClientError)) throw error
      throw new Error(`enrolling with ${path}, which stays for the next attempt`, { cause: error })
    }
  },
}

const ALGORITHMS: ReadonlyMap<string, -7 | -8> = new Map([
  ['ES256', -7],
  ['EdDSA', -8],
])

async function readTicket(input: CommandInput, io: CommandIo): Promise<string> {
  const file = input.text('ticket-file')
  if (file === undefined && io.stdinIsTerminal) throw new UsageError('give the ticket with --ticket-file, or on standard input')
  const ticket = (file === undefined ? await io.readStdin(ticketBytesMax) : readTicketFile(file)).trim()
  if (ticket === '') throw new UsageError('there is no ticket')
  return ticket
}

function readTicketFile(path: string): string {
  try {
    if (statSync(path).size > ticketBytesMax) throw new UsageError('the file is too large for a ticket')
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError('cannot read the ticket file', { cause: error })
  }
}
