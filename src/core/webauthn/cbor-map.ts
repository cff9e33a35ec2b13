/**
 * Whether bytes are CBOR that can be read in one way only. The library's decoder shortens strings that claim more bytes
 * than there are and does not say where an item ended, so this runs before it.
 */

// CTAP2 canonical CBOR allows four levels; nothing that WebAuthn defines is deeper.
const depthMax = 4
const MAP = 5

/** Whether `bytes` from `start` are exactly one CBOR map: definite lengths in their shortest form, no tags, nothing after it. */
export function isOneCborMap(bytes: Uint8Array, start: number): boolean {
  return endOfCborMap(bytes, start) === bytes.length
}

/** Index after the one CBOR map at `start`, read as strictly, or -1 when there is none. */
export function endOfCborMap(bytes: Uint8Array, start: number): number {
  return (bytes[start] ?? 0) >> 5 === MAP ? endOfItem(bytes, start, depthMax) : -1
}

/** Index after the item at `start`, or -1 when there is no well-formed item (RFC 8949 §3). */
function endOfItem(bytes: Uint8Array, start: number, depth: number): number {
  const initial = bytes[start]
  if (initial === undefined || depth === 0) return -1
  const major = initial >> 5
  const info = initial & 0x1f
  if (major === 7) return endOfSimple(bytes, start, info)
  const argumentBytes = info < 24 ? 0 : 1 << (info - 24)
  let at = start + 1 + argumentBytes
  if (info > 27 || at > bytes.length) return -1
  const argument = argumentBytes === 0 ? info : readArgument(bytes, start + 1, argumentBytes)
  if (argument === null) return -1
  switch (major) {
    case 0:
    case 1:
      return at
    case 2:
    case 3:
      return argument <= bytes.length - at ? at + argument : -1
    case 4:
    case MAP:
      // Every item takes at least one byte, so a made-up count ends with the bytes.
      for (let left = major === MAP ? argument * 2 : argument; left > 0; left--) {
        at = endOfItem(bytes, at, depth - 1)
        if (at === -1) return -1
      }
      return at
    default:
      return -1
  }
}

/** The argument in its shortest form (RFC 8949 §4.2.1), or null. */
function readArgument(bytes: Uint8Array, start: number, length: number): number | null {
  let value = 0
  for (let i = start; i < start + length; i++) value = value * 256 + (bytes[i] as number)
  const smallest = length === 1 ? 24 : 256 ** (length / 2)
  return value >= smallest ? value : null
}

/** false, true, null, undefined, and floating-point numbers of 2, 4 or 8 bytes. */
function endOfSimple(bytes: Uint8Array, start: number, info: number): number {
  if (info >= 20 && info <= 23) return start + 1
  if (info < 25 || info > 27) return -1
  const end = start + 1 + (1 << (info - 24))
  return end <= bytes.length ? end : -1
}
