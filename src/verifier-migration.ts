/** Report-only mode (docs/migration.md): the legacy users and who compares their secrets, made from the configuration. */
import { type Config, ConfigInvalid, readSecretFile } from './config.ts'
import type { LegacyUsers } from './core/legacy/legacy-users.ts'
import type { LegacyPort } from './core/ports.ts'
import type { Logger } from './observability/logger.ts'
import { bcryptThread } from './policy/bcrypt-thread.ts'
import { LegacyUsersInvalid, openLegacyFile } from './policy/legacy-file.ts'
import { dummyHashOf, legacySecrets } from './policy/legacy-secrets.ts'
import type { Parts } from './verifier-parts.ts'

export interface Migration {
  /** Null: nobody is a legacy user. */
  port: LegacyPort | null
  /** For the metrics: whether report-only mode is on at `now`, until when (epoch milliseconds, or 0) and for how many users. */
  state(now: Date): { on: boolean; untilMs: number; users: number }
  reload(): Promise<unknown>
  /** Puts on record that it is on; resolves when that is durable. */
  recordStart(): Promise<void>
  stop(): Promise<void>
}

const NO_MIGRATION: Migration = {
  port: null,
  state: () => ({ on: false, untilMs: 0, users: 0 }),
  reload: async () => undefined,
  recordStart: async () => undefined,
  stop: async () => undefined,
}

// Longer delays than this are no timer of Node's: the next look sets the next one.
const endTimerMsMax = 24 * 3_600_000

/** Throws ConfigInvalid when the first file cannot be used. */
export function openMigration(config: Config, { parts, log }: { parts: Parts; log: Logger }): Migration {
  const { migration, accounts } = config
  if (migration === null || !migration.reportOnly) return NO_MIGRATION
  const { legacyUsersFile: path, untilMs, connectionTtlSeconds } = migration
  const recordOf = (users: LegacyUsers) => ({ users: users.count, file: users.hash.slice(0, 12), until: new Date(untilMs).toISOString() })
  const file = openedFile(path, () =>
    openLegacyFile({
      path,
      read: readSecretFile,
      targetAccounts: accounts.targets,
      onChange: async (users) => {
        if (parts.records === null) throw new Error('taking over legacy users while the verifier starts')
        await parts.records.record(
          { area: 'policy', outcome: 'succeeded', reason: 'legacy_users_loaded' },
          'The legacy users have changed.',
          recordOf(users),
        )
        log.warn(recordOf(users), 'the legacy users have changed')
      },
      onRefused: (problems) => {
        for (const problem of problems) log.error(problem)
        const code = { area: 'policy', outcome: 'refused', reason: 'legacy_users_invalid' } as const
        void parts.records
          ?.record(code, 'The file of legacy users was refused; those in force stay.', { mistakes: problems.length })
          .catch((cause: unknown) => log.error({ err: cause }, 'recording refused legacy users'))
      },
    }),
  )
  const secrets = legacySecrets({
    thread: bcryptThread(),
    dummyHash: (name) => dummyHashOf(file.current(), name),
    // The other half is for proofs, which wait for nobody's password.
    askedMax: Math.ceil(config.callout.inFlightMax / 2),
  })
  const stopWatching = tellTheEnd(untilMs, log)
  return {
    port: { users: file.current, terms: { untilMs, ttlSeconds: connectionTtlSeconds }, compare: secrets.compare },
    state: (now) => ({ on: now.getTime() < untilMs, untilMs, users: file.current().count }),
    reload: file.reload,
    recordStart: async () => {
      await parts.records?.record(
        { area: 'verifier', outcome: 'succeeded', reason: 'report_only' },
        'Report-only mode: legacy users are admitted without WebAuthn.',
        recordOf(file.current()),
      )
    },
    stop: async () => {
      stopWatching()
      file.close()
      await secrets.stop()
    },
  }
}

function openedFile<T>(path: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    if (error instanceof LegacyUsersInvalid) throw new ConfigInvalid(error.problems)
    if (error instanceof ConfigInvalid) throw error
    throw new ConfigInvalid([`${path}: cannot be used`])
  }
}

/** Says in the log that the migration has ended, when it does. Returns how to stop that. */
function tellTheEnd(untilMs: number, log: Logger): () => void {
  let timer: NodeJS.Timeout | null = null
  const look = (): void => {
    const left = untilMs - Date.now()
    if (left <= 0) log.warn('the migration has ended: legacy users are refused')
    else timer = setTimeout(look, Math.min(left, endTimerMsMax)).unref()
  }
  look()
  return () => {
    if (timer !== null) clearTimeout(timer)
  }
}
