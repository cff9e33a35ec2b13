/** Reads nats-webauthn.yaml: one file, every mistake in it at once, each with its line. Secrets stay in files of their own. */
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { configProblems } from './config-checks.ts'
import { toIdpConfigs } from './config-identity-providers.ts'
import { type MigrationConfig, migrationDanger, type StaticUsersConfig, toMigration, toStaticUsers } from './config-rollout.ts'
import { branded, toRules } from './config-rules.ts'
import { CONFIG_KEYS, configSchema, type RawConfig } from './config-schema.ts'
import type { SignatureLimits } from './core/failed-signatures.ts'
import { type AccountName, parseAccountName } from './core/identifiers.ts'
import { decodeSeed, type NkeyKind } from './core/nkey.ts'
import { schemaIssues } from './core/policy/policy-document.ts'
import { parseYaml, pathText } from './core/policy/yaml-document.ts'
import type { Rules } from './core/rules.ts'
import type { IdpConfig } from './idp/idp-config.ts'
import type { MetricsAuth } from './observability/metrics-auth.ts'

/** The configuration cannot be used: exit 78 with one line a problem (`file:line: message`). */
export class ConfigInvalid extends Error {
  override readonly name = 'ConfigInvalid'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

export interface ListenAddress {
  host: string
  port: number
}
export interface CertificateFiles {
  certFile: string
  keyFile: string
}

export interface CalloutSeedFiles {
  issuerSeedFile: string
  xkeySeedFile: string
}

/** Everything nats-webauthn.yaml says. Paths are absolute; secrets are not in here, only where they are. */
export interface Config {
  file: string
  nats: {
    servers: string[]
    tls: { caFile?: string; certFile?: string; keyFile?: string } | null
    name: string
    seedFiles: { auth: string; audit: string; system: string }
    replicas: 1 | 3 | 5
  }
  callout: {
    issuerSeedFile: string
    /** null: `xkey: none` was written. */
    xkeySeedFile: string | null
    /** Where the seeds are that nats-server is about to be given, while keys rotate: see heldNext. */
    next: CalloutSeedFiles | null
    inFlightMax: number
    queueMax: number
    signatureLimits: SignatureLimits
  }
  accounts: { auth: AccountName; audit: AccountName; system: AccountName; targets: AccountName[] }
  rules: Rules
  policyFile: string
  metadata: { blobFile: string; rootFile: string | null } | null
  audit: { replicas: 1 | 3 | 5; maxBytes: number; denialsMaxBytes: number; maxAgeDays: number; ackBudgetMs: number }
  enrolment: { listen: ListenAddress; origin: string; tls: CertificateFiles | null; trustedProxies: string[] } | null
  identityProviders: IdpConfig[]
  operations: { listen: ListenAddress; tls: CertificateFiles | null; auth: MetricsAuth }
  admin: { name: string; seedFile: string } | null
  auditor: { seedFile: string } | null
  staticUsers: StaticUsersConfig | null
  migration: MigrationConfig | null
  logLevel: 'debug' | 'info' | 'warn' | 'error'
}

const fileBytesMax = 256 * 1024

/** Reads and validates the file; secrets are not opened. Throws ConfigInvalid. */
export function readConfig(path: string): Config {
  const parsed = parseYaml(readText(path), { bytesMax: fileBytesMax })
  if (!parsed.ok) throw new ConfigInvalid(parsed.issues.map(({ line, message }) => `${path}:${line}: ${oneLine(message)}`))
  const { document } = parsed
  const checked = configSchema.safeParse(document.data)
  if (!checked.success) {
    const issues = schemaIssues(document, [], checked.error.issues, CONFIG_KEYS)
    throw new ConfigInvalid(issues.map((issue) => `${path}:${issue.line}: ${issue.path === '' ? '' : `${issue.path}: `}${issue.message}`))
  }
  const problems = configProblems(checked.data)
  if (problems.length > 0) {
    throw new ConfigInvalid(problems.map(({ where, message }) => `${path}:${document.locate(where).line}: ${pathText(where)}: ${message}`))
  }
  return toConfig(checked.data, resolve(path))
}

function readText(path: string): string {
  try {
    if (statSync(path).size > fileBytesMax) throw new ConfigInvalid([`${path}:1: larger than ${fileBytesMax} bytes`])
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof ConfigInvalid) throw error
    throw new ConfigInvalid([`${path}:1: cannot be read (${errorCode(error)}); \`nats-webauthn init\` writes one`])
  }
}

function oneLine(message: string): string {
  return message.replaceAll(/\s+/g, ' ')
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unreadable'
}

/**
 * The next issuer and xkey, while their files are there; one without the other is a problem of the secret files. Without an
 * xkey nothing tells whom a request is for.
 */
export function heldNext({ callout: { next, xkeySeedFile } }: Config): CalloutSeedFiles | null {
  return next !== null && xkeySeedFile !== null && (existsSync(next.issuerSeedFile) || existsSync(next.xkeySeedFile)) ? next : null
}

/** Problems of the form `path: message` with the verifier's own secret files: missing, readable by others, not seeds. */
export function secretProblems(config: Config): string[] {
  const { seedFiles } = config.nats
  const next = heldNext(config)
  const seeds: [string, NkeyKind][] = [
    [seedFiles.auth, 'U'],
    [seedFiles.audit, 'U'],
    [seedFiles.system, 'U'],
    [config.callout.issuerSeedFile, 'A'],
    ...(next === null
      ? []
      : ([
          [next.issuerSeedFile, 'A'],
          [next.xkeySeedFile, 'X'],
        ] satisfies [string, NkeyKind][])),
    ...(config.callout.xkeySeedFile === null ? [] : [[config.callout.xkeySeedFile, 'X'] satisfies [string, NkeyKind]]),
  ]
  const { tls, auth } = config.operations
  const others = [
    tls?.keyFile,
    config.enrolment?.tls?.keyFile,
    config.nats.tls?.keyFile,
    auth.mode === 'bearer' ? auth.tokenFile : undefined,
    auth.mode === 'basic' ? auth.usersFile : undefined,
    config.migration?.reportOnly ? config.migration.legacyUsersFile : undefined,
  ]
  const clientSecrets = config.identityProviders.flatMap(({ clientSecretFile }) => clientSecretFile ?? [])
  return [
    ...seeds.map(([path, kind]) => problemOf(() => readSeed(path, kind))),
    ...others.map((path) => (path === undefined ? null : problemOf(() => readSecretFile(path)))),
    ...clientSecrets.map((path) => problemOf(() => readClientSecret(path))),
  ].filter((problem) => problem !== null)
}

function problemOf(read: () => unknown): string | null {
  try {
    read()
    return null
  } catch (error) {
    if (error instanceof ConfigInvalid) return error.message
    throw error
  }
}

/** Text of a secret file without the white space around it. Throws ConfigInvalid when others could read it too. */
export function readSecretFile(path: string): string {
  let fd: number
  try {
    // A named pipe would wait for a writer without O_NONBLOCK.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    throw new ConfigInvalid([`${path}: cannot be read (${errorCode(error)})`])
  }
  try {
    // The opened file is what is checked. Mode bits mean nothing on Windows, where access lists decide.
    const stat = fstatSync(fd)
    const { mode, size } = stat
    if (!stat.isFile()) throw new ConfigInvalid([`${path}: not a file`])
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) throw new ConfigInvalid([`${path}: readable by group or others: chmod 600`])
    if (size > fileBytesMax) throw new ConfigInvalid([`${path}: larger than ${fileBytesMax} bytes`])
    return readFileSync(fd, 'utf8').trim()
  } finally {
    closeSync(fd)
  }
}

/** The secret of a client of an identity provider. Throws ConfigInvalid. */
export function readClientSecret(path: string): string {
  const text = readSecretFile(path)
  if (text === '') throw new ConfigInvalid([`${path}: empty`])
  return text
}

/** An nkey seed of `kind` from its file. Throws ConfigInvalid, without a word of what is in the file. */
export function readSeed(path: string, kind: NkeyKind): string {
  const text = readSecretFile(path)
  if (decodeSeed(kind, text) === null) throw new ConfigInvalid([`${path}: not the seed of ${KIND_NAMES[kind]}`])
  return text
}

const KIND_NAMES: Record<NkeyKind, string> = {
  U: 'a user (SU…)',
  A: 'an account (SA…)',
  X: 'a curve key (SX…)',
  N: 'a server (SN…)',
  O: 'an operator (SO…)',
}

/** One line for each unsafe choice the file makes: logged at every start. */
export function dangers({ rules, operations, migration }: Config): string[] {
  return [
    ...migrationDanger(migration),
    ...(rules.dangerouslyAllowPlaintextUrls
      ? ['dangerously_allow_plaintext_urls is on: connections without TLS bind nothing on a hostile network']
      : []),
    ...(rules.dangerouslyAllowPlainSessionsWithoutTls
      ? ['dangerously_allow_plain_sessions_without_tls is on: a hostile server can relay plain sessions']
      : []),
    ...(operations.auth.mode === 'none'
      ? [`operations.auth is none: whoever reaches ${operations.listen.host}:${operations.listen.port} reads the metrics`]
      : []),
  ]
}

function toConfig(raw: RawConfig, file: string): Config {
  const path = (name: string) => resolve(dirname(file), name)
  const certificate = (files: { cert_file: string; key_file: string } | undefined) =>
    files === undefined ? null : { certFile: path(files.cert_file), keyFile: path(files.key_file) }
  const { nats, callout, audit, enrolment, operations, admin, auditor } = raw
  const { accounts, next_issuer_seed_file: issuer, next_xkey_seed_file: xkey } = callout
  return {
    file,
    nats: {
      servers: nats.servers,
      tls: nats.tls === undefined ? null : clientTls(nats.tls, path),
      name: nats.name,
      seedFiles: { auth: path(nats.auth_seed_file), audit: path(nats.audit_seed_file), system: path(nats.system_seed_file) },
      replicas: nats.replicas,
    },
    callout: {
      issuerSeedFile: path(callout.issuer_seed_file),
      xkeySeedFile: callout.xkey_seed_file === undefined ? null : path(callout.xkey_seed_file),
      next: issuer === undefined || xkey === undefined ? null : { issuerSeedFile: path(issuer), xkeySeedFile: path(xkey) },
      inFlightMax: callout.in_flight_max,
      queueMax: callout.queue_max,
      signatureLimits: { perSource: callout.failed_signatures_per_source, perCredential: callout.failed_signatures_per_credential },
    },
    accounts: {
      auth: branded(accounts.auth, parseAccountName),
      audit: branded(accounts.audit, parseAccountName),
      system: branded(accounts.system, parseAccountName),
      targets: accounts.targets.map((name) => branded(name, parseAccountName)),
    },
    rules: toRules(raw),
    policyFile: path(raw.policy_file),
    metadata:
      raw.metadata === undefined
        ? null
        : { blobFile: path(raw.metadata.blob_file), rootFile: raw.metadata.root_file === undefined ? null : path(raw.metadata.root_file) },
    audit: {
      replicas: audit.replicas,
      maxBytes: audit.max_bytes,
      denialsMaxBytes: audit.denials_max_bytes,
      maxAgeDays: Math.floor(audit.max_age / 86_400_000),
      ackBudgetMs: audit.ack_budget,
    },
    enrolment:
      enrolment === undefined
        ? null
        : {
            listen: enrolment.listen,
            origin: enrolment.origin,
            tls: certificate(enrolment.tls),
            trustedProxies: enrolment.trusted_proxies,
          },
    identityProviders: toIdpConfigs(raw.identity_providers, path),
    operations: { listen: operations.listen, tls: certificate(operations.tls), auth: toAuth(operations.auth, path) },
    admin: admin === undefined ? null : { name: admin.name, seedFile: path(admin.seed_file) },
    auditor: auditor === undefined ? null : { seedFile: path(auditor.seed_file) },
    staticUsers: toStaticUsers(raw.static_users, path),
    migration: toMigration(raw.migration, path),
    logLevel: raw.log.level,
  }
}

function clientTls(tls: NonNullable<RawConfig['nats']['tls']>, path: (name: string) => string): NonNullable<Config['nats']['tls']> {
  return {
    ...(tls.ca_file === undefined ? {} : { caFile: path(tls.ca_file) }),
    ...(tls.cert_file === undefined ? {} : { certFile: path(tls.cert_file) }),
    ...(tls.key_file === undefined ? {} : { keyFile: path(tls.key_file) }),
  }
}

function toAuth(auth: RawConfig['operations']['auth'], path: (name: string) => string): MetricsAuth {
  if (auth === 'none') return { mode: 'none' }
  if ('basic' in auth) return { mode: 'basic', usersFile: path(auth.basic.users_file) }
  if ('bearer' in auth) return { mode: 'bearer', tokenFile: path(auth.bearer.token_file) }
  return { mode: 'mtls', clientCaFile: path(auth.mtls.client_ca_file), allowedSans: auth.mtls.allowed_sans ?? null }
}
