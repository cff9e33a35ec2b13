/** Text of the file of legacy users → LegacyUsers, or everything that is wrong with it, each with its line (docs/migration.md). */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { utf8 } from '../encoding.ts'
import { type AccountName, legacyName, parseUserNkey, type UserNkey } from '../identifiers.ts'
import type { Permissions } from '../policy/policy.ts'
import { schemaIssues } from '../policy/policy-document.ts'
import { responses } from '../policy/policy-schema.ts'
import { subjectProblem, subscribeEntryProblem } from '../policy/subjects.ts'
import { isTemplateToken, subjectTokens } from '../policy/template.ts'
import { type DocumentIssue, type DocumentPath, parseYaml } from '../policy/yaml-document.ts'
import type { LegacySecret, LegacyUser, LegacyUsers } from './legacy-users.ts'

const fileBytesMax = 1024 * 1024
const usersMax = 10_000
const subjectsPerListMax = 500
/** bcrypt above 2^12 rounds would take the verifier most of a second for each new password. */
const hashPattern = /^\$2[aby]\$(0[4-9]|1[0-2])\$[./A-Za-z0-9]{53}$/

const hash = z.string().regex(hashPattern, 'write a bcrypt hash of cost 12 or less, never the secret itself')
const subjects = z.array(z.string()).max(subjectsPerListMax)
// To nats-server a list that is not there means everything; here it must be written.
const side = z.union(
  [subjects.transform((allow) => ({ allow, deny: [] as string[] })), z.strictObject({ allow: subjects, deny: subjects.default([]) })],
  { error: 'write a list of subjects, or allow and deny; ["\u003e"] allows everything' },
)
const permissions = z.strictObject(
  { publish: side, subscribe: side, allow_responses: responses.default(null) },
  {
    error: (issue) =>
      issue.code === 'invalid_type'
        ? 'write publish and subscribe: to nats-server a user without permissions may do everything'
        : undefined,
  },
)

/** One user as written: `own` is its name. */
interface RawUser {
  own: string
  account: string
  permissions: z.output<typeof permissions>
  secret: LegacySecret
}

const name = z.string().regex(/^[\x21-\x7e]{1,64}$/, 'write 1 to 64 printable characters without a space')
const user = z
  .strictObject({
    user: name.optional(),
    password: hash.optional(),
    name: name.optional(),
    token: hash.optional(),
    nkey: z
      .string()
      .transform((key, context) => {
        const nkey = parseUserNkey(key)
        if (nkey === null) context.addIssue('not a public user nkey (U…)')
        return nkey ?? z.NEVER
      })
      .optional(),
    account: z.string({ error: 'write the account' }),
    permissions: permissions,
  })
  .transform(({ user, password, name, token, nkey, ...rest }, context): RawUser => {
    const members = Object.entries({ user, password, name, token, nkey }).flatMap(([key, value]) => (value === undefined ? [] : [key]))
    if (user !== undefined && password !== undefined && members.length === 2)
      return { ...rest, own: user, secret: { kind: 'password', hash: password } }
    if (name !== undefined && token !== undefined && members.length === 2)
      return { ...rest, own: name, secret: { kind: 'token', hash: token } }
    if (name !== undefined && nkey !== undefined && members.length === 2) return { ...rest, own: name, secret: { kind: 'nkey', nkey } }
    context.addIssue('write user and password, or name and token, or name and nkey, and no two of these')
    return z.NEVER
  })
const fileSchema = z.strictObject({ users: z.array(user).max(usersMax) })

const KEYS = [
  'users',
  'user',
  'password',
  'name',
  'token',
  'nkey',
  'account',
  'permissions',
  'publish',
  'subscribe',
  'allow',
  'deny',
  'allow_responses',
  'max',
  'ttl',
]

/** Reads the file. `targetAccounts` are the accounts of the configuration that users may be put into. No issue tells a hash. */
export function parseLegacyUsers(
  text: string,
  { targetAccounts }: { targetAccounts: readonly AccountName[] },
): { ok: true; users: LegacyUsers } | { ok: false; issues: DocumentIssue[] } {
  const parsed = parseYaml(text, { bytesMax: fileBytesMax })
  if (!parsed.ok) return parsed
  const { document } = parsed
  const checked = fileSchema.safeParse(document.data)
  if (!checked.success) return { ok: false, issues: schemaIssues(document, [], checked.error.issues, KEYS) }
  const problems: Problem[] = checked.data.users.flatMap((raw, index) =>
    userProblems(raw, targetAccounts).map(({ path, message }) => ({ path: ['users', index, ...path], message })),
  )
  const made = collect(checked.data.users, targetAccounts)
  problems.push(...made.problems)
  if (problems.length > 0) {
    return { ok: false, issues: problems.map(({ path, message }) => ({ ...document.locate(path), path: '', message })) }
  }
  return { ok: true, users: { ...made.users, hash: createHash('sha256').update(utf8(text)).digest('hex') } }
}

interface Problem {
  path: DocumentPath
  message: string
}

function userProblems(raw: RawUser, targetAccounts: readonly AccountName[]): Problem[] {
  const problems: Problem[] = []
  if (!targetAccounts.some((account) => account === raw.account)) {
    problems.push({ path: ['account'], message: `"${raw.account}" is not among callout.accounts.targets` })
  }
  for (const [of, problem] of [
    ['publish', subjectProblem],
    ['subscribe', subscribeEntryProblem],
  ] as const) {
    for (const list of ['allow', 'deny'] as const) {
      for (const [index, entry] of raw.permissions[of][list].entries()) {
        const message = subjectTokens(entry).some(isTemplateToken) ? 'a legacy user has no templates' : problem(entry)
        if (message !== null) problems.push({ path: ['permissions', of, list, index], message })
      }
    }
  }
  return problems
}

/** The users by what they send; whoever would be found twice is a problem. */
function collect(
  raws: readonly RawUser[],
  targetAccounts: readonly AccountName[],
): { users: Omit<LegacyUsers, 'hash'>; problems: Problem[] } {
  const byPassword = new Map<string, LegacyUser & { secret: { kind: 'password' } }>()
  const byNkey = new Map<UserNkey, LegacyUser>()
  let byToken: LegacyUsers['byToken'] = null
  const names = new Set<string>()
  const problems: Problem[] = []
  for (const [index, { own, account: written, permissions, secret }] of raws.entries()) {
    const twice = (message: string) => problems.push({ path: ['users', index], message })
    if (names.has(own)) twice(`"${own}" stands here twice`)
    names.add(own)
    const account = targetAccounts.find((each) => each === written)
    if (account === undefined) continue
    const common = { name: legacyName(own), account, permissions: permissionsOf(permissions) }
    switch (secret.kind) {
      case 'password':
        byPassword.set(own, { ...common, secret })
        break
      case 'token':
        if (byToken !== null) twice('nats-server knows one token: a second one stands here')
        byToken = { ...common, secret }
        break
      case 'nkey':
        if (byNkey.has(secret.nkey)) twice('this nkey stands here twice')
        byNkey.set(secret.nkey, { ...common, secret })
        break
    }
  }
  return { users: { byPassword, byNkey, byToken, count: raws.length }, problems }
}

function permissionsOf(given: RawUser['permissions']): Permissions {
  return { publish: given.publish, subscribe: given.subscribe, responses: given.allow_responses }
}
