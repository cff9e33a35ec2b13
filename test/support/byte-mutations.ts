/** Ways to change bytes: bits, lengths, pieces of itself and of others. What both fuzzers draw from. */
import type { Random } from './random.ts'

// Edges of the integers and lengths that binary formats are made of, and what begins an item of CBOR or DER.
const TELLING = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0xff, 0xfe, 0x17, 0x18, 0x19, 0x1b, 0x1f, 0x30, 0x02, 0xa0, 0xa1, 0xbf, 0x5f, 0xfb]
const bytesMaxDefault = 64 * 1024

type Change = (bytes: Uint8Array, random: Random, donor: Uint8Array) => Uint8Array

const CHANGES: readonly Change[] = [
  // One bit, one byte, a telling byte.
  (bytes, random) => withByte(bytes, random.below(bytes.length), (byte) => byte ^ (1 << random.below(8))),
  (bytes, random) => withByte(bytes, random.below(bytes.length), () => random.next()),
  (bytes, random) => withByte(bytes, random.below(bytes.length), () => random.pick(TELLING)),
  (bytes, random) => withByte(bytes, random.below(bytes.length), (byte) => byte + random.pick([1, -1])),
  // Cut at either end.
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => bytes.subarray(random.below(bytes.length)),
  // Something more, something less, something twice.
  (bytes, random) => spliced(bytes, random.below(bytes.length + 1), 0, random.bytes(1 + random.below(8))),
  (bytes, random) => spliced(bytes, random.below(bytes.length + 1), 0, Uint8Array.of(random.pick(TELLING))),
  (bytes, random) => spliced(bytes, random.below(bytes.length), 1 + random.below(8), new Uint8Array(0)),
  (bytes, random) => {
    const from = random.below(bytes.length)
    return spliced(bytes, random.below(bytes.length + 1), 0, bytes.subarray(from, from + 1 + random.below(32)))
  },
  (bytes, random) => spliced(bytes, bytes.length, 0, random.bytes(1 + random.below(4))),
  // A run of one byte.
  (bytes, random) => {
    const from = random.below(bytes.length)
    return Uint8Array.from(bytes).fill(random.pick(TELLING), from, from + 1 + random.below(16))
  },
  // A length, as two or four bytes, big-endian.
  (bytes, random) => {
    const value = random.pick([0, 1, bytes.length, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff])
    const four = Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
    return overwritten(bytes, random.below(bytes.length), random.once(2) ? four : four.subarray(2))
  },
  // The head of one and the tail of another; a piece of another in its place.
  (bytes, random, donor) =>
    spliced(bytes.subarray(0, random.below(bytes.length)), bytes.length, 0, donor.subarray(random.below(donor.length))),
  (bytes, random, donor) => {
    const from = random.below(donor.length)
    return overwritten(bytes, random.below(bytes.length), donor.subarray(from, from + 1 + random.below(32)))
  },
]

/** `bytes` with one to four changes, at most `bytesMax` long. `donor`: other bytes that pieces are taken from. */
export function mutateBytes(bytes: Uint8Array, random: Random, { donor = bytes, bytesMax = bytesMaxDefault } = {}): Uint8Array {
  let out = bytes
  for (let left = 1 + random.below(4); left > 0; left--) {
    out = out.length === 0 ? random.bytes(1 + random.below(16)) : random.pick(CHANGES)(out, random, donor)
  }
  return out.subarray(0, bytesMax)
}

function withByte(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const out = Uint8Array.from(bytes)
  out[at] = change(out[at] as number)
  return out
}

function overwritten(bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  const out = Uint8Array.from(bytes)
  out.set(piece.subarray(0, out.length - at), at)
  return out
}

function spliced(bytes: Uint8Array, at: number, removed: number, inserted: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.min(at, bytes.length) + inserted.length + Math.max(0, bytes.length - at - removed))
  out.set(bytes.subarray(0, at))
  out.set(inserted, Math.min(at, bytes.length))
  out.set(bytes.subarray(at + removed), Math.min(at, bytes.length) + inserted.length)
  return out
}
