/**
 * NATS nkeys as text and bytes: base32 of prefix, key and CRC-16 (nats-io/nkeys `strkey.go`). Public keys are decoded
 * on the hot path and encoded in the SDK, which has no dependencies; making keys stays with nkeys.js.
 */
import { concat } from './encoding.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const VALUES = new Int8Array(128).fill(-1)
for (let i = 0; i < ALPHABET.length; i++) VALUES[ALPHABET.charCodeAt(i)] = i
const PREFIXES = { N: 13 << 3, A: 0, U: 20 << 3, X: 23 << 3, O: 14 << 3 } as const
const SEED_PREFIX = 18 << 3

/** The kinds of nkey this project meets, by their first letter: server, account, user, curve, operator. */
export type NkeyKind = keyof typeof PREFIXES

// CRC-16/XMODEM, by its table of 256 remainders.
const REMAINDERS = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  return crc
})

function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (REMAINDERS[(crc >> 8) ^ byte] as number)
  return crc
}

function base32(bytes: Uint8Array): string {
  let out = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      out += ALPHABET.charAt((held >> bits) & 31)
    }
    held &= (1 << bits) - 1
  }
  return bits > 0 ? out + ALPHABET.charAt((held << (5 - bits)) & 31) : out
}

function fromBase32(text: string): Uint8Array | null {
  const out = new Uint8Array(Math.floor((text.length * 5) / 8))
  let held = 0
  let bits = 0
  let at = 0
  for (let i = 0; i < text.length; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? -1
    if (value < 0) return null
    held = (held << 5) | value
    bits += 5
    if (bits >= 8) {
      bits -= 8
      out[at++] = held >> bits
      held &= (1 << bits) - 1
    }
  }
  return held === 0 ? out : null
}

function checked(text: string): Uint8Array | null {
  const raw = fromBase32(text)
  if (raw === null) return null
  const body = raw.subarray(0, -2)
  const crc = (raw[raw.length - 2] as number) | ((raw[raw.length - 1] as number) << 8)
  return crc16(body) === crc ? body : null
}

function withCrc(body: Uint8Array): string {
  const crc = crc16(body)
  return base32(concat(body, new Uint8Array([crc & 0xff, crc >> 8])))
}

/** The 32 raw bytes of a public nkey of `kind`, or null when `text` is not one. */
export function decodePublicNkey(kind: NkeyKind, text: string): Uint8Array | null {
  if (text.length !== 56 || text.charAt(0) !== kind) return null
  const body = checked(text)
  return body !== null && body[0] === PREFIXES[kind] ? body.slice(1) : null
}

/** A public nkey as text (56 characters) from its 32 raw bytes. */
export function encodePublicNkey(kind: NkeyKind, raw: Uint8Array): string {
  return withCrc(concat(new Uint8Array([PREFIXES[kind]]), raw))
}

/** The 32-byte seed inside a seed text (`S…`) of `kind`, or null when it is not one. */
export function decodeSeed(kind: NkeyKind, text: string): Uint8Array | null {
  if (text.length !== 58 || text.charAt(0) !== 'S') return null
  const body = checked(text)
  if (body === null) return null
  const first = body[0] as number
  const second = body[1] as number
  if ((first & 0xf8) !== SEED_PREFIX) return null
  return (((first & 7) << 5) | ((second & 0xf8) >> 3)) === PREFIXES[kind] ? body.slice(2) : null
}

/** A seed as text (58 characters) from its 32 raw bytes. */
export function encodeSeed(kind: NkeyKind, raw: Uint8Array): string {
  const prefix = PREFIXES[kind]
  return withCrc(concat(new Uint8Array([SEED_PREFIX | (prefix >> 5), (prefix & 31) << 3]), raw))
}
