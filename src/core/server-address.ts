/**
 * Addresses of NATS servers in the protocol's one canonical spelling (docs/protocol.md). Shared with the client SDK, so
 * nothing here needs Node.
 */

declare const brand: unique symbol

/** Canonical `scheme://host:port` of a dialled server. Gets its brand here and nowhere else. */
export type ServerUrl = string & { readonly [brand]: 'ServerUrl' }

const DEFAULT_PORTS = { nats: 4222, tls: 4222, ws: 80, wss: 443 } as const

// Asked often, Node 20's URL.canParse says yes to some text outside ASCII that the parser refuses; so the parser is asked.
/** `text` as a URL, or null. */
export function parseUrl(text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

// The URL parser prints each host in one way: IPv4 and IPv6 (RFC 5952) canonical, numbers that mean an IPv4 address
// as that address, A-labels checked. What it would print differently is not canonical.
function isCanonicalHost(host: string): boolean {
  const isName = host.length <= 253 && host.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
  if (!isName && !host.startsWith('[')) return false
  return parseUrl(`http://${host}`)?.hostname === host
}

/** A URL that is already in the protocol's one canonical spelling, or null: nothing is normalised (protocol §2). */
export function parseServerUrl(text: unknown): ServerUrl | null {
  if (typeof text !== 'string' || text.length > 300) return null
  const match = /^(nats|tls|ws|wss):\/\/(\[[0-9a-f:.]+\]|[a-z0-9.-]+):([1-9][0-9]{0,4})$/.exec(text)
  if (match === null || Number(match[3]) > 65_535 || !isCanonicalHost(match[2] as string)) return null
  return text as ServerUrl
}

/** The canonical spelling of what a person wrote: lower case, port written out, no trailing dot; null if it is no such URL. */
export function canonicalServerUrl(text: string): ServerUrl | null {
  // The URL parser would drop tabs, decode percents and read a backslash as a slash.
  const match = /^(?:(nats|tls|ws|wss):\/\/)?([^\s/\\@?#%]+)\/?$/i.exec(text.trim())
  if (match === null) return null
  const scheme = (match[1] ?? 'nats').toLowerCase() as keyof typeof DEFAULT_PORTS
  const host = parseUrl(`http://${match[2]}`)?.hostname.replace(/\.$/, '')
  if (host === undefined) return null
  const port = /:([0-9]+)$/.exec((match[2] as string).replace(/^\[[^\]]*\]/, ''))?.[1] ?? String(DEFAULT_PORTS[scheme])
  return parseServerUrl(`${scheme}://${host}:${Number(port)}`)
}

/** Scheme, host and port of a canonical URL. */
export function serverUrlParts(url: ServerUrl): { scheme: keyof typeof DEFAULT_PORTS; host: string; port: number } {
  const [scheme, rest] = url.split('://') as [keyof typeof DEFAULT_PORTS, string]
  const colon = rest.lastIndexOf(':')
  return { scheme, host: rest.slice(0, colon), port: Number(rest.slice(colon + 1)) }
}

/** `host` of a URL without the brackets of an IPv6 address, as sockets and TLS want it. */
export function bareHost(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

/** Whether `host` (as in a URL, or a bare address) can only mean this machine. */
export function isLoopbackHost(host: string): boolean {
  const bare = bareHost(host)
  return bare === 'localhost' || bare === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare)
}
