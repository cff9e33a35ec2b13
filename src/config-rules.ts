/** What the journey needs of nats-webauthn.yaml: core's Rules. */
import { ALGORITHMS, type RawConfig } from './config-schema.ts'
import { parseServerId, parseServerUrl, type ServerId } from './core/identifiers.ts'
import type { AllowedUrl, Rules } from './core/rules.ts'

/** The rules of a configuration that the schema has passed. */
export function toRules(raw: RawConfig): Rules {
  const { machine, person } = raw.relying_parties
  return {
    urls: raw.urls.map((entry): AllowedUrl => {
      const { url, cluster, server_name } = typeof entry === 'string' ? { url: entry } : entry
      return { url: branded(url, parseServerUrl), cluster: cluster ?? null, serverName: server_name ?? null }
    }),
    person:
      person === undefined
        ? null
        : { rpId: person.rp_id, origins: person.origins, requireUserVerification: person.user_verification === 'required' },
    machine: { rpId: machine.rp_id },
    serverIds: raw.callout.server_ids?.map((id): ServerId => branded(id, parseServerId)) ?? null,
    algorithms: raw.algorithms.map((name) => ALGORITHMS[name]),
    rolesMaxAgeSeconds: Math.floor(raw.roles_max_age / 1000),
    leewaySeconds: Math.floor(raw.leeway / 1000),
    behindProxy: raw.behind_proxy,
    tlsTerminatedUpstream: raw.tls_terminated_upstream,
    dangerouslyAllowPlaintextUrls: raw.dangerously_allow_plaintext_urls,
    dangerouslyAllowPlainSessionsWithoutTls: raw.dangerously_allow_plain_sessions_without_tls,
  }
}

/** The schema and configProblems have checked the value; the brand still comes from its one parser. */
export function branded<T>(text: string, parse: (text: string) => T | null): T {
  const value = parse(text)
  if (value === null) throw new Error('reading a value that the schema let pass')
  return value
}
