/** What every OCSF 1.8.0 record of ours shares: metadata, user, limits on text from outside. */
import { createHash } from 'node:crypto'
import { safeText } from '../core/safe-text.ts'

export const OCSF_VERSION = '1.8.0'

/** Which program made the record. */
export interface RecordOrigin {
  /** CloudEvents `source`: URI-reference of this verifier, the same over restarts. */
  source: string
  /** Version of the verifier. */
  version: string
}

// A record must fit the stream's 64 KiB whatever arrives; the parts below add up to less.
export const textCharsMax = 256
export const detailCharsMax = 1024
const listLengthMax = 128
export const factsMax = 16
/** A credential id may be 1023 bytes: 1364 characters. */
export const targetCharsMax = 1400
const listedCharsMax = 64
const identityCharsMax = 1024

export function metadata(origin: RecordOrigin, record: { id: string; code: string; correlates: string | null }) {
  return {
    version: OCSF_VERSION,
    product: { name: 'nats-webauthn', vendor_name: 'nats-webauthn', version: origin.version },
    uid: record.id,
    event_code: record.code,
    log_name: `audit.webauthn.${record.code}`,
    correlation_uid: record.correlates ?? undefined,
  }
}

/**
 * `issuer|subject`, injective: the separator, the percent sign and everything unprintable are percent-encoded, and a
 * pair too long for a record is named by its hash, which holds no separator.
 */
export function identityUid(issuer: string, subject: string): string {
  const uid = `${encodePart(issuer)}|${encodePart(subject)}`
  return uid.length <= identityCharsMax ? uid : `sha256:${createHash('sha256').update(uid).digest('hex')}`
}

function encodePart(text: string): string {
  return text.replace(/[%|\s\p{C}]/gu, (char) => {
    if (/\p{Cs}/u.test(char)) return `%u${char.charCodeAt(0).toString(16)}`
    return [...Buffer.from(char, 'utf8')].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  })
}

/** A list from outside, escaped; a cut list says how many are missing. */
export function safeList(values: readonly string[]): string[] {
  const listed = values.slice(0, listLengthMax).map((value) => safeText(value, listedCharsMax))
  return values.length > listLengthMax ? [...listed, `…+${values.length - listLengthMax}`] : listed
}

/** Where a client is: an address, or what else nats-server or a proxy calls it. */
export function endpointOf(host: string): { ip: string } | { hostname: string } | Record<never, never> {
  const text = safeText(host, textCharsMax)
  if (text === '') return {}
  return /^[0-9.]+$/.test(text) || text.includes(':') ? { ip: text } : { hostname: text }
}
