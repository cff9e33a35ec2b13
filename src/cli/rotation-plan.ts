/** What a rotation changes in the files of a deployment: worked out first, so that it can be shown, then done. */
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createAccount, createCurve, createUser, type KeyPair } from 'nkeys.js'
import type { Config } from '../config.ts'
import { publicKeyOf } from './deployment-files.ts'
import { addUserBeside, removeUserBeside } from './server-conf-users.ts'

export const ROTATING_KEYS = ['issuer', 'auth', 'audit', 'system', 'admin', 'auditor'] as const
export type RotatingKey = (typeof ROTATING_KEYS)[number]

/** One seed that is replaced. `isUser`: nats-server can know the old and the next one at once. */
interface Seed {
  file: string
  next: string
  /** What nats-server.conf calls the public key. */
  variable: string
  isUser: boolean
  make(): KeyPair
}

export type FileChange = { action: 'create' | 'edit'; path: string; text: string } | { action: 'move'; path: string; to: string }

export interface RotationPlan {
  changes: FileChange[]
  /** Why nothing can be done; then there are no changes. */
  problems: string[]
}

/** The files of nats-server, beside the configuration of the verifier. */
export interface ServerFiles {
  conf: string
  keysConf: string
}

function serverFiles(config: Config): ServerFiles {
  const dir = dirname(config.file)
  return { conf: join(dir, 'nats-server.conf'), keysConf: join(dir, 'nats-server.keys.conf') }
}

/** The seeds of these keys; issuer and xkey go together, because the xkey of a request tells which issuer its server knows. */
export function seedsOf(keys: readonly RotatingKey[], config: Config): { seeds: Seed[]; problems: string[] } {
  const { callout, nats, admin, auditor } = config
  const seeds: Seed[] = []
  const problems: string[] = []
  const user = (file: string | undefined, variable: string, setting: string) => {
    if (file === undefined) problems.push(`nats-webauthn.yaml names no ${setting}`)
    else seeds.push({ file, next: nextOf(file), variable, isUser: true, make: createUser })
  }
  for (const key of keys) {
    switch (key) {
      case 'issuer':
        seeds.push({
          file: callout.issuerSeedFile,
          next: callout.next?.issuerSeedFile ?? nextOf(callout.issuerSeedFile),
          variable: 'ISSUER',
          isUser: false,
          make: createAccount,
        })
        if (callout.xkeySeedFile === null) break
        seeds.push({
          file: callout.xkeySeedFile,
          next: callout.next?.xkeySeedFile ?? nextOf(callout.xkeySeedFile),
          variable: 'XKEY',
          isUser: false,
          make: createCurve,
        })
        break
      case 'auth':
        user(nats.seedFiles.auth, 'VERIFIER_AUTH', 'nats.auth_seed_file')
        break
      case 'audit':
        user(nats.seedFiles.audit, 'VERIFIER_AUDIT', 'nats.audit_seed_file')
        break
      case 'system':
        user(nats.seedFiles.system, 'VERIFIER_SYS', 'nats.system_seed_file')
        break
      case 'admin':
        user(admin?.seedFile, 'ADMIN', 'admin.seed_file')
        break
      case 'auditor':
        user(auditor?.seedFile, 'AUDITOR', 'auditor.seed_file')
        break
    }
  }
  return { seeds, problems }
}

/** The keys whose next seed is there. */
export function rotating(config: Config): RotatingKey[] {
  return ROTATING_KEYS.filter((key) => {
    const { seeds, problems } = seedsOf([key], config)
    return problems.length === 0 && seeds.some(({ next }) => existsSync(next))
  })
}

const NO_NEXT =
  'nats-webauthn.yaml names no next_issuer_seed_file and next_xkey_seed_file, or says `xkey: none`: only `rotate replace issuer` is possible'

/** What every change of keys starts from: their seeds, the server's files as they are, and why it may not begin. */
function rotated(keys: readonly RotatingKey[], config: Config) {
  const { seeds, problems } = seedsOf(keys, config)
  const files = serverFiles(config)
  const before = readServerFiles(files)
  if (before === null) problems.push(`${files.conf} and ${files.keysConf} are not both there`)
  return { seeds, problems, files, before }
}

/** The next seeds, and a nats-server that knows them: users beside the old ones, issuer and xkey instead of them. */
export function planBegin(keys: readonly RotatingKey[], config: Config): RotationPlan {
  const { seeds, problems, files, before } = rotated(keys, config)
  const { next: nextFiles, xkeySeedFile } = config.callout
  if (keys.includes('issuer') && (nextFiles === null || xkeySeedFile === null)) problems.push(NO_NEXT)
  if (problems.length > 0 || before === null) return { changes: [], problems }
  const after = { ...before }
  const changes: FileChange[] = []
  for (const { next, variable, isUser, make } of seeds) {
    const pair = existsSync(next) ? null : make()
    if (pair !== null) changes.push({ action: 'create', path: next, text: seedText(pair) })
    const publicKey = pair?.getPublicKey() ?? publicKeyOf(next)
    const beside = isUser ? `${variable}_NEXT` : variable
    if (!hasVariable(after.keysConf, variable)) problems.push(`${files.keysConf} has no ${variable}`)
    after.keysConf = withVariable(after.keysConf, beside, publicKey)
    const conf = isUser ? addUserBeside(after.conf, { name: variable, beside }) : after.conf
    if (conf === null) problems.push(`${files.conf} has no user { nkey: $${variable} … } that is in auth_users`)
    else after.conf = conf
  }
  if (problems.length > 0) return { changes: [], problems }
  return { changes: [...changes, ...edits(files, before, after)], problems }
}

/** The next seeds in the place of the old ones, and a nats-server that knows the old users no more. */
export function planFinish(config: Config): RotationPlan {
  const { seeds, problems } = seedsOf(rotating(config), config)
  const files = serverFiles(config)
  const before = readServerFiles(files)
  if (before === null) return { changes: [], problems: [`${files.conf} and ${files.keysConf} are not both there`] }
  const after = { ...before }
  const changes: FileChange[] = []
  for (const { file, next, variable, isUser } of seeds) {
    if (!existsSync(next)) continue
    after.keysConf = withVariable(withoutVariable(after.keysConf, `${variable}_NEXT`), variable, publicKeyOf(next))
    if (isUser) after.conf = removeUserBeside(after.conf, `${variable}_NEXT`)
    changes.push(...moveAside(file, problems), { action: 'move', path: next, to: file })
  }
  return problems.length > 0 ? { changes: [], problems } : { changes: [...edits(files, before, after), ...changes], problems }
}

/** New seeds in the place of the old ones at once: for one that somebody else has. */
export function planReplace(keys: readonly RotatingKey[], config: Config): RotationPlan {
  const { seeds, problems, files, before } = rotated(keys, config)
  if (problems.length > 0 || before === null) return { changes: [], problems }
  const after = { ...before }
  const changes: FileChange[] = []
  for (const { file, next, variable, make } of seeds) {
    if (existsSync(next)) problems.push(`${next} is there: finish that rotation first`)
    if (!hasVariable(after.keysConf, variable)) problems.push(`${files.keysConf} has no ${variable}`)
    const pair = make()
    after.keysConf = withVariable(after.keysConf, variable, pair.getPublicKey())
    changes.push(...moveAside(file, problems), { action: 'create', path: file, text: seedText(pair) })
  }
  return problems.length > 0 ? { changes: [], problems } : { changes: [...edits(files, before, after), ...changes], problems }
}

/** Does what was planned. What is edited stays beside it as `.bak`. */
export function carryOut({ changes }: RotationPlan): void {
  for (const change of changes) {
    switch (change.action) {
      case 'create':
        writeFileSync(change.path, change.text, { mode: 0o600, flag: 'wx' })
        break
      case 'edit': {
        copyFileSync(change.path, `${change.path}.bak`)
        // Renamed into place: nats-server never reads half of it.
        const part = `${change.path}.part`
        rmSync(part, { force: true })
        writeFileSync(part, change.text, { mode: 0o644, flag: 'wx' })
        renameSync(part, change.path)
        break
      }
      case 'move':
        renameSync(change.path, change.to)
        break
    }
  }
}

/** `keys/verifier/auth.seed` → `keys/verifier/auth.next.seed`. */
function nextOf(file: string): string {
  return `${file.replace(/\.seed$/, '')}.next.seed`
}

function oldOf(file: string): string {
  return `${file.replace(/\.seed$/, '')}.old.seed`
}

// A rotation that was interrupted has moved the seed aside already.
function moveAside(file: string, problems: string[]): FileChange[] {
  if (!existsSync(file)) return []
  if (existsSync(oldOf(file))) problems.push(`${oldOf(file)} is there: destroy the seed of the rotation before`)
  return [{ action: 'move', path: file, to: oldOf(file) }]
}

function readServerFiles({ conf, keysConf }: ServerFiles): ServerFiles | null {
  if (!existsSync(conf) || !existsSync(keysConf)) return null
  return { conf: readFileSync(conf, 'utf8'), keysConf: readFileSync(keysConf, 'utf8') }
}

function edits(files: ServerFiles, before: ServerFiles, after: ServerFiles): FileChange[] {
  return (['keysConf', 'conf'] as const).flatMap((name) =>
    before[name] === after[name] ? [] : [{ action: 'edit' as const, path: files[name], text: after[name] }],
  )
}

function line(name: string): RegExp {
  return new RegExp(`^${name}\\s*[:=].*\\n?`, 'm')
}

function hasVariable(text: string, name: string): boolean {
  return line(name).test(text)
}

function withVariable(text: string, name: string, publicKey: string): string {
  const wanted = `${name}: "${publicKey}"\n`
  if (hasVariable(text, name)) return text.replace(line(name), wanted)
  return `${text.replace(/\n?$/, '\n')}${wanted}`
}

function withoutVariable(text: string, name: string): string {
  return text.replace(line(name), '')
}

function seedText(pair: KeyPair): string {
  return `${new TextDecoder().decode(pair.getSeed())}\n`
}
