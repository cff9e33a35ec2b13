/** What a restore says that it did, or would do: for people a table, for programs each record. */
import type { TrailFacts } from '../audit/trail-facts.ts'
import { KEPT_BUCKETS } from '../core/backup/backup-format.ts'
import type { Facts } from '../core/backup/facts.ts'
import type { RestoreAction, RestorePlan } from '../core/backup/restore-plan.ts'
import type { Backup } from './backup-reader.ts'

const ACTIONS = ['restored', 'narrowed', 'reserved', 'held'] as const satisfies RestoreAction[]

export interface RestoreReport {
  json: object
  lines: string[]
}

export function restoreReport(done: {
  plan: RestorePlan
  backup: Backup
  facts: Facts
  trail: TrailFacts
  dryRun: boolean
}): RestoreReport {
  const { plan, backup, facts, trail, dryRun } = done
  const buckets = KEPT_BUCKETS.map((bucket) => {
    const writes = plan.writes.filter((write) => write.bucket === bucket)
    const counts = Object.fromEntries(ACTIONS.map((action) => [action, writes.filter((write) => write.action === action).length]))
    return { bucket, kept: plan.kept[bucket], ...counts, conflicts: plan.conflicts.filter((conflict) => conflict.bucket === bucket).length }
  })
  const again = toDoAgain(plan, facts)
  const { createdAt, audit } = backup.header
  const json = {
    dryRun,
    backupAt: createdAt,
    trail: { from: audit.sequence, records: trail.records, gap: trail.gap },
    buckets,
    writes: plan.writes.map(({ bucket, key, action, record }) => ({ bucket, key, action, ...named(record) })),
    conflicts: plan.conflicts,
    again,
  }
  const width = (text: unknown) => String(text).padStart(10)
  const lines = [
    `${dryRun ? 'Would restore' : 'Restored'} the backup of ${new Date(createdAt).toISOString()}; ${trail.records} records of the trail since${trail.gap === null ? '' : `, which is not whole: ${trail.gap}`}`,
    `${''.padEnd(26)}${['kept', ...ACTIONS, 'conflicts'].map(width).join('')}`,
    ...buckets.map(({ bucket, ...counts }) => `${bucket.padEnd(26)}${Object.values(counts).map(width).join('')}`),
    ...plan.conflicts.map(({ bucket, key }) => `conflict, left as it is: ${bucket} ${key}`),
    ...again.map(({ what, id }) => `not repeated, because only an administrator may: ${what} ${id}`),
  ]
  return { json, lines }
}

/** What was let go since the backup, and is on hold again because its live record is lost. */
function toDoAgain({ writes }: RestorePlan, { credentials, identities }: Facts): { what: string; id: string }[] {
  const released = [...credentials.values()].filter(({ hold }) => hold?.on === false).map(({ id }): string => id)
  const enabled = [...identities].filter(([, { hold }]) => hold?.on === false).map(([handle]): string => handle)
  return writes.flatMap(({ record, key }) => {
    const { id, state } = named(record)
    if (state === 'quarantined' && id !== undefined && released.includes(id)) return [{ what: 'credential release', id }]
    return state === 'disabled' && enabled.includes(key) ? [{ what: 'identity enable', id: key }] : []
  })
}

/** By what a record is known, where that is not its key. */
function named(record: object): { id?: string; state?: string } {
  return {
    ...('id' in record && typeof record.id === 'string' ? { id: record.id } : {}),
    ...('state' in record && typeof record.state === 'string' ? { state: record.state } : {}),
  }
}
