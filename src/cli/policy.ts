/** `policy lint|test|explain|diff`: the policy file alone, without a server. */
import { isIP } from 'node:net'
import type { Config } from '../config.ts'
import { type AccountName, type Handle, parseAccountName, parseHandle } from '../core/identifiers.ts'
import type { HypotheticalConnection } from '../core/policy/hypothetical-connection.ts'
import { ROLE_OPTION, rolesOf } from './arguments.ts'
import { CONFIG_OPTION, type Command, type CommandInput, type CommandIo, JSON_OPTION, type OptionSpec, UsageError } from './command.ts'
import { configPath, loadConfigIfAny } from './config-file.ts'
import { type PolicyCommand, policyDiff, policyExplain, policyLint, policyTest } from './policy-verbs.ts'

const POLICY_OPTIONS = {
  accounts: { type: 'string', value: 'A,B', help: 'Accounts that roles may name; those of the configuration otherwise.' },
  ...CONFIG_OPTION,
  ...JSON_OPTION,
} as const satisfies Record<string, OptionSpec>

const FILE_USAGE = '[FILE] [--accounts A,B] [--json] [-c FILE]'

const lint: Command = {
  name: 'policy lint',
  summary: 'Say what is wrong with a policy, and what is worth a second look.',
  usage: `[--strict] ${FILE_USAGE}`,
  examples: ['nats-webauthn policy lint', 'nats-webauthn policy lint policy.yaml --accounts APP --strict'],
  options: { strict: { type: 'boolean', help: 'Warnings fail too.' }, ...POLICY_OPTIONS },
  positionals: { min: 0, max: 1 },
  run(input, io) {
    const config = loadConfigIfAny(input, io)
    return policyLint({ ...base(input, io, config), file: policyFile(input.positionals[0], config), strict: input.flag('strict') })
  },
}

const testCases: Command = {
  name: 'policy test',
  summary: 'Run cases against a policy: who may do what, and who may not.',
  usage: `CASES… [--policy FILE] [--accounts A,B] [--json] [-c FILE]`,
  examples: ['nats-webauthn policy test policy-cases.yaml', 'nats-webauthn policy test cases.yaml --policy new-policy.yaml --accounts APP'],
  options: { policy: { type: 'string', value: 'FILE', help: 'The policy; that of the configuration otherwise.' }, ...POLICY_OPTIONS },
  positionals: { min: 1, max: 100 },
  run(input, io) {
    const config = loadConfigIfAny(input, io)
    return policyTest({
      ...base(input, io, config),
      file: policyFile(input.text('policy'), config),
      cases: input.positionals,
      now: new Date(),
    })
  },
}

const explain: Command = {
  name: 'policy explain',
  summary: 'Say what somebody would be granted, and by which rule.',
  usage: `--role ROLE… [--publish SUBJECT]… [--subscribe SUBJECT]… [--class CLASS] [--user NAME] [--claim NAME=VALUE]… [--source ADDRESS] [--client-type TYPE] [--user-verified] [--device-bound] [--aaguid UUID] [--attestation GRADE] [--approved] [--by-code] [--at TIME] ${FILE_USAGE}`,
  examples: ["nats-webauthn policy explain --role orders-writer --user orders --publish orders.orders.new --subscribe 'orders.>'"],
  options: {
    ...ROLE_OPTION,
    publish: { type: 'string', multiple: true, value: 'SUBJECT', help: 'A subject to publish to.' },
    subscribe: { type: 'string', multiple: true, value: 'SUBJECT', help: 'A subject to subscribe to, or "SUBJECT QUEUE".' },
    class: { type: 'string', value: 'CLASS', help: 'person or machine (the default).' },
    user: { type: 'string', value: 'NAME', help: 'What {{user}} stands for; "someone" otherwise.' },
    claim: { type: 'string', multiple: true, value: 'NAME=VALUE', help: 'What {{claim.NAME}} stands for.' },
    source: { type: 'string', value: 'ADDRESS', help: 'IP address of the client; without it no source requirement is met.' },
    'client-type': { type: 'string', value: 'TYPE', help: 'nats (the default) or websocket.' },
    'user-verified': { type: 'boolean', help: 'The user was verified.' },
    'device-bound': { type: 'boolean', help: 'The credential cannot be copied to another device.' },
    aaguid: { type: 'string', value: 'UUID', help: 'Model of the authenticator.' },
    attestation: { type: 'string', value: 'GRADE', help: 'What the authenticator showed: none (the default), attested or mds.' },
    approved: { type: 'boolean', help: 'An administrator approved the credential.' },
    'by-code': { type: 'boolean', help: 'The session was endorsed by a code that was typed elsewhere.' },
    at: { type: 'string', value: 'TIME', help: 'Moment of the connection, as 2026-03-04T12:00:00Z; now otherwise.' },
    ...POLICY_OPTIONS,
  },
  positionals: { min: 0, max: 1 },
  run(input, io) {
    const config = loadConfigIfAny(input, io)
    return policyExplain({
      ...base(input, io, config),
      file: policyFile(input.positionals[0], config),
      connection: connectionOf(input, config),
      publish: input.texts('publish'),
      subscribe: input.texts('subscribe'),
    })
  },
}

const diff: Command = {
  name: 'policy diff',
  summary: 'Say what a new policy gives and takes, role by role.',
  usage: 'OLD NEW [--accounts A,B] [--json] [-c FILE]',
  examples: ['nats-webauthn policy diff policy.yaml new-policy.yaml'],
  options: POLICY_OPTIONS,
  positionals: { min: 2, max: 2 },
  run(input, io) {
    const [before = '', after = ''] = input.positionals
    return policyDiff({ ...base(input, io, loadConfigIfAny(input, io)), before, after })
  },
}

export const policyCommands: readonly Command[] = [lint, testCases, explain, diff]

function base(input: CommandInput, io: CommandIo, config: Config | null): PolicyCommand {
  const own = config === null ? [] : [config.accounts.auth, config.accounts.audit, config.accounts.system]
  return { targetAccounts: accountsOf(input, io, config), reservedAccounts: own, io, json: input.flag('json') }
}

function accountsOf(input: CommandInput, io: CommandIo, config: Config | null): readonly AccountName[] {
  const listed = input.text('accounts')
  if (listed === undefined) {
    if (config === null)
      throw new UsageError(`name the accounts with --accounts, or a configuration with -c: there is no ${configPath(input, io)} here`)
    return config.accounts.targets
  }
  return listed.split(',').map((text) => {
    const account = parseAccountName(text.trim())
    if (account === null) throw new UsageError('--accounts takes names of accounts with commas between them')
    return account
  })
}

function policyFile(named: string | undefined, config: Config | null): string {
  return named ?? config?.policyFile ?? 'policy.yaml'
}

function connectionOf(input: CommandInput, config: Config | null): HypotheticalConnection {
  const at = input.text('at')
  const now = at === undefined ? new Date() : new Date(at)
  if (Number.isNaN(now.getTime())) throw new UsageError('write --at as 2026-03-04T12:00:00Z')
  const source = input.text('source') ?? null
  if (source !== null && isIP(source) === 0) throw new UsageError('--source takes an IP address')
  const roles = rolesOf(input)
  if (roles.length === 0) throw new UsageError('name at least one --role')
  return {
    handle: userOf(input),
    class: oneOf(input.text('class') ?? 'machine', ['machine', 'person'], '--class'),
    roles: roles.map((name) => ({ name, ageSeconds: null })),
    claims: Object.fromEntries(input.texts('claim').map(claimOf)),
    userVerified: input.flag('user-verified'),
    deviceBound: input.flag('device-bound'),
    attestation: oneOf(input.text('attestation') ?? 'none', ['none', 'attested', 'mds'], '--attestation'),
    approved: input.flag('approved'),
    byCode: input.flag('by-code'),
    aaguid: (input.text('aaguid') ?? '00000000-0000-0000-0000-000000000000').toLowerCase(),
    clientType: oneOf(input.text('client-type') ?? 'nats', ['nats', 'websocket'], '--client-type'),
    sourceAddress: source,
    rolesMaxAgeSeconds: config?.rules.rolesMaxAgeSeconds ?? 24 * 3600,
    now,
  }
}

function userOf(input: CommandInput): Handle {
  const handle = parseHandle(input.text('user') ?? 'someone')
  if (handle === null) throw new UsageError('--user takes 1 to 64 of a-z 0-9 _ -')
  return handle
}

function claimOf(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError('write --claim as NAME=VALUE')
  return [text.slice(0, equals), text.slice(equals + 1)]
}

function oneOf<T extends string>(text: string, allowed: readonly T[], option: string): T {
  const found = allowed.find((value) => value === text)
  if (found === undefined) throw new UsageError(`${option} is one of ${allowed.join(', ')}`)
  return found
}
