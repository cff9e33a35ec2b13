/** One line for people of one record of the trail. */
import { z } from 'zod'
import { safeText } from '../core/safe-text.ts'
import type { TrailEntry } from './tail.ts'

const text = z.string()
// What a line shows. A trail may be older or newer than this program, so nothing is required.
const Shown = z.object({
  time: z.number().optional(),
  status_code: text.optional(),
  status_detail: text.optional(),
  count: z.number().optional(),
  severity: text.optional(),
  user: z.object({ name: text.optional() }).optional(),
  actor: z.object({ user: z.object({ name: text.optional(), uid: text.optional() }).optional(), app_name: text.optional() }).optional(),
  entity: z.object({ uid: text.optional(), type: text.optional() }).optional(),
  src_endpoint: z.object({ ip: text.optional(), hostname: text.optional() }).optional(),
  unmapped: z
    .object({
      nats: z.object({ server_name: text.optional(), client_id: z.number().optional(), account: text.optional() }).optional(),
    })
    .optional(),
})

const columnCharsMax = 200

/** `TIME  area.outcome.reason  who  where`, without anything that could steer a terminal. */
export function trailLine(entry: TrailEntry): string {
  const code = entry.subject.replace(/^audit\.webauthn\./, '')
  const shown = parse(entry.body)
  if (shown === null) return line([entry.storedAt.toISOString(), code, `unreadable record, sequence ${entry.sequence}`])
  const { user, actor, entity, src_endpoint: source, unmapped, count } = shown
  const who = user?.name ?? actor?.user?.name ?? actor?.user?.uid ?? actor?.app_name ?? '-'
  const nats = unmapped?.nats
  return line([
    shown.time === undefined ? entry.storedAt.toISOString() : isoTime(shown.time, entry.storedAt),
    code,
    who,
    source === undefined ? null : `from ${source.ip ?? source.hostname ?? '?'}`,
    nats?.client_id === undefined ? null : `on ${nats.server_name ?? '?'} #${nats.client_id}`,
    nats?.account === undefined ? null : `to ${nats.account}`,
    entity === undefined ? null : `${entity.type ?? '?'} ${entity.uid ?? '?'}`,
    count === undefined ? null : `×${count}`,
  ])
}

function parse(body: string): z.infer<typeof Shown> | null {
  return Shown.safeParse(parseJson(body)).data ?? null
}

function isoTime(epochMs: number, otherwise: Date): string {
  const time = new Date(epochMs)
  return (Number.isNaN(time.getTime()) ? otherwise : time).toISOString()
}

// Records hold escaped text already; a trail that somebody else wrote may not.
function line(columns: (string | null)[]): string {
  return columns
    .filter((column) => column !== null)
    .map((column) => safeText(column, columnCharsMax))
    .join('  ')
}

/** The same for machines: one JSON object with the record inside, or null in its place when it is no JSON. */
export function trailJson(entry: TrailEntry): string {
  const { stream, sequence, subject, id, storedAt, body } = entry
  return JSON.stringify({ stream, sequence, subject, id, stored_at: storedAt.toISOString(), record: parseJson(body) })
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}
