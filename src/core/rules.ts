/** The deployment's own settings, as far as the journey needs them. Made from nats-webauthn.yaml by config.ts. */
import type { ServerId, ServerUrl } from './identifiers.ts'

/** A server address that clients may sign for, optionally pinned to what the server calls itself. */
export interface AllowedUrl {
  url: ServerUrl
  cluster: string | null
  serverName: string | null
}

export interface Rules {
  urls: readonly AllowedUrl[]
  /** Relying Party of people, or null when only machines connect. */
  person: { rpId: string; origins: readonly string[]; requireUserVerification: boolean } | null
  /** Relying Party of machines: an rpId of their own. */
  machine: { rpId: string }
  /** nats-servers that may ask, or null for any server that can reach the callout subject. */
  serverIds: readonly ServerId[] | null
  /** COSE algorithm identifiers (RFC 9053) accepted at enrolment and at each assertion. */
  algorithms: readonly number[]
  rolesMaxAgeSeconds: number
  leewaySeconds: number
  /** Connections arrive through a proxy: source addresses and loopback prove nothing. */
  behindProxy: boolean
  /** Behind that proxy, the client's side is always TLS. */
  tlsTerminatedUpstream: boolean
  dangerouslyAllowPlaintextUrls: boolean
  dangerouslyAllowPlainSessionsWithoutTls: boolean
}

/** COSE algorithms: ES256, EdDSA, RS256; ES384 and ES512 are allowed too. */
export const DEFAULT_ALGORITHMS = [-7, -8, -257, -35, -36] as const

/** Default session times by class: people 8 h, machines 24 h. */
export const DEFAULT_SESSION_SECONDS = { person: 8 * 3600, machine: 24 * 3600 } as const
