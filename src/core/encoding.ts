/**
 * The byte encodings of the wire protocol (docs/protocol.md). Shared with the client SDK, so nothing here
 * needs Node: no Buffer, no node:crypto.
 */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUES = new Int8Array(128).fill(-1)
for (let i = 0; i < ALPHABET.length; i++) VALUES[ALPHABET.charCodeAt(i)] = i

const encoder = new TextEncoder()
const fatalDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return shortAscii(text) ?? encoder.encode(text)
}

// Most of what is hashed and signed is so short that its bytes fit into the heap, where they cost a tenth.
const heapBytesMax = 64

function shortAscii(text: string): Uint8Array | null {
  if (text.length > heapBytesMax) return null
  const out = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return null
    out[i] = code
  }
  return out
}

/** Text of `bytes`, or null when they are not well-formed UTF-8: nothing is replaced. A BOM is kept as a character. */
export function fromUtf8(bytes: Uint8Array): string | null {
  try {
    return fatalDecoder.decode(bytes)
  } catch {
    return null
  }
}

/** Unpadded base64url (RFC 4648 §5). */
export function base64url(bytes: Uint8Array): string {
  let out = ''
  let i = 0
  for (; i + 2 < bytes.length; i += 3) {
    const n = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number)
    out += ALPHABET.charAt(n >> 18) + ALPHABET.charAt((n >> 12) & 63) + ALPHABET.charAt((n >> 6) & 63) + ALPHABET.charAt(n & 63)
  }
  const left = bytes.length - i
  if (left === 1) {
    const n = bytes[i] as number
    out += ALPHABET.charAt(n >> 2) + ALPHABET.charAt((n & 3) << 4)
  } else if (left === 2) {
    const n = ((bytes[i] as number) << 8) | (bytes[i + 1] as number)
    out += ALPHABET.charAt(n >> 10) + ALPHABET.charAt((n >> 4) & 63) + ALPHABET.charAt((n & 15) << 2)
  }
  return out
}

/**
 * Bytes of an unpadded base64url text, or null. Strict, so that every value has exactly one spelling:
 * no padding, no white space, no other alphabet, no stray bits in the last character.
 */
export function fromBase64url(text: string): Uint8Array | null {
  const rest = text.length % 4
  if (rest === 1) return null
  const out = new Uint8Array(Math.floor((text.length * 3) / 4))
  const whole = text.length - rest
  let at = 0
  for (let i = 0; i < whole; i += 4) {
    const group = (valueAt(text, i) << 18) | (valueAt(text, i + 1) << 12) | (valueAt(text, i + 2) << 6) | valueAt(text, i + 3)
    // One character of another alphabet makes the whole group negative.
    if (group < 0) return null
    out[at] = group >> 16
    out[at + 1] = group >> 8
    out[at + 2] = group
    at += 3
  }
  if (rest === 0) return out
  const last = (valueAt(text, whole) << 12) | (valueAt(text, whole + 1) << 6) | (rest === 3 ? valueAt(text, whole + 2) : 0)
  const strayBits = rest === 3 ? 0b11 : 0b1111_000000
  if (last < 0 || (last & strayBits) !== 0) return null
  out[at] = last >> 10
  if (rest === 3) out[at + 1] = last >> 2
  return out
}

function valueAt(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code < 128 ? (VALUES[code] as number) : -1
}

/** LP(x): 4-byte big-endian byte length of x, then x. Concatenated in order; strings are UTF-8 (protocol §2). */
export function lengthPrefixed(...parts: (string | Uint8Array)[]): Uint8Array {
  const chunks = parts.map((part) => (typeof part === 'string' ? utf8(part) : part))
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + 4 + chunk.length, 0))
  const view = new DataView(out.buffer)
  let at = 0
  for (const chunk of chunks) {
    view.setUint32(at, chunk.length)
    out.set(chunk, at + 4)
    at += 4 + chunk.length
  }
  return out
}

/** `parts` joined. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Whether two byte strings are the same. For public values only: it is not constant-time. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
