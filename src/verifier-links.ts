/** The verifier's three connections, one in each of its accounts. */
import { readFileSync } from 'node:fs'
import type { TlsOptions } from 'nats'
import { type Config, ConfigInvalid, readSecretFile, readSeed } from './config.ts'
import { type Link, openLink } from './nats/connection.ts'

export interface Links {
  auth: Link
  audit: Link
  system: Link
}

/** As much of a logger as is needed here. */
export interface LinkLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

const ROLES = ['auth', 'audit', 'system'] as const

/** Inbox prefixes, as nats-server.conf permits them to the verifier's users. */
export function inboxPrefixes(name: string): Record<keyof Links, string> {
  return { auth: `_INBOX_${name}`, audit: `_INBOX_${name}_audit`, system: `_INBOX_${name}_sys` }
}

/** Connects in all three accounts; waits for nats-server as long as it takes. */
export async function openLinks(config: Config, log: LinkLog): Promise<Links> {
  const { name, servers, seedFiles } = config.nats
  const prefixes = inboxPrefixes(name)
  const tls = tlsOptions(config.nats.tls)
  const open = (role: keyof Links) =>
    openLink({
      name: `nats-webauthn ${name} (${role})`,
      servers,
      seed: readSeed(seedFiles[role], 'U'),
      inboxPrefix: prefixes[role],
      tls,
      waitForServer: true,
      onEvent: (event) => {
        if (event.kind === 'failed' || event.kind === 'closed')
          log.warn({ account: role, err: event.cause ?? undefined }, `nats ${event.kind}`)
        else log.info({ account: role }, `nats ${event.kind}`)
      },
    })
  const [auth, audit, system] = await Promise.all(ROLES.map(open))
  if (auth === undefined || audit === undefined || system === undefined) throw new Error('opening the connections to nats-server')
  return { auth, audit, system }
}

/** Ends all three, once what was published is on its way. */
export async function drainLinks(links: Links): Promise<void> {
  await Promise.all(Object.values(links).map((link: Link) => link.drain()))
}

/** TLS settings of the configuration, as the client library wants them. Throws ConfigInvalid. */
export function tlsOptions(tls: Config['nats']['tls']): TlsOptions | null {
  if (tls === null) return null
  const { caFile, certFile, keyFile } = tls
  return {
    ...(caFile === undefined ? {} : { ca: readPem(caFile) }),
    ...(certFile === undefined ? {} : { cert: readPem(certFile) }),
    ...(keyFile === undefined ? {} : { key: readSecretFile(keyFile) }),
  }
}

/** Text of a file with certificates. Throws ConfigInvalid. */
export function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    throw new ConfigInvalid([`${path}: cannot be read`])
  }
}
