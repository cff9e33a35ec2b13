/**
 * The group of Ed25519 in BigInt, for making signatures that no honest signer makes: with points of small and of mixed
 * order, in other spellings, and with scalars that are too great. Slow, and not for secrets.
 */
import { createHash } from 'node:crypto'

/** Extended coordinates: x = X/Z, y = Y/Z, T = XY/Z. */
export type Point = readonly [bigint, bigint, bigint, bigint]

const P = 2n ** 255n - 19n
/** The order of the group that the base point generates. */
export const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

const mod = (a: bigint, m = P): bigint => ((a % m) + m) % m

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = (b * b) % P) if (e & 1n) result = (result * b) % P
  return result
}

const inverse = (a: bigint): bigint => power(a, P - 2n)
const D = mod(-121665n * inverse(121666n))
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n)

export function add(a: Point, b: Point): Point {
  const [aa, bb] = [mod((a[1] - a[0]) * (b[1] - b[0])), mod((a[1] + a[0]) * (b[1] + b[0]))]
  const [c, d] = [mod(2n * a[3] * b[3] * D), mod(2n * a[2] * b[2])]
  const [e, f, g, h] = [bb - aa, d - c, d + c, bb + aa]
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)]
}

export function times(scalar: bigint, point: Point): Point {
  let result: Point = [0n, 1n, 1n, 0n]
  for (let k = scalar, p = point; k > 0n; k >>= 1n, p = add(p, p)) if (k & 1n) result = add(result, p)
  return result
}

/** The point with this y and this sign of x (0 or 1), or null when there is none. */
export function pointAt(y: bigint, sign: bigint): Point | null {
  const [u, v] = [mod(y * y - 1n), mod(D * y * y + 1n)]
  let x = mod(u * power(v, 3n) * power(u * power(v, 7n), (P - 5n) / 8n))
  const square = mod(v * x * x)
  if (square === mod(-u)) x = mod(x * ROOT_OF_MINUS_ONE)
  else if (square !== u) return null
  if ((x & 1n) !== sign) x = mod(-x)
  return [x, mod(y), 1n, mod(x * y)]
}

export function littleEndian(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse()
}

function fromLittleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
}

/** The one spelling of a point. */
export function encoded([x, y, z]: Point): Buffer {
  const over = inverse(z)
  const bytes = littleEndian(mod(y * over))
  bytes.writeUInt8(bytes.readUInt8(31) | (Number(mod(x * over) & 1n) << 7), 31)
  return bytes
}

/** The other spelling of the points that have one: those with y below 19. */
export function spelledOtherwise(y: bigint, sign: bigint): Buffer {
  const bytes = littleEndian(y + P)
  bytes.writeUInt8(bytes.readUInt8(31) | (Number(sign) << 7), 31)
  return bytes
}

export const BASE = pointAt(mod(4n * inverse(5n)), 0n) as Point

/** A point of order 8: all points of small order are its multiples. */
export const TORSION = findTorsion()

function findTorsion(): Point {
  for (let y = 2n; ; y++) {
    const point = pointAt(y, 0n)
    if (point === null) continue
    const small = times(ORDER, point)
    if (!encoded(times(4n, small)).equals(encoded([0n, 1n, 1n, 0n]))) return small
  }
}

/** SHA-512 of `parts`, as a scalar. */
export function scalarOf(...parts: Uint8Array[]): bigint {
  return fromLittleEndian(createHash('sha512').update(Buffer.concat(parts)).digest()) % ORDER
}
