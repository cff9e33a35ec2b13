/** Text of policy.yaml → Policy, or everything that is wrong with it, each with its line (docs/policy.md). */
import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { utf8 } from '../encoding.ts'
import { type AccountName, parseAccountName, parseRoleName, type RoleName } from '../identifiers.ts'
import { editDistance } from './edit-distance.ts'
import type { PersonEnrolment, Policy, Role } from './policy.ts'
import { type AccountRules, type NamedRole, type RuleProblem, reservedReach, roleProblems, unenforceable } from './policy-rules.ts'
import { POLICY_KEYS, policySchema, type RoleDocument, roleSchema } from './policy-schema.ts'
import { prepareRoles } from './resolve.ts'
import { type DocumentIssue, type DocumentPath, parseYaml, pathText, type YamlDocument } from './yaml-document.ts'

const policyBytesMax = 256 * 1024
const rolesMax = 1000
// Each is searched for in the file: of a file that is nothing but unknown keys, not all are named.
const unknownKeysToldMax = 100

export interface PolicyOptions extends AccountRules {
  /** Accounts of config mode that roles may name. */
  targetAccounts: readonly AccountName[]
  /** Accounts that no role may name, beside AUTH, AUDIT, SYS and $SYS. */
  reservedAccounts: readonly string[]
}

export type PolicyIssue = DocumentIssue

export interface ParsedPolicy {
  ok: true
  policy: Policy
  warnings: PolicyIssue[]
  /** The oldest nats-server that the policy relies on, like "2.15", or null for the oldest supported one. */
  natsServerMin: string | null
  /** Line and column of a value in the file. */
  locate(path: DocumentPath): { line: number; column: number }
}

/** Parses and validates a policy. `policy.hash` is the SHA-256 of the text's UTF-8 bytes. */
export function parsePolicy(text: string, options: PolicyOptions): ParsedPolicy | { ok: false; issues: PolicyIssue[] } {
  const parsed = parseYaml(text, { bytesMax: policyBytesMax })
  if (!parsed.ok) return parsed
  const { document } = parsed
  const top = policySchema.safeParse(document.data)
  if (!top.success) return { ok: false, issues: schemaIssues(document, [], top.error.issues) }
  const names = Object.keys(top.data.roles)
  if (names.length > rolesMax) return refused(document, [{ path: ['roles'], message: `the policy has more than ${rolesMax} roles` }])

  const issues: PolicyIssue[] = []
  const named: NamedRole[] = []
  for (const name of names) {
    const path = ['roles', name]
    if (parseRoleName(name) === null)
      issues.push({ ...document.locateKey(path), path: 'roles', message: 'a role is named with 1 to 64 of A-Z a-z 0-9 _ -' })
    const role = roleSchema.safeParse(top.data.roles[name])
    if (!role.success) issues.push(...schemaIssues(document, path, role.error.issues))
    else named.push({ name, role: role.data })
  }
  const below = (name: string, problems: RuleProblem[]) =>
    problems.map((problem) => ({ ...problem, path: ['roles', name, ...problem.path] }))
  issues.push(
    ...located(
      document,
      named.flatMap((role) => below(role.name, roleProblems(role, options))),
    ),
  )
  if (issues.length > 0) return { ok: false, issues }
  const gaps = unenforceable(named, top.data.nats_server_min)
  if (gaps.length > 0) return refused(document, gaps)

  const roles = new Map(named.map(({ name, role }) => [branded(name, parseRoleName), buildRole(name, role)]))
  const { person } = top.data.enrolment
  const personEnrolment: PersonEnrolment = {
    attestation: person.attestation,
    aaguids: person.aaguids,
    deviceBound: person.device_bound,
    devicesMax: person.devices_max,
    anotherDevice: person.another_device,
  }
  const policy: Policy = { roles, personEnrolment, hash: createHash('sha256').update(utf8(text)).digest('hex') }
  prepareRoles(policy)
  const warnings = located(
    document,
    named.flatMap((role) => below(role.name, reservedReach(role))),
  )
  return { ok: true, policy, warnings, natsServerMin: top.data.nats_server_min, locate: document.locate }
}

function buildRole(name: string, role: RoleDocument): Role {
  const { require } = role
  return {
    name: branded<RoleName>(name, parseRoleName),
    account: branded<AccountName>(role.account, parseAccountName),
    publish: role.publish,
    subscribe: role.subscribe,
    allowResponses: role.allow_responses,
    ttlSeconds: role.ttl,
    sessionSeconds: role.session,
    plainSessions: role.plain_sessions,
    loginByCode: role.login_by_code,
    privileged: role.privileged,
    limits: { connections: role.limits.connections },
    require: {
      class: require.class,
      userVerification: require.user_verification,
      deviceBound: require.device_bound,
      aaguids: require.aaguids,
      attestation: require.attestation,
      approval: require.approval,
      clientTypes: require.client_types,
      sourceCidrs: require.source_cidrs,
      timeWindows: require.time_windows,
    },
  }
}

// Runs on values that were checked already, so a refusal here is a defect.
function branded<T>(text: string, parse: (text: string) => T | null): T {
  const value = parse(text)
  if (value === null) throw new Error('building a role of the policy')
  return value
}

function refused(document: YamlDocument, problems: RuleProblem[]): { ok: false; issues: PolicyIssue[] } {
  return { ok: false, issues: located(document, problems) }
}

function located(document: YamlDocument, problems: readonly RuleProblem[]): PolicyIssue[] {
  return problems.map(({ path, message }) => ({ ...document.locate(path), path: pathText(path), message }))
}

/** What the schema found, in our words, at the line it is about. */
export function schemaIssues(
  document: YamlDocument,
  base: DocumentPath,
  issues: readonly z.core.$ZodIssue[],
  keys: readonly string[] = POLICY_KEYS,
): PolicyIssue[] {
  return issues.flatMap((issue): PolicyIssue[] => {
    const path = [...base, ...issue.path.filter((part) => typeof part !== 'symbol')]
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.slice(0, unknownKeysToldMax).map((key) => {
        const at = [...path, key]
        const near = nearest(key, keys)
        return {
          ...document.locateKey(at),
          path: pathText(at),
          message: `unknown key "${key}"${near === null ? '' : `: did you mean "${near}"?`}`,
        }
      })
    }
    // A union says only that nothing fitted; what the closest branch says is of more use.
    const inner =
      issue.code === 'invalid_union' ? issue.errors.find((branch) => branch.some(({ path: deep }) => deep.length > 0)) : undefined
    if (inner !== undefined) return schemaIssues(document, path, inner, keys)
    return [{ ...document.locate(path), path: pathText(path), message: issue.message.slice(0, 200) }]
  })
}

/** The known key that differs least from what was written, if it differs by no more than a slip. */
function nearest(key: string, keys: readonly string[]): string | null {
  const slipsMax = 3
  let best: { key: string; slips: number } | null = null
  for (const known of keys) {
    const slips = editDistance(key.slice(0, 40).toLowerCase().replaceAll('-', '_'), known)
    if (slips <= Math.min(slipsMax, known.length / 2) && (best === null || slips < best.slips)) best = { key: known, slips }
  }
  return best?.key ?? null
}
