/** What `policy lint|test|explain|diff` do: data to `out`, messages to `say`, and the exit code. */
import { readFile, stat } from 'node:fs/promises'
import { fromUtf8 } from '../core/encoding.ts'
import { type HypotheticalConnection, hypotheticalSubject } from '../core/policy/hypothetical-connection.ts'
import { diffPersonEnrolment, diffPolicies, type ReachChange, type RoleDiff, type SettingChange } from '../core/policy/policy-diff.ts'
import { type ParsedPolicy, type PolicyOptions, parsePolicy } from '../core/policy/policy-document.ts'
import { type Explanation, explainPolicy, type RoleExplanation } from '../core/policy/policy-explain.ts'
import { lintPolicy } from '../core/policy/policy-lint.ts'
import { parsePolicyCases, runPolicyCases } from '../core/policy/policy-test.ts'
import { isLiteral, subjectProblem, subscribeEntryProblem } from '../core/policy/subjects.ts'
import type { DocumentIssue } from '../core/policy/yaml-document.ts'
import type { CommandIo } from './command.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'

const fileBytesMax = 256 * 1024

interface Output {
  io: Pick<CommandIo, 'out' | 'say'>
  json: boolean
}

/** What every one of these commands takes: the accounts that roles may name, and where to write. */
export interface PolicyCommand extends PolicyOptions, Output {}

/** Exit 0: valid, whatever the notices; 1: not valid, or warnings under `strict`; 78: cannot be read. */
export async function policyLint(options: PolicyCommand & { file: string; strict: boolean }): Promise<ExitCode> {
  const text = await readText(options.file, options)
  if (text === null) return EXIT.configInvalid
  const parsed = parsePolicy(text, options)
  const findings = parsed.ok
    ? lintPolicy(parsed)
    : parsed.issues.map((issue) => ({ rule: 'invalid' as const, severity: 'error' as const, ...issue }))
  const failed = !parsed.ok || (options.strict && findings.some(({ severity }) => severity === 'warning'))
  if (options.json) {
    writeJson(options, { file: options.file, valid: parsed.ok, hash: parsed.ok ? parsed.policy.hash : null, findings })
  } else {
    for (const { line, column, severity, rule, path, message } of findings) {
      options.io.out(`${options.file}:${line}:${column}: ${severity} ${rule}: ${path === '' ? '' : `${path}: `}${message}`)
    }
    options.io.say(
      parsed.ok ? `${options.file}: valid, ${parsed.policy.roles.size} roles, ${findings.length} findings` : `${options.file}: not valid`,
    )
  }
  return failed ? EXIT.refused : EXIT.ok
}

/** Exit 0: every case passed; 1: some failed; 78: the policy or the cases are not valid. */
export async function policyTest(options: PolicyCommand & { file: string; cases: readonly string[]; now: Date }): Promise<ExitCode> {
  const parsed = await readPolicy(options.file, options)
  if (parsed === null) return EXIT.configInvalid
  let failed = 0
  let run = 0
  for (const file of options.cases) {
    const text = await readText(file, options)
    if (text === null) return EXIT.configInvalid
    const cases = parsePolicyCases(text)
    if (!cases.ok) return refuse(file, cases.issues, options)
    const results = runPolicyCases(parsed.policy, cases.cases, options.now)
    run += results.length
    failed += results.filter(({ passed }) => !passed).length
    for (const result of results) {
      if (options.json) writeJson(options, { file, ...result })
      else {
        options.io.out(`${result.passed ? 'ok' : 'not ok'} ${file}:${result.line}: ${result.name}`)
        for (const failure of result.failures) options.io.out(`  ${failure}`)
      }
    }
  }
  options.io.say(`${run} cases, ${failed} failed`)
  return failed > 0 ? EXIT.refused : EXIT.ok
}

/** Exit 0: granted and every asked subject allowed; 1: refused; 2: a subject is none; 78: the policy is not valid. */
export async function policyExplain(
  options: PolicyCommand & { file: string; connection: HypotheticalConnection; publish: readonly string[]; subscribe: readonly string[] },
): Promise<ExitCode> {
  const { connection, publish, subscribe } = options
  const problem =
    publish
      .map((entry) => subjectProblem(entry) ?? (isLiteral(entry) ? null : 'nobody publishes to a wildcard'))
      .find((found) => found !== null) ?? subscribe.map(subscribeEntryProblem).find((found) => found !== null)
  if (problem !== undefined && problem !== null) {
    options.io.say(problem)
    return EXIT.usage
  }
  const parsed = await readPolicy(options.file, options)
  if (parsed === null) return EXIT.configInvalid
  const explanation = explainPolicy(parsed.policy, hypotheticalSubject(connection), { publish, subscribe })
  if (options.json) writeJson(options, explanation)
  else for (const line of explanationLines(explanation)) options.io.out(line)
  const refused = !explanation.result.granted || explanation.subjects.some(({ verdict }) => verdict === 'denied')
  return refused ? EXIT.refused : EXIT.ok
}

/** Exit 0: they mean the same; 1: they differ; 78: one of them is not valid. */
export async function policyDiff(options: PolicyCommand & { before: string; after: string }): Promise<ExitCode> {
  const before = await readPolicy(options.before, options)
  const after = await readPolicy(options.after, options)
  if (before === null || after === null) return EXIT.configInvalid
  const diffs = diffPolicies(before.policy, after.policy)
  for (const diff of diffs) {
    if (options.json) writeJson(options, diff)
    else for (const line of diffLines(diff)) options.io.out(line)
  }
  const enrolment = diffPersonEnrolment(before.policy, after.policy)
  if (enrolment.length > 0) {
    if (options.json) writeJson(options, { enrolment: 'person', settings: enrolment })
    else for (const line of ['enrolment of people: changed', ...enrolment.map(settingLine)]) options.io.out(line)
  }
  return diffs.length + enrolment.length > 0 ? EXIT.refused : EXIT.ok
}

async function readText(file: string, { io }: Output): Promise<string | null> {
  try {
    const info = await stat(file)
    const text = info.isFile() && info.size <= fileBytesMax ? fromUtf8(await readFile(file)) : null
    if (text === null) io.say(`${file}: not a UTF-8 file of at most ${fileBytesMax} bytes`)
    return text
  } catch (error) {
    io.say(`${file}: ${error instanceof Error && 'code' in error ? String(error.code) : 'cannot be read'}`)
    return null
  }
}

async function readPolicy(file: string, options: PolicyCommand): Promise<ParsedPolicy | null> {
  const text = await readText(file, options)
  if (text === null) return null
  const parsed = parsePolicy(text, options)
  if (parsed.ok) return parsed
  refuse(file, parsed.issues, options)
  return null
}

function refuse(file: string, issues: readonly DocumentIssue[], { io }: Output): ExitCode {
  for (const { line, column, path, message } of issues) io.say(`${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`)
  return EXIT.configInvalid
}

function writeJson({ io }: Output, value: unknown): void {
  io.out(JSON.stringify(value))
}

function explanationLines({ roles, result, subjects }: Explanation): string[] {
  const lines = roles.map((role) => `role ${role.role}: ${roleText(role)}`)
  if (!result.granted) return [...lines, `denied: ${result.denial}`]
  const { grant } = result
  const entries = (name: string, list: readonly string[]) => list.map((entry) => `  ${name} ${entry}`)
  lines.push(
    `granted: account ${grant.account}, ttl ${grant.ttlSeconds}s, session ${grant.sessionSeconds}s`,
    ...entries('publish allow', grant.permissions.publish.allow),
    ...entries('publish deny', grant.permissions.publish.deny),
    ...entries('subscribe allow', grant.permissions.subscribe.allow),
    ...entries('subscribe deny', grant.permissions.subscribe.deny),
  )
  for (const { action, subject, verdict, because } of subjects) {
    const why = because.map(({ role, list, entry }) => `${list} "${entry}" of ${role ?? 'the service itself'}`).join(', ')
    lines.push(`${action} ${subject}: ${verdict}, ${why === '' ? 'no role allows it' : why}`)
  }
  return lines
}

function roleText(role: RoleExplanation): string {
  switch (role.status) {
    case 'contributes':
      return 'contributes'
    case 'unknown':
      return 'not in the policy'
    case 'stale':
      return 'confirmed too long ago: gives its denies only'
    case 'unmet':
      return `requires ${role.unmet.join(', ')}: gives its denies only`
  }
}

function diffLines({ role, change, gained, lost, settings }: RoleDiff): string[] {
  const reach = (sign: string, changes: readonly ReachChange[], words: { allow: string; deny: string }) =>
    changes.map(({ side, list, entry }) => `  ${sign} ${side} ${entry} (${words[list]})`)
  return [
    `role ${role}: ${change}`,
    ...reach('+', gained, { allow: 'allowed', deny: 'no longer denied' }),
    ...reach('-', lost, { allow: 'no longer allowed', deny: 'denied' }),
    ...settings.map(settingLine),
  ]
}

function settingLine({ name, from, to }: SettingChange): string {
  return `  ~ ${name}: ${JSON.stringify(from)} → ${JSON.stringify(to)}`
}
