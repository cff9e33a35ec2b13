import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import nacl from 'tweetnacl'
import { ConfigInvalid } from '../../src/config.ts'
import { opensslEd25519 } from '../../src/core/ed25519.ts'
import { chooseCrypto, nodeCrypto } from '../../src/crypto.ts'
import { libsodiumOf, loadLibsodium } from '../../src/libsodium.ts'
import { tweetnaclBox } from '../../src/nats/xkey.ts'
import {
  add,
  BASE,
  encoded,
  littleEndian,
  ORDER,
  type Point,
  pointAt,
  scalarOf,
  spelledOtherwise,
  TORSION,
  times,
} from '../support/edwards25519.ts'

const libsodium = loadLibsodium()
assert.ok(libsodium, 'the optional package sodium-native is not installed')
const both = [libsodium.ed25519, opensslEd25519]

/** What both say; fails when they differ. */
function verdict(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const [native, openssl] = both.map((ed25519) => ed25519.publicKey(key).verify(message, signature))
  assert.equal(native, openssl, [key, message, signature].map((bytes) => Buffer.from(bytes).toString('hex')).join(' '))
  return native === true
}

describe('libsodium and node:crypto', () => {
  test('make the same keys and the same signatures, which both accept', () => {
    for (let i = 0; i < 300; i++) {
      const seed = randomBytes(32)
      const message = randomBytes(i < 4 ? i : randomInt(4_096))
      const [native, openssl] = both.map((ed25519) => ed25519.privateKey(seed))
      assert.deepEqual(Buffer.from(native?.publicKey ?? []), Buffer.from(openssl?.publicKey ?? [1]))
      const [signature, other] = [native, openssl].map((key) => key?.sign(message) ?? new Uint8Array(0))
      assert.deepEqual(Buffer.from(signature as Uint8Array), Buffer.from(other as Uint8Array))
      assert.equal(verdict(native?.publicKey as Uint8Array, message, signature as Uint8Array), true)
    }
  })

  test('refuse the same of what was changed by a bit', () => {
    const key = opensslEd25519.privateKey(randomBytes(32))
    const message = randomBytes(64)
    const signature = key.sign(message)
    const parts = [key.publicKey, message, signature] as const
    for (const changed of parts) {
      for (let bit = 0; bit < changed.length * 8; bit++) {
        const copy = Uint8Array.from(changed)
        copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
        const [k, m, s] = parts.map((part) => (part === changed ? copy : part)) as [Uint8Array, Uint8Array, Uint8Array]
        assert.equal(verdict(k, m, s), false)
      }
    }
  })

  test('refuse the same of what is too short or too long', () => {
    const key = opensslEd25519.privateKey(randomBytes(32))
    const message = randomBytes(40)
    const signature = key.sign(message)
    const longer = Buffer.concat([signature, Buffer.alloc(1)])
    for (const other of [new Uint8Array(0), signature.subarray(0, 63), longer]) assert.equal(verdict(key.publicKey, message, other), false)
    for (const other of [new Uint8Array(0), key.publicKey.subarray(1), Buffer.concat([key.publicKey, Buffer.alloc(1)])]) {
      assert.equal(verdict(other, message, signature), false)
    }
    for (const ed25519 of both) for (const bytes of [0, 31, 33, 64]) assert.throws(() => ed25519.privateKey(new Uint8Array(bytes)))
  })

  test('read signatures and messages that are parts of longer bytes', () => {
    const key = opensslEd25519.privateKey(randomBytes(32))
    const whole = randomBytes(300)
    const message = whole.subarray(17, 91)
    whole.set(key.sign(message), 120)
    assert.equal(verdict(key.publicKey, message, whole.subarray(120, 184)), true)
    assert.equal(verdict(key.publicKey, message, whole.subarray(121, 185)), false)
  })

  // Every combination of what an implementation may forget to check, each with a scalar that fits and ones that do not.
  test('judge alike what no honest signer makes, and accept only what has one reading', () => {
    const a = scalarOf(randomBytes(32))
    const counts = { accepted: 0, refused: 0 }
    const torsions = Array.from({ length: 8 }, (_, i) => times(BigInt(i), TORSION))
    const identity = torsions[0] as Point
    const keys = [...torsions.map((torsion) => ({ point: add(times(a, BASE), torsion), scalar: a, small: false }))]
    for (const torsion of torsions) keys.push({ point: torsion, scalar: 0n, small: true })
    for (const { point, scalar, small } of keys) {
      const key = encoded(point)
      for (let i = 0; i < 8; i++) {
        for (const r of [0n, scalarOf(randomBytes(32))]) {
          const R = add(times(r, BASE), torsions[i] ?? identity)
          const message = randomBytes(32)
          const k = scalarOf(encoded(R), key, message)
          const s = (r + k * scalar) % ORDER
          // RFC 8032 without the cofactor: S·B = R + k·A, point by point.
          const fits = encoded(times(s, BASE)).equals(encoded(add(R, times(k, point))))
          const sound = fits && !small && r !== 0n
          for (const [scalarOfSignature, expected] of [
            [s, sound],
            [s + ORDER, false],
            [s + 8n * ORDER, false],
            [(s + 1n) % ORDER, false],
          ] as const) {
            const signature = Buffer.concat([encoded(R), littleEndian(scalarOfSignature)])
            assert.equal(verdict(key, message, signature), expected)
            counts[expected ? 'accepted' : 'refused']++
          }
        }
      }
    }
    // The honest key and signature, and those of mixed order that fit by chance, are among them.
    assert.ok(counts.accepted >= 1)
    assert.equal(counts.accepted + counts.refused, 16 * 8 * 2 * 4)
  })

  test('accept what fits without the cofactor although key and R are of mixed order', () => {
    const a = scalarOf(randomBytes(32))
    const point = add(times(a, BASE), TORSION)
    const key = encoded(point)
    let accepted = 0
    for (let tries = 0; accepted < 4; tries++) {
      assert.ok(tries < 400)
      const r = scalarOf(randomBytes(32))
      const R = encoded(add(times(r, BASE), times(BigInt(tries % 8), TORSION)))
      const message = randomBytes(8)
      const k = scalarOf(R, key, message)
      // S·B = R + k·A holds when the points of small order cancel out.
      const fits = (BigInt(tries % 8) + k) % 8n === 0n
      assert.equal(verdict(key, message, Buffer.concat([R, littleEndian((r + k * a) % ORDER)])), fits)
      if (fits) accepted++
    }
  })

  test('refuse keys and points in a second spelling', () => {
    const honest = opensslEd25519.privateKey(randomBytes(32))
    let spelt = 0
    for (let y = 0n; y < 19n; y++) {
      for (const sign of [0n, 1n]) {
        const other = spelledOtherwise(y, sign)
        const s = scalarOf(randomBytes(32))
        const message = randomBytes(16)
        assert.equal(verdict(other, message, Buffer.concat([encoded(times(s, BASE)), littleEndian(s)])), false)
        assert.equal(verdict(honest.publicKey, message, Buffer.concat([other, littleEndian(s)])), false)
        if (pointAt(y, sign) !== null) spelt++
      }
    }
    assert.ok(spelt > 20)
    // −0 is no number of its own.
    for (const y of [1n, 2n ** 255n - 20n]) {
      const negativeZero = littleEndian(y)
      negativeZero.writeUInt8(negativeZero.readUInt8(31) | 0x80, 31)
      assert.equal(verdict(negativeZero, randomBytes(9), Buffer.concat([encoded(BASE), littleEndian(1n)])), false)
    }
  })

  test('refuse the same of bytes that are nothing', () => {
    for (let i = 0; i < 2_000; i++) assert.equal(verdict(randomBytes(32), randomBytes(12), randomBytes(64)), false)
  })

  test('seal the same boxes and open the same ones', () => {
    for (let i = 0; i < 300; i++) {
      const [key, nonce, plain] = [randomBytes(32), randomBytes(24), randomBytes(i < 4 ? i : randomInt(4_096))]
      const boxes: Buffer[] = [libsodium.secretBox, tweetnaclBox].map((box) => Buffer.from(box.seal(plain, nonce, key)))
      assert.deepEqual(boxes[0], boxes[1])
      const sealed = boxes[0] as Buffer
      for (const box of [libsodium.secretBox, tweetnaclBox]) assert.deepEqual(Buffer.from(box.open(sealed, nonce, key) ?? []), plain)
      const changed = Buffer.from(sealed)
      changed.writeUInt8(changed.readUInt8(i % changed.length) ^ (1 << (i & 7)), i % changed.length)
      for (const other of [
        changed,
        sealed.subarray(1),
        sealed.subarray(0, 15),
        Buffer.concat([sealed, Buffer.alloc(1)]),
        new Uint8Array(0),
      ]) {
        for (const box of [libsodium.secretBox, tweetnaclBox]) assert.equal(box.open(other, nonce, key), null)
      }
      for (const box of [libsodium.secretBox, tweetnaclBox]) assert.equal(box.open(sealed, nonce, randomBytes(32)), null)
    }
  })

  test("a box's shared key is the one that nkeys' boxes use", () => {
    const [ours, theirs] = [nacl.box.keyPair(), nacl.box.keyPair()]
    const nonce = randomBytes(24)
    const sealed = nacl.box(randomBytes(100), nonce, theirs.publicKey, ours.secretKey)
    const shared = nacl.box.before(ours.publicKey, theirs.secretKey)
    assert.deepEqual(libsodium.secretBox.open(sealed, nonce, shared), nacl.box.open(sealed, nonce, ours.publicKey, theirs.secretKey))
  })
})

describe('another libsodium', () => {
  const real: Record<string, unknown> = createRequire(import.meta.url)('sodium-native')

  test('is used while it answers alike', () => assert.equal(libsodiumOf({ ...real })?.name, 'libsodium'))

  const verifies = real['crypto_sign_verify_detached'] as (...args: Uint8Array[]) => boolean
  const mixed = 'a5b8cfb30f6a4497'
  const zero = (name: string) => ({
    [name]: (out: Uint8Array, ...rest: unknown[]) => {
      const made: unknown = (real[name] as (...args: unknown[]) => unknown)(out, ...rest)
      out[0] = (out[0] as number) ^ 1
      return made
    },
  })
  for (const [what, change] of [
    ['accepts every signature', { crypto_sign_verify_detached: () => true }],
    ['refuses every signature', { crypto_sign_verify_detached: () => false }],
    [
      'multiplies by the cofactor',
      {
        crypto_sign_verify_detached: (signature: Uint8Array, ...rest: Uint8Array[]) =>
          Buffer.from(signature).toString('hex').startsWith(mixed) || verifies(signature, ...rest),
      },
    ],
    ['signs otherwise', zero('crypto_sign_detached')],
    ['makes other keys', zero('crypto_sign_seed_keypair')],
    ['seals otherwise', zero('crypto_secretbox_easy')],
    ['opens otherwise', zero('crypto_secretbox_open_easy')],
    ['opens every box', { crypto_secretbox_open_easy: () => true }],
    ['lacks a function', { crypto_secretbox_open_easy: undefined }],
  ] as const) {
    test(`is not used when it ${what}`, () => assert.equal(libsodiumOf({ ...real, ...change }), null))
  }

  test('is not used when it is no module', () => {
    for (const loaded of [null, undefined, 'sodium', 7, {}]) assert.equal(libsodiumOf(loaded), null)
  })
})

describe('the choice', () => {
  test('is libsodium where nobody says otherwise', () => {
    for (const wanted of [undefined, 'auto']) assert.equal(chooseCrypto(wanted).name, 'libsodium')
  })

  test('is what comes with Node where that is asked for', () => assert.equal(chooseCrypto('node'), nodeCrypto))

  test('is refused where it means nothing', () => {
    for (const wanted of ['', 'openssl', 'libsodium ', 'Node']) assert.throws(() => chooseCrypto(wanted), ConfigInvalid)
  })
})
