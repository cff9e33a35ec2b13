/** Branded identifiers. A value gets its brand here and nowhere else, so holding one means that it was checked. */
import { createHash } from 'node:crypto'
import { fromBase64url } from './encoding.ts'
import { decodePublicNkey } from './nkey.ts'

declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** The random text a server sent in INFO; 1 to 64 printable ASCII characters. */
export type Nonce = Brand<string, 'Nonce'>
/** Public user nkey `U…`. */
export type UserNkey = Brand<string, 'UserNkey'>
/** Public server nkey `N…`. */
export type ServerId = Brand<string, 'ServerId'>
/** WebAuthn credential id as unpadded base64url; 1 to 1023 bytes. */
export type CredentialId = Brand<string, 'CredentialId'>
/** SHA-256 of a credential id as unpadded base64url (43 characters): its KV key, and `{{device}}` in subjects. */
export type CredentialKey = Brand<string, 'CredentialKey'>
/** The name of an identity in NATS: `[a-z0-9_-]{1,64}`, unique, never reused. */
export type Handle = Brand<string, 'Handle'>
/** Canonical `scheme://host:port` of a dialled server. */
export type ServerUrl = Brand<string, 'ServerUrl'>
/** Name of a role in the policy. */
export type RoleName = Brand<string, 'RoleName'>
/** Name of a NATS account in config mode. */
export type AccountName = Brand<string, 'AccountName'>

const credentialIdBytesMax = 1023
const nonceCharsMax = 64

export function parseNonce(text: unknown): Nonce | null {
  return typeof text === 'string' && text.length <= nonceCharsMax && /^[\x21-\x7e]+$/.test(text) ? (text as Nonce) : null
}

export function parseUserNkey(text: unknown): UserNkey | null {
  return typeof text === 'string' && decodePublicNkey('U', text) !== null ? (text as UserNkey) : null
}

export function parseServerId(text: unknown): ServerId | null {
  return typeof text === 'string' && decodePublicNkey('N', text) !== null ? (text as ServerId) : null
}

export function parseCredentialId(text: unknown): CredentialId | null {
  if (typeof text !== 'string' || text.length === 0 || text.length > Math.ceil((credentialIdBytesMax * 4) / 3)) return null
  return fromBase64url(text) === null ? null : (text as CredentialId)
}

/** The fixed-length, injective stand-in for a credential id where ids of 1023 bytes do not fit. */
export function credentialKey(id: CredentialId): CredentialKey {
  return createHash('sha256').update(id, 'base64url').digest('base64url') as CredentialKey
}

export function parseHandle(text: unknown): Handle | null {
  return typeof text === 'string' && /^[a-z0-9_-]{1,64}$/.test(text) ? (text as Handle) : null
}

export function parseRoleName(text: unknown): RoleName | null {
  return typeof text === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(text) ? (text as RoleName) : null
}

export function parseAccountName(text: unknown): AccountName | null {
  return typeof text === 'string' && /^[A-Za-z0-9_$-]{1,64}$/.test(text) ? (text as AccountName) : null
}

const DEFAULT_PORTS = { nats: 4222, tls: 4222, ws: 80, wss: 443 } as const

function isCanonicalHost(host: string): boolean {
  if (host.startsWith('[')) {
    // The URL parser prints an IPv6 address in its one canonical spelling (RFC 5952).
    return host.endsWith(']') && URL.canParse(`http://${host}`) && new URL(`http://${host}`).hostname === host
  }
  if (/^[0-9.]+$/.test(host)) return URL.canParse(`http://${host}`) && new URL(`http://${host}`).hostname === host
  return host.length <= 253 && host.split('.').every((label) => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
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
  const match = /^(?:(nats|tls|ws|wss):\/\/)?([^/@?#]+?)\/?$/i.exec(text.trim())
  if (match === null) return null
  const scheme = (match[1] ?? 'nats').toLowerCase() as keyof typeof DEFAULT_PORTS
  const probe = `http://${match[2]}`
  if (!URL.canParse(probe)) return null
  const host = new URL(probe).hostname.replace(/\.$/, '')
  const port = /:([0-9]+)$/.exec((match[2] as string).replace(/^\[[^\]]*\]/, ''))?.[1] ?? String(DEFAULT_PORTS[scheme])
  return parseServerUrl(`${scheme}://${host}:${Number(port)}`)
}

/** Scheme, host and port of a canonical URL. */
export function serverUrlParts(url: ServerUrl): { scheme: keyof typeof DEFAULT_PORTS; host: string; port: number } {
  const [scheme, rest] = url.split('://') as [keyof typeof DEFAULT_PORTS, string]
  const colon = rest.lastIndexOf(':')
  return { scheme, host: rest.slice(0, colon), port: Number(rest.slice(colon + 1)) }
}

/** Whether `host` (as in a URL, or a bare address) can only mean this machine. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  return bare === 'localhost' || bare === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(bare)
}
