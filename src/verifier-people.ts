/** What people need of the verifier: their world, made from the configuration. Machines enrol without any of it. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Config, readClientSecret } from './config.ts'
import { rolesNotInPolicy } from './core/people/claim-mapping.ts'
import type { EvictionPort, PeopleWorld } from './core/people/people.ts'
import type { LifecyclePort } from './core/ports.ts'
import type { PageFiles } from './http/server.ts'
import { createIdp, providerTimeoutMs } from './idp/idp.ts'
import type { Stores } from './nats/stores.ts'
import type { Logger } from './observability/logger.ts'
import { type MetadataFile, openMetadata } from './policy/mds-file.ts'
import type { PolicyFile } from './policy/policy-file.ts'
import { readPem } from './verifier-links.ts'

export interface People {
  world: PeopleWorld
  page: PageFiles
  metadata: MetadataFile
}

/** Null where the configuration has no relying party for people, or nowhere for them to sign in. */
export async function openPeople(
  config: Config,
  parts: { stores: Stores; evictions: EvictionPort; policy: PolicyFile; lifecycle: LifecyclePort; log: Logger },
): Promise<People | null> {
  const { enrolment, rules } = config
  if (enrolment === null || rules.person === null) return null
  const { stores, evictions, policy, lifecycle, log } = parts
  const { origin } = enrolment
  const metadata = await openMetadata(
    config.metadata === null
      ? null
      : {
          ...config.metadata,
          now: () => new Date(),
          onRefused: (error) => log.error({ err: error }, 'the metadata file cannot be taken over; what was read before stays'),
          onOverdue: (nextUpdate) => log.warn({ nextUpdate }, 'the metadata file is overdue: fetch a newer one'),
        },
  )
  const idp = createIdp(config.identityProviders, {
    redirectUri: `${origin}/v1/login/callback`,
    readSecret: readClientSecret,
    readPem,
    leewaySeconds: rules.leewaySeconds,
    now: () => new Date(),
    onTrouble: (trouble) => log.warn(trouble, 'identity provider unavailable'),
    timeoutMs: providerTimeoutMs,
  })
  for (const { name, mapping } of config.identityProviders) {
    const roles = rolesNotInPolicy(mapping, policy.current())
    if (roles.length > 0) log.warn({ provider: name, roles }, 'the map of an identity provider names roles that the policy has not')
  }
  const { tickets, ceremonies, signins, logins, idpRequests, sessionRequests, identities, sessions } = stores
  const world: PeopleWorld = {
    rules,
    name: config.nats.name,
    origin,
    urls: rules.urls.map(({ url }) => url),
    policy: policy.current,
    idp,
    metadata,
    tickets,
    ceremonies,
    signins,
    logins,
    idpRequests,
    sessionRequests,
    credentials: stores.credentials.records,
    identities,
    sessions,
    evictions,
    lifecycle,
  }
  return { world, page: { dir: pageDirectory() }, metadata }
}

/** Where the built page is: beside the program, and beside its sources where those are run. */
function pageDirectory(): string {
  const dir = fileURLToPath(new URL('../dist/page', import.meta.url))
  if (!existsSync(dir)) throw new Error(`opening the page: ${dir} is missing; npm run build makes it`)
  return dir
}
