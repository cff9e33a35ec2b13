/** The watch on users who pass the verifier by, made from the configuration (docs/break-glass.md). */
import { readFileSync } from 'node:fs'
import { type BreakGlassWatch, watchBreakGlass } from './break-glass.ts'
import { type Config, ConfigInvalid, readSeed } from './config.ts'
import { ed25519PrivateKey, ed25519RawPublic } from './core/ed25519.ts'
import { decodeSeed, encodePublicNkey } from './core/nkey.ts'
import type { LifecyclePort } from './core/ports.ts'
import { isUnexpected, type StaticUserRules } from './core/static-user.ts'
import { staticConnections } from './nats/static-connections.ts'
import type { Logger } from './observability/logger.ts'
import type { Links } from './verifier-links.ts'

/** The users that are expected to pass the verifier by, or null where the configuration does not say. Throws ConfigInvalid. */
export function staticUserRules(config: Config): StaticUserRules | null {
  const { staticUsers, accounts, nats } = config
  if (staticUsers === null) return null
  const own = Object.values(nats.seedFiles).map(publicUserKey)
  const named = staticUsers.keysFile === null ? [] : keysOf(staticUsers.keysFile)
  return { targets: accounts.targets, expected: new Set([...own, ...named, ...staticUsers.expected]) }
}

function publicUserKey(seedFile: string): string {
  const raw = decodeSeed('U', readSeed(seedFile, 'U'))
  if (raw === null) throw new ConfigInvalid([`${seedFile}: not the seed of a user (SU…)`])
  return encodePublicNkey('U', ed25519RawPublic(ed25519PrivateKey(raw)))
}

/** The values of `NAME: "U…"` lines, without those that are there for emergencies. */
function keysOf(path: string): string[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    throw new ConfigInvalid([`${path}: cannot be read`])
  }
  return [...text.matchAll(/^(\w+)\s*[:=]\s*"?(U[A-Z2-7]{55})"?/gm)].flatMap(([, name = '', key = '']) =>
    name.startsWith('BREAK_GLASS') ? [] : [key],
  )
}

/** Null while a file is being replaced. */
function rulesNow(config: Config, log: Logger): StaticUserRules | null {
  try {
    return staticUserRules(config)
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error
    log.warn({ problems: error.problems }, 'reading who is expected')
    return null
  }
}

/** The watch, or null where the configuration does not say who is expected. Also looks whenever nats-server is back. */
export function openBreakGlass(
  config: Config,
  { links, lifecycle, policyHash, log }: { links: Links; lifecycle: LifecyclePort; policyHash(): string; log: Logger },
): BreakGlassWatch | null {
  let rules = staticUserRules(config)
  if (rules === null) {
    log.info('static_users is not configured: who connects without the verifier is not put on record')
    return null
  }
  const watch = watchBreakGlass({
    connections: staticConnections(links.system, (one) => {
      if (rules !== null && !isUnexpected(one, rules)) return false
      // Before somebody raises an alarm: a key that was replaced since the start is expected too.
      rules = rulesNow(config, log) ?? rules
      return rules !== null && isUnexpected(one, rules)
    }),
    lifecycle,
    actor: config.nats.name,
    policyHash,
    seen: ({ account, user, clientId, serverId, host }) =>
      log.warn({ account, user, client_id: clientId, server_id: serverId, client_host: host }, 'somebody connected without the verifier'),
    onFailure: (cause) => log.error({ err: cause }, 'watching who connects without the verifier'),
  })
  const stopListening = links.system.onChange((connected) => {
    if (connected) void watch.look()
  })
  return {
    ...watch,
    stop: () => {
      stopListening()
      watch.stop()
    },
  }
}
