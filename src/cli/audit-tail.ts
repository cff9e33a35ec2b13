/** `audit tail`: the audit trail, as the auditor's user may read it. */
import { resolve } from 'node:path'
import { streamsOf, tailTrail } from '../audit/tail.ts'
import { trailJson, trailLine } from '../audit/trail-line.ts'
import { parseDuration } from '../config-units.ts'
import { CONFIG_OPTION, type Command, JSON_OPTION, UsageError } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { asUser, SERVER_OPTIONS } from './nats-user.ts'

export const auditTail: Command = {
  name: 'audit tail',
  summary: 'Print the records of the audit trail, oldest first.',
  usage: '[FILTER] [--since DURATION] [--follow] [--json] [-c FILE | --server URL --auditor-seed-file FILE]',
  examples: [
    'nats-webauthn audit tail --since 1h --follow',
    "nats-webauthn audit tail 'connection.denied.>' --json",
    "nats-webauthn audit tail 'enrolment.>'",
  ],
  options: {
    since: { type: 'string', value: 'DURATION', help: 'How far back to begin, such as 15m or 24h; at the beginning otherwise.' },
    follow: { type: 'boolean', short: 'f', help: 'Go on with new records until interrupted.' },
    'auditor-seed-file': {
      type: 'string',
      value: 'FILE',
      help: "Seed of the auditor's user; auditor.seed_file of the configuration otherwise.",
    },
    ...SERVER_OPTIONS,
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 1 },
  run(input, io) {
    const back = input.text('since')
    const backMs = back === undefined ? null : parseDuration(back)
    if (back !== undefined && backMs === null) throw new UsageError('write --since as a number with s, m, h or d')
    const filter = checkedFilter(input.positionals[0] ?? '>')
    const show = input.flag('json') ? trailJson : trailLine
    const seedFile = input.text('auditor-seed-file')
    return asUser(input, io, {
      choose: (config) => {
        const file = seedFile === undefined ? config?.auditor?.seedFile : resolve(seedFile)
        return file === undefined ? null : { name: 'auditor', inboxPrefix: '_INBOX_auditor', seedFile: file }
      },
      work: async ({ nats }) => {
        const options = {
          filter,
          since: backMs === null ? null : new Date(Date.now() - backMs),
          follow: input.flag('follow'),
          signal: io.stopSignal(),
        }
        for await (const entry of tailTrail(nats, options)) io.out(show(entry))
        return EXIT.ok
      },
    })
  },
}

function checkedFilter(filter: string): string {
  try {
    streamsOf(filter)
    return filter
  } catch (error) {
    throw new UsageError("the filter is what follows `audit.webauthn.` in a subject, such as 'connection.denied.>'", { cause: error })
  }
}
