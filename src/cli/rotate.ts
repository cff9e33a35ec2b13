/** `rotate`: new keys for a deployment, in two steps between which both are good, or at once (docs/rotation.md). */
import type { Config } from '../config.ts'
import { CONFIG_OPTION, type Command, type CommandInput, type CommandIo, JSON_OPTION, UsageError } from './command.ts'
import { loadConfig } from './config-file.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { unfinished } from './rotation-checks.ts'
import {
  carryOut,
  planBegin,
  planFinish,
  planReplace,
  ROTATING_KEYS,
  type RotatingKey,
  type RotationPlan,
  rotating,
} from './rotation-plan.ts'

const DRY_RUN = { 'dry-run': { type: 'boolean', help: 'Say which files would change, and change none.' } } as const
const names = `${ROTATING_KEYS.slice(0, -1).join(', ')} or ${ROTATING_KEYS.at(-1)}`

const begin: Command = {
  name: 'rotate begin',
  summary: 'Make new keys beside the old ones, which stay good until `rotate finish`.',
  usage: 'KEY… [--dry-run] [--json] [-c FILE]',
  examples: ['nats-webauthn rotate begin issuer', 'nats-webauthn rotate begin auth audit system --dry-run'],
  options: { ...DRY_RUN, ...CONFIG_OPTION, ...JSON_OPTION },
  positionals: { min: 1, max: ROTATING_KEYS.length },
  async run(input, io) {
    const keys = keysOf(input)
    const config = loadConfig(input, io)
    return change(planBegin(keys, config), [...restarts(keys), 'run: nats-webauthn rotate finish'], { input, io })
  },
}

const finish: Command = {
  name: 'rotate finish',
  summary: 'Put the new keys in the place of the old ones, once every nats-server knows them.',
  usage: '[--offline] [--dry-run] [--json] [-c FILE]',
  examples: ['nats-webauthn rotate finish'],
  options: {
    offline: { type: 'boolean', help: 'Without asking whether every nats-server was restarted since.' },
    ...DRY_RUN,
    ...CONFIG_OPTION,
    ...JSON_OPTION,
  },
  positionals: { min: 0, max: 0 },
  async run(input, io) {
    const config = loadConfig(input, io)
    const keys = rotating(config)
    if (keys.length === 0) return change({ changes: [], problems: [] }, [], { input, io })
    const problems = input.flag('offline') ? [] : await unfinished(keys, config)
    if (problems.length > 0) return change({ changes: [], problems }, [], { input, io })
    return change(planFinish(config), [...restarts(keys), 'destroy the seeds that are called .old.seed'], { input, io })
  },
}

const replace: Command = {
  name: 'rotate replace',
  summary: 'Put new keys in the place of old ones at once, for a seed that somebody else has.',
  usage: 'KEY… [--dry-run] [--json] [-c FILE]',
  examples: ['nats-webauthn rotate replace auth'],
  options: { ...DRY_RUN, ...CONFIG_OPTION, ...JSON_OPTION },
  positionals: { min: 1, max: ROTATING_KEYS.length },
  async run(input, io) {
    const keys = keysOf(input)
    const config: Config = loadConfig(input, io)
    const next = [...restarts(keys).toReversed(), 'destroy the seeds that are called .old.seed']
    return change(planReplace(keys, config), next, { input, io })
  },
}

export const rotateCommands: readonly Command[] = [begin, finish, replace]

function keysOf(input: CommandInput): RotatingKey[] {
  const keys = input.positionals.map((text) => {
    // Nobody may rotate one of the two alone, so both names are good.
    const key = ROTATING_KEYS.find((known) => known === (text === 'xkey' ? 'issuer' : text))
    if (key === undefined) throw new UsageError(`no key \`${text}\`; write ${names} (issuer and xkey go together)`)
    return key
  })
  return [...new Set(keys)]
}

/** Verifiers first: they know both keys before a server knows one of them alone. */
function restarts(keys: readonly RotatingKey[]): string[] {
  const isVerifiers = keys.some((key) => key !== 'admin' && key !== 'auditor')
  return [
    ...(isVerifiers ? ['restart every verifier, one after another'] : []),
    'restart every nats-server, one after another; reloading is not enough',
  ]
}

function change(plan: RotationPlan, next: string[], { input, io }: { input: CommandInput; io: CommandIo }): ExitCode {
  const isDone = plan.changes.length > 0 && !input.flag('dry-run')
  if (isDone) carryOut(plan)
  // Seeds are made to be written, and never to be shown.
  const changes = plan.changes.map((it) => ({ action: it.action, path: it.path, ...(it.action === 'move' ? { to: it.to } : {}) }))
  const todo = plan.changes.length > 0 ? next : []
  if (input.flag('json')) io.out(JSON.stringify({ dryRun: input.flag('dry-run'), changes, next: todo, problems: plan.problems }))
  else for (const { action, path, to } of changes) io.out(`${action.padEnd(6)}  ${path}${to === undefined ? '' : ` → ${to}`}`)
  for (const problem of plan.problems) io.say(`nats-webauthn: ${problem}`)
  if (plan.problems.length > 0) return EXIT.refused
  if (changes.length === 0) io.say('nothing to change')
  for (const [index, step] of todo.entries()) io.say(`${index + 1}. ${step}`)
  return EXIT.ok
}
