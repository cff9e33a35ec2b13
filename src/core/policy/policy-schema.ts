/** The shape of one role in policy.yaml, and what its values become. What subjects may be is policy-rules.ts. */
import { z } from 'zod'
import { canonicalCidr } from '../source-address.ts'
import { DEFAULT_PERSON_ENROLMENT } from './policy.ts'
import { isTimeZone } from './time-window.ts'

const subjectsPerListMax = 500
const listItemsMax = 100
const daySeconds = 24 * 3600
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
const UNIT_SECONDS = { s: 1, m: 60, h: 3600, d: daySeconds } as const

/** What `allow_responses: true` means: nats-server's own defaults. */
const RESPONSES_DEFAULT = { max: 1, ttlSeconds: 120 }

/** A duration such as `15m`, in seconds. */
export function duration(range: { minSeconds: number; maxSeconds: number; limits: string }) {
  const message = `write a duration with a unit (s, m, h, d), ${range.limits}`
  return z.union([z.string(), z.literal(0)], { error: message }).transform((value, context) => {
    const match = /^(0|[1-9][0-9]{0,8})([smhd])$/.exec(String(value))
    const seconds =
      value === 0 || value === '0' ? 0 : match === null ? -1 : Number(match[1]) * UNIT_SECONDS[match[2] as keyof typeof UNIT_SECONDS]
    if (seconds >= range.minSeconds && seconds <= range.maxSeconds) return seconds
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })
}

const rules = z.strictObject({
  allow: z.array(z.string()).max(subjectsPerListMax).default([]),
  deny: z.array(z.string()).max(subjectsPerListMax).default([]),
})

/** `allow_responses` as written, here and for legacy users. */
export const responses = z
  .union([
    z.boolean(),
    z.strictObject({
      max: z.int().min(1).max(1000).default(RESPONSES_DEFAULT.max),
      ttl: duration({ minSeconds: 1, maxSeconds: 3600, limits: '1s to 1h' }).default(RESPONSES_DEFAULT.ttlSeconds),
    }),
  ])
  .transform((value) => {
    if (value === true) return RESPONSES_DEFAULT
    return value === false ? null : { max: value.max, ttlSeconds: value.ttl }
  })

const clock = z.string().transform((text, context) => {
  const match = /^([01][0-9]|2[0-4]):([0-5][0-9])$/.exec(text)
  const minute = match === null ? -1 : Number(match[1]) * 60 + Number(match[2])
  if (minute >= 0 && minute <= 1440) return minute
  context.addIssue({ code: 'custom', message: 'write a time of day as "HH:MM", "00:00" to "24:00"' })
  return z.NEVER
})

const timeWindow = z
  .strictObject({
    days: z.array(z.enum(DAYS)).min(1).max(7),
    from: clock,
    to: clock,
    timezone: z.string().max(64).refine(isTimeZone, 'not an IANA time zone, such as "Europe/Berlin" or "UTC"'),
  })
  .transform(({ days, from, to, timezone }, context) => {
    if (from >= to) context.addIssue({ code: 'custom', message: '"from" must be before "to"; a window over midnight is two windows' })
    return { days: days.map((day) => DAYS.indexOf(day)), fromMinute: from, toMinute: to, timeZone: timezone }
  })

const cidr = z
  .string()
  .max(64)
  .transform((text, context) => {
    const canonical = canonicalCidr(text)
    if (canonical !== null) return canonical
    context.addIssue({ code: 'custom', message: 'not a CIDR block such as "10.0.0.0/8" or "fd00::/8", with no bits set behind the prefix' })
    return z.NEVER
  })

const aaguid = z
  .string()
  .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'not an AAGUID: write it as a UUID')
  .transform((text) => text.toLowerCase())

const requirements = z.strictObject({
  class: z.enum(['person', 'machine']).nullable().default(null),
  user_verification: z.boolean().default(false),
  device_bound: z.boolean().default(false),
  aaguids: z.array(aaguid).min(1).max(listItemsMax).nullable().default(null),
  attestation: z.enum(['direct', 'mds']).nullable().default(null),
  approval: z.boolean().default(false),
  client_types: z
    .array(z.enum(['nats', 'websocket']))
    .min(1)
    .max(2)
    .nullable()
    .default(null),
  source_cidrs: z.array(cidr).min(1).max(listItemsMax).nullable().default(null),
  time_windows: z.array(timeWindow).min(1).max(listItemsMax).nullable().default(null),
})

const notEnforced = z
  .never(
    'nats-server does not enforce this limit for users of an auth callout, so it would only look safe; use connections, or limits of the account',
  )
  .optional()

const limits = z.strictObject({
  connections: z.int().min(1).max(1_000_000).nullable().default(null),
  subs: notEnforced,
  data: notEnforced,
  payload: notEnforced,
})

/** One role as written. */
export const roleSchema = z.strictObject({
  account: z.string(),
  publish: rules.prefault({}),
  subscribe: rules.prefault({}),
  allow_responses: responses.default(null),
  ttl: duration({ minSeconds: 1, maxSeconds: daySeconds, limits: '1s to 24h' }).default(15 * 60),
  session: duration({ minSeconds: 0, maxSeconds: 30 * daySeconds, limits: '0 (a proof at each connection) to 30d' })
    .nullable()
    .default(null),
  plain_sessions: z.boolean().default(false),
  login_by_code: z.boolean().default(false),
  privileged: z.boolean().default(false),
  limits: limits.prefault({}),
  dangerously_allow_reserved_subjects: z.boolean().default(false),
  require: requirements.prefault({}),
})

const devicesMaxMax = 100

const personEnrolment = z.strictObject({
  attestation: z.enum(['none', 'direct', 'mds']).default(DEFAULT_PERSON_ENROLMENT.attestation),
  aaguids: z.array(aaguid).min(1).max(listItemsMax).nullable().default(null),
  device_bound: z.boolean().default(DEFAULT_PERSON_ENROLMENT.deviceBound),
  devices_max: z.int().min(1).max(devicesMaxMax).default(DEFAULT_PERSON_ENROLMENT.devicesMax),
  another_device: z.enum(['login', 'device']).default(DEFAULT_PERSON_ENROLMENT.anotherDevice),
})

export type RoleDocument = z.infer<typeof roleSchema>

/** The file around the roles, each of which is parsed by itself. */
export const policySchema = z.strictObject({
  version: z.literal(1),
  nats_server_min: z
    .string()
    .regex(/^[1-9][0-9]{0,2}\.(0|[1-9][0-9]{0,3})$/, 'write the oldest nats-server in use as "2.15", in quotes')
    .nullable()
    .default(null),
  enrolment: z.strictObject({ person: personEnrolment.prefault({}) }).prefault({}),
  roles: z.record(z.string(), z.unknown()),
})

/** Every key there is, for suggestions. */
export const POLICY_KEYS: readonly string[] = [
  ...Object.keys(policySchema.shape),
  ...Object.keys(roleSchema.shape),
  ...Object.keys(rules.shape),
  ...Object.keys(requirements.shape),
  ...Object.keys(personEnrolment.shape),
  'person',
  'connections',
  'max',
  'days',
  'from',
  'to',
  'timezone',
]
