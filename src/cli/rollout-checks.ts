/** What `check` says of ways in without WebAuthn: keys for emergencies, users who pass the verifier by, a migration. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Config, ConfigInvalid, readSecretFile } from '../config.ts'
import { isUnexpected } from '../core/static-user.ts'
import type { Link } from '../nats/connection.ts'
import { staticConnections } from '../nats/static-connections.ts'
import { LegacyUsersInvalid, readLegacyUsers } from '../policy/legacy-file.ts'
import { staticUserRules } from '../verifier-break-glass.ts'
import { BREAK_GLASS_FILE, switchedOn } from './break-glass-files.ts'
import type { CheckResult } from './check.ts'

/** Null where the configuration at `configFile` has no such file beside it. */
export function breakGlassCheck(configFile: string): CheckResult | null {
  const path = join(dirname(configFile), BREAK_GLASS_FILE)
  if (!existsSync(path)) return null
  const on = switchedOn(readFileSync(path, 'utf8'))
  return {
    name: 'break-glass keys',
    passed: on.length === 0,
    detail:
      on.length === 0 ? 'all switched off' : `switched on: ${on.join(', ')}; switch off in ${BREAK_GLASS_FILE} and reload nats-server`,
  }
}

/** Null without a migration. Whoever opens a migration knows that it is open: it fails only once it is over. */
export function migrationCheck({ migration, accounts }: Config, now: Date): CheckResult | null {
  if (migration === null) return null
  const name = 'migration'
  const { reportOnly, legacyUsersFile: path, untilMs } = migration
  if (!reportOnly) return { name, passed: true, detail: 'report_only is off: nobody is a legacy user; the section can go' }
  try {
    const users = readLegacyUsers({ path, read: readSecretFile, targetAccounts: accounts.targets })
    const until = new Date(untilMs).toISOString()
    const over = untilMs <= now.getTime()
    return {
      name,
      passed: !over,
      detail: `${users.count} legacy users ${over ? `were admitted until ${until}: take the section out` : `until ${until}`}`,
    }
  } catch (error) {
    if (error instanceof LegacyUsersInvalid) return { name, passed: false, detail: error.problems.join('; ') }
    if (error instanceof ConfigInvalid) return { name, passed: false, detail: error.message }
    throw error
  }
}

/** Who is connected now without the verifier, unexpectedly. */
export async function staticUsersCheck(system: Link, config: Config): Promise<CheckResult> {
  const name = 'static users'
  const rules = staticUserRules(config)
  if (rules === null) return { name, passed: null, detail: 'static_users is not configured: who passes the verifier by is not seen' }
  const found = await staticConnections(system, (one) => isUnexpected(one, rules)).list()
  const open = found.filter(({ isOpen }) => isOpen)
  const detail = open.map(({ user, account, host }) => `${user} in ${account} from ${host}`).join('; ')
  return {
    name,
    passed: open.length === 0,
    detail: detail === '' ? 'only those that are expected are connected' : `connected without the verifier: ${detail}`,
  }
}
