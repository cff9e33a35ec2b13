/** The verifier's state: its buckets, what follows when something in them is shut out, and the administrators' access. */
import type { BreakGlassWatch } from './break-glass.ts'
import type { Config } from './config.ts'
import type { EvictionPort } from './core/people/people.ts'
import { createEvictions } from './evictions.ts'
import { type AdminApi, serveAdminApi } from './nats/admin.ts'
import { createKicker, type Kicker } from './nats/kicker.ts'
import { watchServers } from './nats/server-watch.ts'
import { openStores, type Stores } from './nats/stores.ts'
import { createSystem } from './nats/system.ts'
import type { Logger } from './observability/logger.ts'
import { untilThere } from './patience.ts'
import type { PolicyFile } from './policy/policy-file.ts'
import { type Quarantine, watchQuarantine } from './quarantine.ts'
import { openBreakGlass } from './verifier-break-glass.ts'
import type { Links } from './verifier-links.ts'
import type { Audit, Parts } from './verifier-parts.ts'
import { VERSION } from './version.ts'

/** Connections are closed once more, so long after a server gave up: what was being decided during a revocation may have been granted. */
const kickAgainMarginMs = 1_000

export interface State {
  stores: Stores
  kicker: Kicker
  evictions: EvictionPort
  quarantine: Quarantine
  /** Null where the configuration does not say who is expected to pass the verifier by. */
  breakGlass: BreakGlassWatch | null
  stop(): void
}

/** The buckets, filled, and what ends connections when a record in them changes. */
export async function openState(
  config: Config,
  { links, audit, policy, log }: { links: Links; audit: Audit; policy: PolicyFile; log: Logger },
): Promise<State> {
  const stores = await untilThere('opening the buckets', log, () =>
    openStores(links.auth, {
      replicas: config.nats.replicas,
      onReport: (report) => log.warn({ ...report, cause: undefined, err: report.cause }, 'store'),
    }),
  )
  await untilThere('filling the caches', log, stores.ready)
  const system = createSystem(links.system)
  system.onDisconnect((connection) => stores.guard.disconnected(connection))
  const servers = watchServers(links.system, stores.guard.serversSeen)
  const kicker = createKicker({
    guard: stores.guard,
    system,
    againAfterMs: () => servers.authTimeoutSeconds() * 1_000 + kickAgainMarginMs,
    onFailure: (cause) => log.error({ err: cause }, 'closing connections'),
  })
  const recorded = { lifecycle: audit.lifecycle, actor: config.nats.name, policyHash: () => policy.current().hash }
  const evictions = createEvictions({
    kicker,
    ...recorded,
    onFailure: (cause) => log.error({ err: cause }, 'closing connections'),
  })
  const quarantine = watchQuarantine({
    credentials: stores.credentials,
    evictions,
    ...recorded,
    onFailure: (cause) => log.error({ err: cause }, 'following a quarantine'),
  })
  const breakGlass = openBreakGlass(config, { links, lifecycle: audit.lifecycle, policyHash: () => policy.current().hash, log })
  const stop = () => {
    breakGlass?.stop()
    servers.stop()
    kicker.stop()
    stores.stop()
  }
  return { stores, kicker, evictions, quarantine, breakGlass, stop }
}

/** The admin API, which takes requests at once. */
export function openAdmin(
  config: Config,
  parts: { links: Links; stores: Stores; kicker: Kicker; audit: Audit; policy: PolicyFile; parts: Parts; log: Logger },
): AdminApi {
  const { links, stores, kicker, audit, policy, log } = parts
  return serveAdminApi({
    link: links.auth,
    world: {
      stores,
      kicker,
      lifecycle: audit.lifecycle,
      policy: policy.current,
      version: VERSION,
      enrolmentUrl: config.enrolment?.origin ?? null,
      pageOrigin: config.rules.person === null ? null : (config.enrolment?.origin ?? null),
      isReady: () => parts.parts.readiness?.isReady() ?? false,
    },
    onFailure: (cause) => log.error({ err: cause }, 'admin api'),
  })
}
