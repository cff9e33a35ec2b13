/** The addresses a page may dial: written down by its author, never said by a server, a query or the browser's storage. */
import { canonicalServerUrl, isLoopbackHost, type ServerUrl, serverUrlParts } from '../core/server-address.ts'
import { PasskeyError } from './passkey-error.ts'

const serversMax = 32

/** The canonical spelling of one WebSocket address: what is dialled and what is signed. Throws a PasskeyError. */
export function webSocketUrl(text: unknown): ServerUrl {
  const url = typeof text === 'string' ? canonicalServerUrl(text) : null
  if (url === null || !/^wss?:/.test(url)) {
    throw new PasskeyError('url_refused', 'reading the server address: not ws://host:port or wss://host:port')
  }
  const { scheme, host } = serverUrlParts(url)
  // Without TLS an address names nobody on a network, so signing it would bind nothing.
  if (scheme === 'ws' && !isLoopbackHost(host)) {
    throw new PasskeyError('plaintext_refused', 'reading the server address: ws:// is for this machine alone, use wss://')
  }
  return url
}

/** The canonical addresses in their order, without duplicates. Throws a PasskeyError. */
export function webSocketUrls(servers: string | readonly string[]): ServerUrl[] {
  const urls = [...new Set((typeof servers === 'string' ? [servers] : servers).map(webSocketUrl))]
  if (urls.length === 0 || urls.length > serversMax) {
    throw new PasskeyError('url_refused', `reading the server addresses: need 1 to ${serversMax}`)
  }
  return urls
}
