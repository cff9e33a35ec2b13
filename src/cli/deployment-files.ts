/** What `init` writes: keys made here, and files copied from the package. Nothing that exists is ever touched. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import bcrypt from 'bcryptjs'
import { createAccount, createCurve, createUser, fromCurveSeed, fromSeed, type KeyPair } from 'nkeys.js'
import { readSecretFile } from '../config.ts'
import { writeBreakGlass } from './break-glass-files.ts'

/** The package's own directory, from src/cli and from dist/cli alike. */
const packageRoot = new URL('../../', import.meta.url)

export interface WrittenFile {
  /** Relative to the deployment's directory. */
  path: string
  action: 'written' | 'kept'
}

interface KeyFile {
  file: string
  /** What nats-server.conf calls the public key. */
  variable: string
  make(): KeyPair
}

/** Every key of a deployment, a seed file each in keys/; what the verifier needs is in keys/verifier/, and no more. */
export const KEY_FILES: readonly KeyFile[] = [
  { file: 'verifier/auth.seed', variable: 'VERIFIER_AUTH', make: createUser },
  { file: 'verifier/audit.seed', variable: 'VERIFIER_AUDIT', make: createUser },
  { file: 'verifier/system.seed', variable: 'VERIFIER_SYS', make: createUser },
  { file: 'admin.seed', variable: 'ADMIN', make: createUser },
  { file: 'auditor.seed', variable: 'AUDITOR', make: createUser },
  { file: 'verifier/issuer.seed', variable: 'ISSUER', make: createAccount },
  { file: 'verifier/xkey.seed', variable: 'XKEY', make: createCurve },
]

/** Files copied as they are: where they go, and where they stand in the package. */
export const COPIED_FILES = {
  'nats-server.conf': 'nats-server.conf',
  'docker-compose.yml': 'docker-compose.yml',
  'deploy/prometheus/prometheus.yml': 'deploy/prometheus/prometheus.yml',
  'deploy/prometheus/alerts.yml': 'deploy/prometheus/alerts.yml',
  'nats-webauthn.yaml': 'deploy/init/nats-webauthn.yaml',
  'policy.yaml': 'deploy/init/policy.yaml',
} as const

const METRICS_USER = 'prometheus'
const bcryptRounds = 10

/** Writes what is missing in `dir`. `conflict`: the public keys there are not those of the seeds. */
export function writeDeployment(dir: string): { files: WrittenFile[]; conflict: boolean } {
  mkdirSync(join(dir, 'keys/verifier'), { recursive: true, mode: 0o700 })
  // Made here so that it belongs to whoever runs nats-server, also where a container engine mounts it.
  mkdirSync(join(dir, 'data'), { recursive: true, mode: 0o700 })
  const files: WrittenFile[] = []
  const write = (path: string, text: () => string, mode: number): void => {
    files.push({ path, action: writeNew(join(dir, path), text, mode) })
  }
  for (const { file, make } of KEY_FILES) write(`keys/${file}`, () => seedText(make()), 0o600)
  const publicKeys = KEY_FILES.map(({ file, variable }) => `${variable}: "${publicKeyOf(join(dir, 'keys', file))}"\n`).join('')
  write('nats-server.keys.conf', () => `# Public keys, made from the seeds in keys/. No secrets.\n${publicKeys}`, 0o644)
  writeBreakGlass(dir, write)
  write('keys/metrics.password', () => randomBytes(24).toString('base64url'), 0o600)
  write(
    'keys/verifier/metrics.users',
    () => `${METRICS_USER}:${bcrypt.hashSync(readSecretFile(join(dir, 'keys/metrics.password')), bcryptRounds)}\n`,
    0o600,
  )
  for (const [path, source] of Object.entries(COPIED_FILES)) write(path, () => readFileSync(new URL(source, packageRoot), 'utf8'), 0o644)
  const conflict = !readFileSync(join(dir, 'nats-server.keys.conf'), 'utf8').includes(publicKeys)
  return { files, conflict }
}

function writeNew(path: string, text: () => string, mode: number): WrittenFile['action'] {
  if (existsSync(path)) return 'kept'
  mkdirSync(dirname(path), { recursive: true })
  // `wx`: whoever creates the file meanwhile keeps it.
  writeFileSync(path, text(), { mode, flag: 'wx' })
  return 'written'
}

function seedText(pair: KeyPair): string {
  return `${new TextDecoder().decode(pair.getSeed())}\n`
}

/** The public key of a seed file. */
export function publicKeyOf(seedFile: string): string {
  const seed = new TextEncoder().encode(readSecretFile(seedFile))
  return (seed[1] === 'X'.charCodeAt(0) ? fromCurveSeed(seed) : fromSeed(seed)).getPublicKey()
}
