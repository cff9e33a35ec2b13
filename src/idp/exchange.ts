/** The back channel: the code for tokens, and userinfo. Tokens live as long as one callback and are never kept. */
import * as client from 'openid-client'
import { accepted, type Judged, loginRefused } from '../core/refusal.ts'
import { registeredError } from './callback.ts'
import type { IdpConfig } from './idp-config.ts'
import { isPlain } from './provider.ts'
import { type ProviderFetch, ProviderTrouble } from './provider-fetch.ts'

export interface Channel {
  config: IdpConfig
  metadata: client.ServerMetadata
  fetch: ProviderFetch
  auth: client.ClientAuth
}

/** What the provider gave for a code; the ID token is not judged yet. */
export interface Exchanged {
  accessToken: string
  idToken: unknown
}

/** Exchanges the code. Throws when the provider does not answer, or not as RFC 6749 §5 says. */
export async function exchangeCode(
  channel: Channel,
  grant: { code: string; codeVerifier: string; redirectUri: string },
): Promise<Judged<Exchanged>> {
  const answer = idTokenTakenOut(channel.fetch)
  const parameters = { code: grant.code, redirect_uri: grant.redirectUri, code_verifier: grant.codeVerifier }
  try {
    const tokens = await client.genericGrantRequest(configure(channel, answer.fetch), 'authorization_code', parameters)
    return accepted({ accessToken: tokens.access_token, idToken: answer.idToken() })
  } catch (error) {
    // The provider said no to this code, to us, or to the PKCE verifier.
    if (error instanceof client.ResponseBodyError) return loginRefused('code_refused', registeredError(error.error))
    if (error instanceof client.WWWAuthenticateChallengeError) return loginRefused('code_refused', 'invalid_client')
    throw error
  }
}

/** Claims of userinfo. Throws when the provider does not answer, or not with JSON. */
export async function fetchUserinfo(channel: Channel, accessToken: string): Promise<Readonly<Record<string, unknown>>> {
  const plainJson: ProviderFetch = async (url, request) => {
    const response = await channel.fetch(url, request)
    // Its signature would be nobody's to check.
    if (response.headers.get('content-type')?.startsWith('application/jwt') === true) throw new ProviderTrouble('userinfo came as a JWT')
    return response
  }
  return client.fetchUserInfo(configure(channel, plainJson), accessToken, client.skipSubjectCheck)
}

function configure({ config, metadata, auth }: Channel, fetch: ProviderFetch): client.Configuration {
  const configuration = new client.Configuration(metadata, config.clientId, undefined, auth)
  configuration[client.customFetch] = fetch
  if (isPlain(config.issuer)) client.allowInsecureRequests(configuration)
  return configuration
}

/** How this client proves itself. The secret's file is read anew, so that a new secret needs no restart; throws what reading throws. */
export function clientAuth({ tokenEndpointAuth, clientSecretFile }: IdpConfig, readSecret: (path: string) => string): client.ClientAuth {
  if (tokenEndpointAuth === 'none' || clientSecretFile === null) return client.None()
  const secret = readSecret(clientSecretFile)
  return tokenEndpointAuth === 'client_secret_post' ? client.ClientSecretPost(secret) : client.ClientSecretBasic(secret)
}

/** The library would judge the ID token with reasons of its own: it sees the answer without it. */
function idTokenTakenOut(fetch: ProviderFetch): { fetch: ProviderFetch; idToken(): unknown } {
  let idToken: unknown
  return {
    idToken: () => idToken,
    async fetch(url, request) {
      const response = await fetch(url, request)
      if (response.status !== 200) return response
      const body: unknown = await response.json().catch(() => null)
      if (typeof body !== 'object' || body === null) throw new ProviderTrouble('the token endpoint did not answer with JSON')
      const { id_token: taken, ...rest } = Object.fromEntries(Object.entries(body))
      idToken = taken
      return Response.json(rest)
    },
  }
}
