/** An identity provider, as the configuration describes it. Paths are absolute; the secret is not in here, only where it is. */
import type { ClaimMapping } from '../core/people/people.ts'

export interface IdpConfig {
  /** Unique: `[a-z0-9_-]{1,32}`. */
  name: string
  /** What people call it; the page says “Continue with …”. */
  label: string
  /** Exactly as the provider writes it, in its metadata and in each token. */
  issuer: string
  clientId: string
  /** Null: a public client. */
  clientSecretFile: string | null
  tokenEndpointAuth: 'client_secret_basic' | 'client_secret_post' | 'none'
  scopes: readonly string[]
  /** What a fresh login asks for: OIDC `prompt`. */
  freshPrompt: 'login' | 'select_account' | 'consent' | 'none'
  /** Asked for, and one of them demanded. Empty: no demand. */
  acrValues: readonly string[]
  /** All of them demanded. Empty: no demand. */
  amr: readonly string[]
  mapping: ClaimMapping
  /** Claims are read from the ID token alone, or from userinfo as well. */
  claimsFrom: 'id_token' | 'userinfo'
  /** Authorities that sign the provider's certificate; null: the system's. */
  caFile: string | null
}
