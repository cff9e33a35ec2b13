/** What nats-webauthn.yaml says of a migration and of the users that nats-server itself knows (docs/migration.md, docs/break-glass.md). */
import { z } from 'zod'
import { parseDuration } from './config-units.ts'

const itemsMax = 256
const textCharsMax = 1024
const ttl = { min: '1m', max: '7d' } as const

const file = z.string().min(1).max(textCharsMax).meta({ title: 'path' })

const until = z
  .string()
  .meta({ title: 'date' })
  .transform((text, context) => {
    const at = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?$/.test(text) ? Date.parse(text) : Number.NaN
    // Date.parse takes February 30 for March 2.
    if (!Number.isNaN(at) && new Date(at).toISOString().startsWith(text.slice(0, 10))) return at
    context.addIssue('write a day as 2026-12-31, or a moment as 2026-12-31T18:00:00Z')
    return z.NEVER
  })

const connectionTtl = z
  .string()
  .meta({ title: 'duration' })
  .transform((text, context) => {
    const ms = parseDuration(text)
    if (ms !== null && ms >= (parseDuration(ttl.min) ?? 0) && ms <= (parseDuration(ttl.max) ?? 0)) return Math.floor(ms / 1000)
    context.addIssue(`write connection_ttl as a number with ms, s, m, h or d, from ${ttl.min} to ${ttl.max}`)
    return z.NEVER
  })

/** Section `migration`. */
export const migrationSchema = z.strictObject({
  report_only: z.boolean().describe('`true`: legacy users are admitted, and what would be refused is recorded. `false`: they are refused.'),
  legacy_users_file: file.describe(
    'Who they are, with bcrypt hashes and public nkeys; nobody else may read it. Read again when it changes and on SIGHUP.',
  ),
  until: until.describe(
    'The end: a day (its beginning, in UTC) or a moment. From then on legacy users are refused, whatever else is written here.',
  ),
  connection_ttl: connectionTtl
    .prefault('24h')
    .describe('How long one connection of a legacy user lasts before it has to show its credentials again.'),
})

/** Section `static_users`. */
export const staticUsersSchema = z.strictObject({
  keys_file: file
    .optional()
    .describe(
      'File with lines `NAME: "U…"`, as `init` writes nats-server.keys.conf; names that begin with `BREAK_GLASS` are never expected.',
    ),
  expected: z
    .array(z.string().min(1).max(textCharsMax))
    .max(itemsMax)
    .default([])
    .describe('Further users that are expected, by nkey or name.'),
})

export interface MigrationConfig {
  reportOnly: boolean
  legacyUsersFile: string
  untilMs: number
  connectionTtlSeconds: number
}

export interface StaticUsersConfig {
  keysFile: string | null
  expected: string[]
}

/** `path` makes a path of the file absolute. */
export function toMigration(raw: z.output<typeof migrationSchema> | undefined, path: (name: string) => string): MigrationConfig | null {
  if (raw === undefined) return null
  const { report_only, legacy_users_file, until: untilMs, connection_ttl } = raw
  return { reportOnly: report_only, legacyUsersFile: path(legacy_users_file), untilMs, connectionTtlSeconds: connection_ttl }
}

export function toStaticUsers(
  raw: z.output<typeof staticUsersSchema> | undefined,
  path: (name: string) => string,
): StaticUsersConfig | null {
  if (raw === undefined) return null
  return { keysFile: raw.keys_file === undefined ? null : path(raw.keys_file), expected: raw.expected }
}

/** The warning of each start while legacy users are admitted. */
export function migrationDanger(migration: MigrationConfig | null): string[] {
  if (migration === null || !migration.reportOnly) return []
  const { legacyUsersFile, untilMs } = migration
  return [
    `migration.report_only is on until ${new Date(untilMs).toISOString()}: the users of ${legacyUsersFile} are admitted without WebAuthn`,
  ]
}
