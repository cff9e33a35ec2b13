/** Branded identifiers. A value gets its brand here and nowhere else, so holding one means that it was checked. */
import { hash } from 'node:crypto'
import { decodeBase64url } from './base64url.ts'
import { isSmallOrder } from './ed25519.ts'
import { decodePublicNkey } from './nkey.ts'

export { canonicalServerUrl, isLoopbackHost, parseServerUrl, type ServerUrl, serverUrlParts } from './server-address.ts'

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
/** The name of a legacy user in NATS: `legacy:NAME`, which no handle can be. */
export type LegacyName = Brand<string, 'LegacyName'>
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
  const raw = typeof text === 'string' ? decodePublicNkey('U', text) : null
  // One signature by a key of small order fits any nonce and address: its session would be a password that all can read.
  return raw !== null && !isSmallOrder(raw) ? (text as UserNkey) : null
}

// A cluster has few servers, and every request names one. Bounded, because anybody can make a key.
const serverIds = new Set<string>()
const serverIdsMax = 1024

export function parseServerId(text: unknown): ServerId | null {
  if (typeof text !== 'string') return null
  if (serverIds.has(text)) return text as ServerId
  if (decodePublicNkey('N', text) === null) return null
  if (serverIds.size >= serverIdsMax) serverIds.clear()
  serverIds.add(text)
  return text as ServerId
}

export function parseCredentialId(text: unknown): CredentialId | null {
  if (typeof text !== 'string' || text.length === 0 || text.length > Math.ceil((credentialIdBytesMax * 4) / 3)) return null
  return decodeBase64url(text) === null ? null : (text as CredentialId)
}

// A connection needs it several times, and its credential comes again. Bounded, because anybody can make an id.
const credentialKeys = new Map<CredentialId, CredentialKey>()
const credentialKeysMax = 4_096

/** The fixed-length, injective stand-in for a credential id where ids of 1023 bytes do not fit. */
export function credentialKey(id: CredentialId): CredentialKey {
  const known = credentialKeys.get(id)
  if (known !== undefined) return known
  const key = hash('sha256', Buffer.from(id, 'base64url'), 'base64url') as CredentialKey
  if (credentialKeys.size >= credentialKeysMax) credentialKeys.clear()
  credentialKeys.set(id, key)
  return key
}

export function parseHandle(text: unknown): Handle | null {
  return typeof text === 'string' && /^[a-z0-9_-]{1,64}$/.test(text) ? (text as Handle) : null
}

export function legacyName(name: string): LegacyName {
  return `legacy:${name}` as LegacyName
}

export function parseLegacyName(text: unknown): LegacyName | null {
  return typeof text === 'string' && /^legacy:[\x21-\x7e]{1,64}$/.test(text) ? (text as LegacyName) : null
}

export function parseRoleName(text: unknown): RoleName | null {
  return typeof text === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(text) ? (text as RoleName) : null
}

export function parseAccountName(text: unknown): AccountName | null {
  return typeof text === 'string' && /^[A-Za-z0-9_$-]{1,64}$/.test(text) ? (text as AccountName) : null
}
