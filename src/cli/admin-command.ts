/** What commands of the admin API share: who asks, and how answers and refusals are printed. */
import { resolve } from 'node:path'
import { adminRequest } from '../nats/admin-client.ts'
import type { AdminAnswers, AdminOperation, AdminRequest, Change, Page } from '../nats/admin-protocol.ts'
import { CONFIG_OPTION, type CommandInput, type CommandIo, JSON_OPTION, type OptionSpec, UsageError } from './command.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { asUser, SERVER_OPTIONS } from './nats-user.ts'

/** Options of every admin command. */
export const ADMIN_OPTIONS = {
  'admin-name': { type: 'string', value: 'NAME', help: "The administrator's name; admin.name of the configuration otherwise." },
  'admin-seed-file': { type: 'string', value: 'FILE', help: "Seed of the administrator's user; admin.seed_file otherwise." },
  ...SERVER_OPTIONS,
  ...CONFIG_OPTION,
  ...JSON_OPTION,
} as const satisfies Record<string, OptionSpec>

/** How they stand in a usage line. */
export const ADMIN_USAGE = '[--json] [-c FILE | --server URL --admin-name NAME --admin-seed-file FILE]'

/** Asks one operation as the administrator. `show` prints the answer as text; with --json it is printed as it is. */
export function ask<O extends AdminOperation>(
  input: CommandInput,
  io: CommandIo,
  request: { operation: O; body: AdminRequest<O>; show(answer: AdminAnswers[O]): void },
): Promise<ExitCode> {
  return asAdmin(input, io, async (send) => {
    const reply = await send(request.operation, request.body)
    if (!reply.ok) return refused(io, reply.error)
    if (input.flag('json')) io.out(JSON.stringify(reply.value))
    else request.show(reply.value)
    return EXIT.ok
  })
}

type Listing = Extract<AdminOperation, `${string}.list`>
type ItemOf<O extends Listing> = AdminAnswers[O] extends Page<infer T> ? T : never

/** Prints every item of a listing, page by page: one line each, or one JSON object a line. */
export function list<O extends Listing>(
  input: CommandInput,
  io: CommandIo,
  request: { operation: O; body: Omit<AdminRequest<O>, 'cursor'>; line(item: ItemOf<O>): string },
): Promise<ExitCode> {
  return asAdmin(input, io, async (send) => {
    let cursor: string | null = null
    let complete = true
    do {
      const reply = await send(request.operation, { ...request.body, cursor } as AdminRequest<O>)
      if (!reply.ok) return refused(io, reply.error)
      const page = reply.value as Page<ItemOf<O>>
      for (const item of page.items) io.out(input.flag('json') ? JSON.stringify(item) : request.line(item))
      cursor = page.cursor
      complete = complete && page.complete
    } while (cursor !== null)
    if (!complete) io.say('nats-webauthn: there may be more than the verifier keeps at hand')
    return EXIT.ok
  })
}

type Send = <O extends AdminOperation>(operation: O, body: AdminRequest<O>) => ReturnType<typeof adminRequest<O>>

function asAdmin(input: CommandInput, io: CommandIo, work: (send: Send) => Promise<ExitCode>): Promise<ExitCode> {
  const name = input.text('admin-name')
  const seedFile = input.text('admin-seed-file')
  // One's name with another's key would only be refused, a minute later and without a reason.
  if ((name === undefined) !== (seedFile === undefined)) throw new UsageError('--admin-name and --admin-seed-file go together')
  return asUser(input, io, {
    choose: (config) => {
      const admin = name !== undefined && seedFile !== undefined ? { name, seedFile: resolve(seedFile) } : (config?.admin ?? null)
      return admin === null ? null : { ...admin, inboxPrefix: `_INBOX_${admin.name}` }
    },
    work: (link, admin) => work((operation, body) => adminRequest(link, admin.name, operation, body)),
  })
}

function refused(io: CommandIo, error: { code: string; message: string }): ExitCode {
  io.say(`nats-webauthn: ${error.message} (${error.code})`)
  return EXIT.refused
}

/** One line about a change and the connections it closed. */
export function changeLine(what: string, { changed, connections }: Change<unknown>): string {
  const closed = connections.kicked + connections.failed === 0 ? '' : `; connections closed: ${connections.kicked}`
  const left = connections.failed === 0 ? '' : `, not reached: ${connections.failed} (they end when their grant expires)`
  return `${what}${changed ? '' : ', as before'}${closed}${left}`
}

/** An instant for people, or `-`. */
export function instant(epochMs: number | null): string {
  return epochMs === null ? '-' : new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z')
}
