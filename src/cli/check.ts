/** `check`: the configuration and the policy, then everything about the live deployment that can be seen from here. */
import { readFileSync } from 'node:fs'
import { type Config, dangers, secretProblems } from '../config.ts'
import { rolesNotInPolicy } from '../core/people/claim-mapping.ts'
import { parsePolicy } from '../core/policy/policy-document.ts'
import { CONFIG_OPTION, type Command, JSON_OPTION } from './command.ts'
import { configPath, loadConfig } from './config-file.ts'
import { EXIT } from './exit-codes.ts'
import { liveChecks } from './live-checks.ts'
import { listenerChecks, passkeyCheck } from './page-checks.ts'
import { providerChecks } from './provider-checks.ts'
import { publicKeysCheck } from './public-keys.ts'
import { breakGlassCheck, migrationCheck } from './rollout-checks.ts'

/** One thing that was looked at. `passed` null: it could not be looked at from here. */
export interface CheckResult {
  name: string
  passed: boolean | null
  detail: string
}

export const check: Command = {
  name: 'check',
  summary: 'Check configuration and policy, then the live deployment.',
  usage: '[--offline] [--json] [-c FILE]',
  examples: ['nats-webauthn check', 'nats-webauthn check --offline -c staging.yaml'],
  options: { offline: { type: 'boolean', help: 'Only the files, without nats-server.' }, ...CONFIG_OPTION, ...JSON_OPTION },
  positionals: { min: 0, max: 0 },
  async run(input, io) {
    let failed = false
    const tell = (result: CheckResult) => {
      if (result.passed === false) failed = true
      const { name, passed, detail } = result
      io.out(input.flag('json') ? JSON.stringify(result) : `${passed === null ? '–' : passed ? '✓' : '✗'} ${name}: ${detail}`)
    }
    // What is wrong with the configuration itself ends here, with 78.
    const config = loadConfig(input, io)
    tell({ name: 'configuration', passed: true, detail: configPath(input, io) })
    for (const danger of dangers(config)) io.say(`warning: ${danger}`)
    const problems = secretProblems(config)
    for (const problem of problems) tell({ name: 'secret files', passed: false, detail: problem })
    if (problems.length === 0) tell({ name: 'secret files', passed: true, detail: 'all there, and for their owner alone' })
    const publicKeys = problems.length === 0 ? publicKeysCheck(config, configPath(input, io)) : null
    if (publicKeys !== null) tell(publicKeys)
    const { result, natsServerMin } = checkPolicy(config)
    tell(result)
    const wayIn = [breakGlassCheck(configPath(input, io)), migrationCheck(config, new Date())]
    for (const each of wayIn) if (each !== null) tell(each)
    const passkeys = passkeyCheck(config)
    if (passkeys !== null) tell(passkeys)
    if (input.flag('offline') || problems.length > 0) return failed ? EXIT.refused : EXIT.ok
    for await (const result of liveChecks(config, natsServerMin)) tell(result)
    for await (const result of listenerChecks(config)) tell(result)
    for await (const result of providerChecks(config)) tell(result)
    return failed ? EXIT.refused : EXIT.ok
  },
}

/** Whether the policy can be used, and the oldest nats-server that it counts on. */
function checkPolicy({ policyFile, accounts, identityProviders }: Config): { result: CheckResult; natsServerMin: string | null } {
  let text: string
  try {
    text = readFileSync(policyFile, 'utf8')
  } catch {
    return { result: { name: 'policy', passed: false, detail: `${policyFile} cannot be read` }, natsServerMin: null }
  }
  const parsed = parsePolicy(text, { targetAccounts: accounts.targets, reservedAccounts: [accounts.auth, accounts.audit, accounts.system] })
  if (!parsed.ok) {
    const detail = parsed.issues.map(({ line, message }) => `${policyFile}:${line}: ${message}`).join('; ')
    return { result: { name: 'policy', passed: false, detail }, natsServerMin: null }
  }
  const { policy, warnings, natsServerMin } = parsed
  const strangers = [...new Set(identityProviders.flatMap(({ mapping }) => rolesNotInPolicy(mapping, policy)))]
  const unknown = strangers.length === 0 ? '' : `; identity_providers map to roles that it has not: ${strangers.join(', ')}`
  return {
    result: { name: 'policy', passed: true, detail: `${policy.roles.size} roles, ${warnings.length} warnings${unknown}` },
    natsServerMin,
  }
}
