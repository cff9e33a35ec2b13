/** What a provider says of itself (OIDC Discovery): fetched when it is first needed, so that one that is down stops nothing. */
import * as client from 'openid-client'
import { isLoopbackHost } from '../core/identifiers.ts'
import { parseUrl } from '../core/server-address.ts'
import type { IdpConfig } from './idp-config.ts'
import { kept } from './kept.ts'
import { type ProviderFetch, ProviderTrouble } from './provider-fetch.ts'
import { type ProviderKeys, providerKeys } from './provider-keys.ts'

const metadataAgeMsMax = 60 * 60_000

export interface Provider {
  /** Throws when the provider does not answer, or says something else than it must. */
  metadata(): Promise<client.ServerMetadata>
  keys: ProviderKeys
}

export function openProvider(config: Pick<IdpConfig, 'issuer' | 'clientId'>, fetch: ProviderFetch, now: () => Date): Provider {
  const metadata = kept(() => discover(config, fetch), { ageMsMax: metadataAgeMsMax, now })
  const keys = providerKeys(async () => {
    const { value } = await metadata.get()
    const response = await fetch(endpoint(value, 'jwks_uri').href, { method: 'GET', headers: { accept: 'application/json' } })
    if (response.status !== 200) throw new ProviderTrouble(`the keys came with status ${response.status}`)
    return (await response.json().catch(() => null)) as unknown
  }, now)
  return { metadata: async () => (await metadata.get()).value, keys }
}

async function discover(
  { issuer, clientId }: Pick<IdpConfig, 'issuer' | 'clientId'>,
  fetch: ProviderFetch,
): Promise<client.ServerMetadata> {
  const configuration = await client.discovery(new URL(issuer), clientId, undefined, client.None(), {
    [client.customFetch]: fetch,
    execute: isPlain(issuer) ? [client.allowInsecureRequests] : [],
  })
  const metadata = configuration.serverMetadata()
  // OIDC Discovery §4.3: exactly the issuer that was asked. The library compares what URLs become; tokens carry text.
  if (metadata.issuer !== issuer) throw new ProviderTrouble('its metadata names another issuer')
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) endpoint(metadata, name)
  return metadata
}

/** Whether an address has no TLS, which only a provider on this machine may do without. */
export function isPlain(address: string): boolean {
  const { protocol, hostname } = new URL(address)
  return protocol === 'http:' && isLoopbackHost(hostname)
}

type Endpoint = 'authorization_endpoint' | 'token_endpoint' | 'jwks_uri' | 'userinfo_endpoint'

function endpoint(metadata: client.ServerMetadata, name: Endpoint): URL {
  const address = metadata[name]
  const url = typeof address === 'string' ? parseUrl(address) : null
  if (typeof address !== 'string' || url === null) throw new ProviderTrouble(`its metadata has no ${name}`)
  // Plain HTTP stays on loopback, and only where the issuer is there too.
  const isAllowed = address.startsWith('https:') || (isPlain(metadata.issuer) && isPlain(address))
  if (!isAllowed) throw new ProviderTrouble(`its ${name} is not https`)
  return url
}
