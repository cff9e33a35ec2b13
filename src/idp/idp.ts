/** The identity providers of the configuration: people are sent there, and what comes back is checked. */
import { createHash } from 'node:crypto'
import * as client from 'openid-client'
import { freshSeconds, type IdpPort, type IdpSecrets, type IdpStatement } from '../core/people/people.ts'
import { accepted, type Judged, loginRefused } from '../core/refusal.ts'
import { readCallback } from './callback.ts'
import { clientAuth, exchangeCode, fetchUserinfo } from './exchange.ts'
import { checkIdToken } from './id-token.ts'
import type { IdpConfig } from './idp-config.ts'
import { isPlain, openProvider, type Provider } from './provider.ts'
import { type ProviderFetch, providerFetch, troubleOf } from './provider-fetch.ts'

// So long that no provider asks for a password because of it.
const anyAgeSeconds = 30 * 86_400

export interface IdpOptions {
  /** Where providers send people back to: `<origin>/v1/login/callback`. */
  redirectUri: string
  /** Text of a secret file. Throws when others may read it. */
  readSecret(path: string): string
  /** Text of a file with certificates. */
  readPem(path: string): string
  leewaySeconds: number
  now(): Date
  /** Why a provider was unavailable, for the log; without anything that was sent or received. */
  onTrouble(trouble: { provider: string; step: ProviderStep; detail: string }): void
  /** For one request, from its beginning to the end of its answer. */
  timeoutMs: number
}

/** How long a provider may take for one answer. */
export const providerTimeoutMs = 5_000

/** Where a provider was unavailable: the check of `provider_unavailable`. */
export type ProviderStep = 'discovery' | 'keys' | 'token_endpoint' | 'userinfo'

interface OpenProvider extends Provider {
  config: IdpConfig
  fetch: ProviderFetch
}

/** Nothing is fetched before somebody logs in. Throws what `readPem` throws. */
export function createIdp(configs: readonly IdpConfig[], options: IdpOptions): IdpPort {
  const providers = new Map(
    configs.map((config): [string, OpenProvider] => {
      const fetch = providerFetch({ ca: config.caFile === null ? null : options.readPem(config.caFile), timeoutMs: options.timeoutMs })
      return [config.name, { config, fetch, ...openProvider(config, fetch, options.now) }]
    }),
  )
  const named = configs.map(({ name, label, mapping }) => ({ name, label, mapping }))
  return {
    list: () => named,
    async begin(name, secrets, { fresh }) {
      const provider = providers.get(name)
      return provider === undefined ? loginRefused('provider_unknown') : begin(provider, secrets, { fresh, options })
    },
    async finish(name, secrets, callback, { fresh }) {
      const provider = providers.get(name)
      return provider === undefined ? loginRefused('provider_unknown') : finish(provider, { secrets, callback, fresh }, options)
    },
  }
}

async function begin(
  provider: OpenProvider,
  secrets: IdpSecrets,
  { fresh, options }: { fresh: boolean; options: IdpOptions },
): Promise<Judged<URL>> {
  const { config } = provider
  const metadata = await attempt(provider, 'discovery', options, provider.metadata)
  if (!metadata.ok) return metadata
  const configuration = new client.Configuration(metadata.value, config.clientId, undefined, client.None())
  if (isPlain(config.issuer)) client.allowInsecureRequests(configuration)
  const url = client.buildAuthorizationUrl(configuration, {
    redirect_uri: options.redirectUri,
    scope: config.scopes.join(' '),
    state: secrets.state,
    nonce: secrets.nonce,
    // RFC 7636 §4.2.
    code_challenge: createHash('sha256').update(secrets.codeVerifier, 'ascii').digest('base64url'),
    code_challenge_method: 'S256',
    ...(config.acrValues.length === 0 ? {} : { acr_values: config.acrValues.join(' ') }),
    // OIDC Core §3.1.2.1: max_age also obliges the provider to say auth_time. Whoever has just authenticated there can
    // then enrol a device without being sent a second time.
    max_age: String(fresh ? freshSeconds : anyAgeSeconds),
    ...(fresh && config.freshPrompt !== 'none' ? { prompt: config.freshPrompt } : {}),
  })
  return accepted(url)
}

async function finish(
  provider: OpenProvider,
  { secrets, callback, fresh }: { secrets: IdpSecrets; callback: URLSearchParams; fresh: boolean },
  options: IdpOptions,
): Promise<Judged<IdpStatement>> {
  const { config, fetch } = provider
  const { readSecret, redirectUri, leewaySeconds, now } = options
  const metadata = await attempt(provider, 'discovery', options, provider.metadata)
  if (!metadata.ok) return metadata
  const code = readCallback(callback, secrets, metadata.value)
  if (!code.ok) return code
  const channel = { config, metadata: metadata.value, fetch, auth: clientAuth(config, readSecret) }
  const tokens = await attempt(provider, 'token_endpoint', options, () =>
    exchangeCode(channel, { code: code.value, codeVerifier: secrets.codeVerifier, redirectUri }),
  )
  if (!tokens.ok) return tokens
  if (!tokens.value.ok) return tokens.value
  const { accessToken, idToken } = tokens.value.value
  const { issuer, clientId, acrValues, amr } = config
  const expected = { issuer, clientId, nonce: secrets.nonce, fresh, acrValues, amr, leewaySeconds, now: now() }
  const checked = await attempt(provider, 'keys', options, () => checkIdToken(idToken, expected, provider.keys.find))
  if (!checked.ok) return checked
  if (!checked.value.ok) return checked.value
  const { subject, authenticatedAt, claims } = checked.value.value
  const statement = { provider: config.name, issuer, subject, authenticatedAt, claims }
  if (config.claimsFrom === 'id_token') return accepted(statement)

  const userinfo = await attempt(provider, 'userinfo', options, () => fetchUserinfo(channel, accessToken))
  if (!userinfo.ok) return userinfo
  // OIDC Core §5.3.2: userinfo of somebody else must not be used.
  if (userinfo.value['sub'] !== subject) return loginRefused('subject_malformed', 'userinfo')
  return accepted({ ...statement, claims: { ...claims, ...userinfo.value } })
}

/** What the provider answers, or that it is unavailable, and why for the log alone. */
async function attempt<T>(provider: OpenProvider, step: ProviderStep, options: IdpOptions, ask: () => Promise<T>): Promise<Judged<T>> {
  try {
    return accepted(await ask())
  } catch (error) {
    options.onTrouble({ provider: provider.config.name, step, detail: troubleOf(error) })
    return loginRefused('provider_unavailable', step)
  }
}
