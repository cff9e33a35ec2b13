/** Policy tests: cases in YAML, each an identity on a connection and what it must and must not be able to do. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { DENIALS } from '../denial.ts'
import { type Handle, parseHandle, parseRoleName, type RoleName } from '../identifiers.ts'
import { hypotheticalDevice, hypotheticalSubject } from './hypothetical-connection.ts'
import { judgePublish, judgeSubscribe } from './permission-check.ts'
import type { Permissions, Policy } from './policy.ts'
import { schemaIssues } from './policy-document.ts'
import { duration } from './policy-schema.ts'
import { resolveGrant } from './resolve.ts'
import { isLiteral, subjectProblem, subscribeEntryProblem, subscribePattern } from './subjects.ts'
import { type DocumentIssue, parseYaml } from './yaml-document.ts'

const casesBytesMax = 256 * 1024
const casesMax = 1000
const listMax = 200
const yearSeconds = 365 * 24 * 3600

const handle = z
  .string()
  .refine((text) => parseHandle(text) !== null, 'not a handle: 1 to 64 of a-z 0-9 _ -')
  .transform((text) => text as Handle)
const roleName = z
  .string()
  .refine((text) => parseRoleName(text) !== null, 'not the name of a role')
  .transform((text) => text as RoleName)
const heldRole = z.union([
  roleName.transform((name) => ({ name, ageSeconds: null })),
  z
    .strictObject({ name: roleName, age: duration({ minSeconds: 0, maxSeconds: yearSeconds, limits: 'up to 365d' }) })
    .transform(({ name, age }) => ({ name, ageSeconds: age })),
])
const subject = z.string().max(300)

const caseSchema = z.strictObject({
  name: z.string().min(1).max(200),
  identity: z.strictObject({
    class: z.enum(['person', 'machine']),
    handle: handle.prefault('someone'),
    roles: z.array(heldRole).max(listMax),
    claims: z.record(z.string(), z.string()).default({}),
  }),
  connection: z
    .strictObject({
      user_verified: z.boolean().default(false),
      device_bound: z.boolean().default(false),
      aaguid: z.string().default('00000000-0000-0000-0000-000000000000'),
      attestation: z.enum(['none', 'attested', 'mds']).default('none'),
      approved: z.boolean().default(false),
      by_code: z.boolean().default(false),
      client_type: z.enum(['nats', 'websocket']).default('nats'),
      source: z
        .string()
        .refine((text) => isIP(text) !== 0, 'not an IP address')
        .nullable()
        .default(null),
      roles_max_age: duration({ minSeconds: 1, maxSeconds: yearSeconds, limits: '1s to 365d' }).default(24 * 3600),
      at: z.iso.datetime({ offset: true, error: 'write a moment as "2026-03-04T12:00:00Z", in quotes' }).nullable().default(null),
    })
    .prefault({}),
  account: z.string().nullable().default(null),
  publish: z
    .strictObject({ allowed: z.array(subject).max(listMax).default([]), denied: z.array(subject).max(listMax).default([]) })
    .prefault({}),
  subscribe: z
    .strictObject({
      allowed: z.array(subject).max(listMax).default([]),
      filtered: z.array(subject).max(listMax).default([]),
      denied: z.array(subject).max(listMax).default([]),
    })
    .prefault({}),
  denial: z
    .enum(Object.keys(DENIALS) as [keyof typeof DENIALS])
    .nullable()
    .default(null),
})

const fileSchema = z.strictObject({ version: z.literal(1), cases: z.array(caseSchema).min(1).max(casesMax) })
const KEYS = [
  ...Object.keys(fileSchema.shape),
  ...Object.keys(caseSchema.shape),
  'class',
  'handle',
  'roles',
  'claims',
  'user_verified',
  'device_bound',
  'aaguid',
  'attestation',
  'approved',
  'by_code',
  'client_type',
  'source',
  'roles_max_age',
  'at',
  'allowed',
  'denied',
  'filtered',
  'age',
]

export type PolicyCase = z.infer<typeof caseSchema> & { line: number }

export interface CaseResult {
  name: string
  line: number
  passed: boolean
  /** One sentence for each expectation that was not met. */
  failures: string[]
}

/** Parses a file of cases, or says what is wrong with it. */
export function parsePolicyCases(text: string): { ok: true; cases: PolicyCase[] } | { ok: false; issues: DocumentIssue[] } {
  const parsed = parseYaml(text, { bytesMax: casesBytesMax })
  if (!parsed.ok) return parsed
  const { document } = parsed
  const file = fileSchema.safeParse(document.data)
  if (!file.success) return { ok: false, issues: schemaIssues(document, [], file.error.issues, KEYS) }
  return { ok: true, cases: file.data.cases.map((one, i) => ({ ...one, line: document.locate(['cases', i]).line })) }
}

/** Runs the cases against the policy; `now` is the moment of those that name none. */
export function runPolicyCases(policy: Policy, cases: readonly PolicyCase[], now: Date): CaseResult[] {
  return cases.map((one) => {
    const failures = runCase(policy, one, now)
    return { name: one.name, line: one.line, passed: failures.length === 0, failures }
  })
}

function runCase(policy: Policy, one: PolicyCase, now: Date): string[] {
  const { identity, connection } = one
  const resolved = resolveGrant(
    policy,
    hypotheticalSubject({
      handle: identity.handle,
      class: identity.class,
      roles: identity.roles,
      claims: identity.claims,
      userVerified: connection.user_verified,
      deviceBound: connection.device_bound,
      aaguid: connection.aaguid.toLowerCase(),
      attestation: connection.attestation,
      approved: connection.approved,
      byCode: connection.by_code,
      clientType: connection.client_type,
      sourceAddress: connection.source,
      rolesMaxAgeSeconds: connection.roles_max_age,
      now: connection.at === null ? now : new Date(connection.at),
    }),
  )
  if (!resolved.ok) return resolved.denial === one.denial ? [] : [`denied with ${resolved.denial}, expected ${one.denial ?? 'a grant'}`]
  if (one.denial !== null) return [`granted, expected the denial ${one.denial}`]
  const { account, permissions } = resolved.value
  const failures = one.account === null || one.account === account ? [] : [`account ${account}, expected ${one.account}`]
  return [...failures, ...subjectFailures(one, permissions)]
}

function subjectFailures({ identity, publish, subscribe }: PolicyCase, permissions: Permissions): string[] {
  const named = (entry: string) => entry.replaceAll('{{user}}', identity.handle).replaceAll('{{device}}', hypotheticalDevice())
  const failures: string[] = []
  for (const expected of ['allowed', 'denied'] as const) {
    for (const entry of publish[expected].map(named)) {
      const problem = subjectProblem(entry) ?? (isLiteral(entry) ? null : 'nobody publishes to a wildcard')
      const { verdict } = judgePublish(permissions, entry)
      if (problem !== null) failures.push(`publish "${entry}": ${problem}`)
      else if (verdict !== expected) failures.push(`publish "${entry}" is ${verdict}, expected ${expected}`)
    }
  }
  for (const expected of ['allowed', 'filtered', 'denied'] as const) {
    for (const entry of subscribe[expected].map(named)) {
      const problem = subscribeEntryProblem(entry)
      const { verdict } = judgeSubscribe(permissions, subscribePattern(entry))
      if (problem !== null) failures.push(`subscribe "${entry}": ${problem}`)
      else if (verdict !== expected) failures.push(`subscribe "${entry}" is ${verdict}, expected ${expected}`)
    }
  }
  return failures
}
