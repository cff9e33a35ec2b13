/** X.509 certificates from strangers: parsed by OpenSSL, and their extensions read here, in DER's one spelling. */
import { X509Certificate } from 'node:crypto'
import { equalBytes } from '../encoding.ts'

const certificateBytesMax = 8 * 1024
const SEQUENCE = 0x30
const OCTET_STRING = 0x04
const OBJECT_IDENTIFIER = 0x06
const BOOLEAN = 0x01
const INTEGER = 0x02
const EXTENSIONS = 0xa3

// Contents of the OBJECT IDENTIFIERs in lower-case hex.
export const EXTENSION = {
  /** 2.5.29.19 */
  basicConstraints: '551d13',
  /** 2.5.29.31 */
  crlDistributionPoints: '551d1f',
  /** 1.3.6.1.4.1.45724.1.1.4, id-fido-gen-ce-aaguid. */
  aaguid: '2b0601040182e51c010104',
} as const

export interface Certificate {
  x509: X509Certificate
  /** By the hex of its OBJECT IDENTIFIER. */
  extensions: ReadonlyMap<string, { critical: boolean; value: Uint8Array }>
  /** How many CA certificates may follow below this one; null: any number. */
  pathLengthMax: number | null
  validFrom: number
  validTo: number
}

/** The certificate, or null when it is not one, is too large, or its extensions could be read in two ways. */
export function readCertificate(der: Uint8Array): Certificate | null {
  if (der.length > certificateBytesMax) return null
  const extensions = readExtensions(der)
  if (extensions === null) return null
  try {
    const x509 = new X509Certificate(der)
    // What OpenSSL read, written again, is these bytes: it reads spellings that are not DER, such as spare bits of a signature.
    if (!equalBytes(x509.raw, der)) return null
    const pathLengthMax = readPathLength(extensions.get(EXTENSION.basicConstraints)?.value)
    const validFrom = Date.parse(x509.validFrom)
    const validTo = Date.parse(x509.validTo)
    if (pathLengthMax === undefined || Number.isNaN(validFrom) || Number.isNaN(validTo)) return null
    return { x509, extensions, pathLengthMax, validFrom, validTo }
  } catch {
    return null
  }
}

interface Item {
  tag: number
  /** Its contents. */
  value: Uint8Array
}

/** The items that `bytes` are a sequence of, or null when they are not DER (X.690 §10.1: definite lengths, in the shortest form). */
function readItems(bytes: Uint8Array): Item[] | null {
  const items: Item[] = []
  let at = 0
  while (at < bytes.length) {
    const tag = bytes[at] as number
    const length = readLength(bytes, at + 1)
    // Tags of more than one byte occur nowhere in a certificate's outer structure.
    if (length === null || (tag & 0x1f) === 0x1f) return null
    const end = length.after + length.value
    if (end > bytes.length) return null
    items.push({ tag, value: bytes.subarray(length.after, end) })
    at = end
  }
  return items
}

function readLength(bytes: Uint8Array, at: number): { value: number; after: number } | null {
  const first = bytes[at]
  if (first === undefined) return null
  if (first < 0x80) return { value: first, after: at + 1 }
  const count = first & 0x7f
  const lead = bytes[at + 1]
  if (count === 0 || count > 3 || at + count >= bytes.length || lead === undefined || lead === 0) return null
  let value = 0
  for (let i = 1; i <= count; i++) value = value * 256 + (bytes[at + i] as number)
  return value < 0x80 ? null : { value, after: at + 1 + count }
}

/** The one item that `bytes` are, of `tag`. */
function readOnly(bytes: Uint8Array, tag: number): Uint8Array | null {
  const items = readItems(bytes)
  const [item] = items ?? []
  return items?.length === 1 && item?.tag === tag ? item.value : null
}

/** RFC 5280 §4.1: Certificate → tbsCertificate → extensions [3]; empty where there are none. */
function readExtensions(der: Uint8Array): Certificate['extensions'] | null {
  const certificate = readOnly(der, SEQUENCE)
  const [tbs] = (certificate === null ? null : readItems(certificate)) ?? []
  const members = tbs?.tag === SEQUENCE ? readItems(tbs.value) : null
  if (members === null) return null
  const extensions = new Map<string, { critical: boolean; value: Uint8Array }>()
  const wrapped = members.filter(({ tag }) => tag === EXTENSIONS)
  if (wrapped.length > 1) return null
  const [only] = wrapped
  if (only === undefined) return extensions
  const list = readOnly(only.value, SEQUENCE)
  const items = list === null ? null : readItems(list)
  if (items === null) return null
  for (const { tag, value } of items) {
    const extension = tag === SEQUENCE ? readExtension(value) : null
    // RFC 5280 §4.2: not two of one kind, or another reader could take the other.
    if (extension === null || extensions.has(extension.id)) return null
    extensions.set(extension.id, extension)
  }
  return extensions
}

function readExtension(bytes: Uint8Array): { id: string; critical: boolean; value: Uint8Array } | null {
  const items = readItems(bytes)
  if (items === null) return null
  const [id, second, third] = items
  const flag = items.length === 3 ? second : undefined
  const value = items.length === 3 ? third : second
  if (items.length > 3 || id?.tag !== OBJECT_IDENTIFIER || value?.tag !== OCTET_STRING) return null
  // A component with leading zeros would be the same number to a lenient reader.
  if (id.value.some((byte, index) => byte === 0x80 && (index === 0 || (id.value[index - 1] as number) < 0x80))) return null
  if (flag !== undefined && (flag.tag !== BOOLEAN || flag.value.length !== 1)) return null
  return { id: Buffer.from(id.value).toString('hex'), critical: flag !== undefined && flag.value[0] !== 0, value: value.value }
}

/** RFC 5280 §4.2.1.9: pathLenConstraint; null when there is none, undefined when it cannot be read. */
function readPathLength(value: Uint8Array | undefined): number | null | undefined {
  if (value === undefined) return null
  const list = readOnly(value, SEQUENCE)
  const items = list === null ? null : readItems(list)
  if (items === null) return undefined
  const length = items.find(({ tag }) => tag === INTEGER)
  if (length === undefined) return null
  const [byte] = length.value
  return length.value.length === 1 && byte !== undefined && byte < 0x80 ? byte : undefined
}
