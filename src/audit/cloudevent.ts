/** CloudEvents 1.0 in binary mode over NATS: attributes are headers, the body is the data and nothing but the data. */
import { OCSF_VERSION } from './ocsf-common.ts'

export interface CloudEvent {
  id: string
  /** URI-reference of the verifier. */
  source: string
  type: string
  time: Date
  /** Handle of the identity it is about, or null. */
  subject: string | null
  /** OCSF class of the data. */
  class: 'authentication' | 'entity_management'
}

/** The `ce-…` headers, in a fixed order. */
export function cloudEventHeaders(event: CloudEvent): [string, string][] {
  const attributes: [string, string][] = [
    ['id', event.id],
    ['source', event.source],
    ['specversion', '1.0'],
    ['type', event.type],
    ['time', event.time.toISOString()],
    ['datacontenttype', 'application/json'],
    ['dataschema', `https://schema.ocsf.io/${OCSF_VERSION}/classes/${event.class}`],
  ]
  if (event.subject !== null) attributes.push(['subject', event.subject])
  return attributes.map(([name, value]) => [`ce-${name}`, encodeHeaderValue(value)])
}

// CloudEvents HTTP binding §3.1.3.2, which the NATS binding repeats: U+0021 to U+007E stand for themselves, except
// the double quote and the percent sign.
const PLAIN = /[^\x21\x23\x24\x26-\x7e]/gu

/** A header value as the binding spells it: everything else is percent-encoded UTF-8. */
export function encodeHeaderValue(text: string): string {
  return text.replace(PLAIN, (char) => {
    let out = ''
    for (const byte of Buffer.from(char, 'utf8')) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    return out
  })
}
