/** The address a client knows it dialled: the one thing that no server can choose for it (docs/protocol.md). */
import { bareHost, canonicalServerUrl, type ServerUrl, serverUrlParts } from '../core/server-address.ts'
import { WebAuthnClientError } from './client-error.ts'

const serversMax = 32

/** The canonical address behind what a program was configured with. */
export function dialledUrl(text: unknown): ServerUrl {
  const url = typeof text === 'string' ? canonicalServerUrl(text) : null
  if (url === null)
    throw new WebAuthnClientError('url_invalid', 'reading the server address: not scheme://host:port of nats, tls, ws or wss')
  return url
}

/** Where to dial: what the program says, else what the key's enrolment said. Duplicates collapse. */
export function dialledUrls(options: {
  url?: string | undefined
  servers?: readonly string[] | undefined
  key: { urls?: readonly string[] | undefined }
}): ServerUrl[] {
  if (options.url !== undefined && options.servers !== undefined) {
    throw new WebAuthnClientError('url_ambiguous', 'reading the server address: either url or servers')
  }
  const given = options.servers ?? (options.url === undefined ? null : [options.url])
  // Enrolment lists the addresses for browsers too; services use TCP.
  const urls = given === null ? (options.key.urls ?? []).map(dialledUrl).filter((url) => /^(nats|tls):/.test(url)) : given.map(dialledUrl)
  const distinct = [...new Set(urls)]
  if (distinct.length === 0 || distinct.length > serversMax) {
    throw new WebAuthnClientError('url_invalid', `reading the server addresses: need 1 to ${serversMax}`)
  }
  return distinct
}

/** The only address there is, or an error: a signature callback that sees nothing but a nonce may know only one. */
export function onlyUrl(urls: readonly ServerUrl[]): ServerUrl {
  const [url] = urls
  if (url === undefined || urls.length !== 1) {
    throw new WebAuthnClientError('url_ambiguous', 'reading the server address: several servers need connectWithWebAuthn or connections')
  }
  return url
}

/** Host (without brackets) and `host:port`, as NATS clients and TLS name it. */
export function dialledHost(url: ServerUrl): { scheme: 'nats' | 'tls' | 'ws' | 'wss'; host: string; hostPort: string } {
  const { scheme, host, port } = serverUrlParts(url)
  return { scheme, host: bareHost(host), hostPort: `${host}:${port}` }
}
