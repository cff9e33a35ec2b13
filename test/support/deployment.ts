/** The shipped nats-server.conf, with fresh keys and free ports, on a real nats-server. */
import { readFileSync } from 'node:fs'
import { createAccount, createCurve, createUser } from 'nkeys.js'
import type { NatsServerLine } from '../../scripts/nats-server.ts'
import { BREAK_GLASS_FILE, BREAK_GLASS_NEEDS, type BreakGlassNeed, breakGlassConf } from '../../src/cli/break-glass-files.ts'
import { type RunningNatsServer, startNatsServer } from './nats-server.ts'

export interface DeploymentKeys {
  verifierAuth: string
  verifierAudit: string
  verifierSys: string
  admin: string
  auditor: string
  issuer: string
  xkey: string
}

export interface Deployment {
  server: RunningNatsServer
  /** Seeds (`S…`) by name. */
  seeds: DeploymentKeys
  publicKeys: DeploymentKeys
  /** The keys for emergencies, all switched off. */
  breakGlass: Record<BreakGlassNeed, { seed: string; publicKey: string }>
  /** `nats://localhost:PORT`, canonical. */
  url: string
  websocketUrl: string
  stop(): Promise<void>
}

const shippedConfig = new URL('../../nats-server.conf', import.meta.url)

/** Public keys as the file nats-server.keys.conf. */
function keysConf(publicKeys: DeploymentKeys): string {
  const { verifierAuth, verifierAudit, verifierSys, admin, auditor, issuer, xkey } = publicKeys
  return [
    `VERIFIER_AUTH: "${verifierAuth}"`,
    `VERIFIER_AUDIT: "${verifierAudit}"`,
    `VERIFIER_SYS: "${verifierSys}"`,
    `ADMIN: "${admin}"`,
    `AUDITOR: "${auditor}"`,
    `ISSUER: "${issuer}"`,
    `XKEY: "${xkey}"`,
    '',
  ].join('\n')
}

// nats-server takes a variable that nothing refers to for an unknown field.
function withoutUnused(keys: string, config: string): string {
  return keys
    .split('\n')
    .filter((line) => !/^\w+:/.test(line) || config.includes(`$${line.slice(0, line.indexOf(':'))}`))
    .join('\n')
}

function publicKeysOf(keys: Deployment['breakGlass']): Record<BreakGlassNeed, string> {
  return Object.fromEntries(Object.entries(keys).map(([need, { publicKey }]) => [need, publicKey])) as Record<BreakGlassNeed, string>
}

/** `edit` may change the configuration's text, for tests that need another one. */
export async function startDeployment(
  options: { line?: NatsServerLine; xkey?: boolean; edit?: (config: string) => string; files?: Record<string, string> } = {},
): Promise<Deployment> {
  const users = ['verifierAuth', 'verifierAudit', 'verifierSys', 'admin', 'auditor'] as const
  const pairs = {
    ...(Object.fromEntries(users.map((name) => [name, createUser()])) as Record<(typeof users)[number], ReturnType<typeof createUser>>),
    issuer: createAccount(),
    xkey: createCurve(),
  }
  const names = Object.keys(pairs) as (keyof DeploymentKeys)[]
  const seeds = Object.fromEntries(
    names.map((name) => [name, new TextDecoder().decode(pairs[name].getSeed())]),
  ) as unknown as DeploymentKeys
  const publicKeys = Object.fromEntries(names.map((name) => [name, pairs[name].getPublicKey()])) as unknown as DeploymentKeys
  const breakGlass = Object.fromEntries(
    Object.keys(BREAK_GLASS_NEEDS).map((need) => {
      const pair = createUser()
      return [need, { seed: new TextDecoder().decode(pair.getSeed()), publicKey: pair.getPublicKey() }]
    }),
  ) as Deployment['breakGlass']
  let config = readFileSync(shippedConfig, 'utf8')
    .replace('127.0.0.1:4222', '127.0.0.1:-1')
    .replace('127.0.0.1:8080', '127.0.0.1:-1')
    .replace('127.0.0.1:8222', '127.0.0.1:-1')
    // Pages of tests are at ports that nobody knows yet.
    .replace(/^\s*allowed_origins:.*$/m, '')
  if (options.xkey === false) config = config.replace(/^\s*xkey: \$XKEY$/m, '')
  if (options.edit) config = options.edit(config)
  const server = await startNatsServer(config, {
    ...(options.line === undefined ? {} : { line: options.line }),
    files: {
      'nats-server.keys.conf': withoutUnused(keysConf(publicKeys), config),
      [BREAK_GLASS_FILE]: withoutUnused(breakGlassConf(publicKeysOf(breakGlass)), config),
      ...options.files,
    },
  })
  const deployment: Deployment = {
    server,
    seeds,
    publicKeys,
    breakGlass,
    url: `nats://localhost:${server.port}`,
    websocketUrl: `ws://localhost:${server.websocketPort}`,
    // The one of now: it may have been restarted.
    stop: () => deployment.server.stop(),
  }
  return deployment
}
