import assert from 'node:assert/strict'
import { generateKeyPairSync, verify } from 'node:crypto'
import { describe, test } from 'node:test'
import { coseKeyOf, parseCoseKey, verifyCoseSignature } from '../../src/core/webauthn/cose-key.ts'
import { bytesOf, coseBytes, EC_CURVES, ecKeyOn } from '../support/assertion-case.ts'
import { b64u, testKey } from '../support/test-authenticator.ts'

type Members = [number, unknown][]

const p256 = ecKeyOn(EC_CURVES[0] as (typeof EC_CURVES)[number]).members
const p384 = ecKeyOn(EC_CURVES[1] as (typeof EC_CURVES)[number]).members
const rsa = rsaMembers(2048)
const ed25519: Members = [
  [1, 1],
  [3, -8],
  [-1, 6],
  [-2, bytesOf(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x ?? '')],
]

function rsaMembers(modulusLength: number): Members {
  const jwk = generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
  return [
    [1, 3],
    [3, -257],
    [-1, bytesOf(jwk.n ?? '')],
    [-2, bytesOf(jwk.e ?? '')],
  ]
}

/** `members` with some replaced, added, or (undefined) removed. */
function changed(members: Members, changes: Members): Uint8Array {
  const map = new Map(members)
  for (const [label, value] of changes) {
    if (value === undefined) map.delete(label)
    else map.set(label, value)
  }
  return coseBytes([...map])
}

function bytesIn(members: Members, label: number): Uint8Array {
  const value = new Map(members).get(label)
  assert.ok(value instanceof Uint8Array)
  return value
}

describe('a key whose algorithm, type and curve fit is read', () => {
  for (const curve of EC_CURVES) {
    test(`on ${curve.name}`, () => {
      const key = ecKeyOn(curve)
      const read = parseCoseKey(coseBytes(key.members))
      assert.ok(read.ok)
      assert.equal(read.value.alg, curve.alg)
      const message = Buffer.from('message')
      assert.equal(verifyCoseSignature(read.value, message, key.sign(message)), true)
      assert.equal(verifyCoseSignature(read.value, Buffer.from('other'), key.sign(message)), false)
    })
  }
  test('with Ed25519', () => assert.deepEqual(algOf(coseBytes(ed25519)), -8))
  test('with RSA of 2048 and of 4096 bits', () => {
    assert.equal(algOf(coseBytes(rsa)), -257)
    // Making a real key of this size takes seconds; of a modulus only the size is judged.
    const modulus = new Uint8Array(512).fill(0xff)
    assert.equal(algOf(changed(rsa, [[-1, modulus]])), -257)
  })
  test('from the middle of a larger buffer', () => {
    const bytes = coseBytes(p256)
    const larger = new Uint8Array(bytes.length + 20)
    larger.set(bytes, 9)
    assert.equal(algOf(larger.subarray(9, 9 + bytes.length)), -7)
  })
})

function algOf(bytes: Uint8Array): number | null {
  const read = parseCoseKey(bytes)
  return read.ok ? read.value.alg : null
}

describe('algorithm_refused is the answer to', () => {
  const bad: [string, Uint8Array][] = [
    ['no bytes', new Uint8Array(0)],
    ['bytes that are no map', Uint8Array.of(0x80)],
    ['an empty map', Uint8Array.of(0xa0)],
    ['a map with a byte after it', Uint8Array.of(...coseBytes(p256), 0)],
    ['a map with one label twice', Uint8Array.of(0xa6, ...coseBytes(p256).subarray(1), 0x03, 0x26)],
    ['more than a kibibyte', changed(p256, [[-4, new Uint8Array(1024)]])],
    ['an algorithm nobody verifies (RS1)', changed(rsa, [[3, -65535]])],
    [
      'an algorithm nobody verifies (Ed448)',
      changed(ed25519, [
        [3, -53],
        [-1, 7],
        [-2, new Uint8Array(57)],
      ]),
    ],
    [
      'an algorithm nobody verifies (ES256K)',
      changed(p256, [
        [3, -47],
        [-1, 8],
      ]),
    ],
    ['an algorithm that is a text', changed(p256, [[3, 'ES256']])],
    ['no algorithm', changed(p256, [[3, undefined]])],
    ['no key type', changed(p256, [[1, undefined]])],
    ['an EC key for RS256', changed(p256, [[3, -257]])],
    ['an EC key for EdDSA', changed(p256, [[3, -8]])],
    ['an RSA key for ES256', changed(rsa, [[3, -7]])],
    ['an RSA key for EdDSA', changed(rsa, [[3, -8]])],
    ['an Ed25519 key for ES256', changed(ed25519, [[3, -7]])],
    ['an Ed25519 key for RS256', changed(ed25519, [[3, -257]])],
    ['a P-256 key for ES384', changed(p256, [[3, -35]])],
    ['a P-384 key for ES256', changed(p384, [[3, -7]])],
    [
      'a P-384 key that says P-256',
      changed(p384, [
        [3, -7],
        [-1, 1],
      ]),
    ],
    ['a P-256 key of type OKP', changed(p256, [[1, 1]])],
    ['an RSA key of type EC2', changed(rsa, [[1, 2]])],
    ['an RSA key with a member more', changed(rsa, [[-4, new Uint8Array(4)]])],
    ['a y that is too long', changed(p256, [[-3, Uint8Array.of(0, ...bytesIn(p256, -3))]])],
    ['an Ed25519 key on another curve', changed(ed25519, [[-1, 4]])],
    ['an x that is too short', changed(p256, [[-2, bytesIn(p256, -2).subarray(1)]])],
    ['an x that is too long', changed(p256, [[-2, Uint8Array.of(0, ...bytesIn(p256, -2))]])],
    ['a compressed point', changed(p256, [[-3, true]])],
    ['no y', changed(p256, [[-3, undefined]])],
    ['a point off the curve', changed(p256, [[-3, bytesIn(p256, -2)]])],
    [
      'the point of zeros',
      changed(p256, [
        [-2, new Uint8Array(32)],
        [-3, new Uint8Array(32)],
      ]),
    ],
    ['a member more (a private key)', changed(p256, [[-4, new Uint8Array(32)]])],
    ['a member more (key operations)', changed(ed25519, [[4, [2]]])],
    ['a short Ed25519 key', changed(ed25519, [[-2, new Uint8Array(31)]])],
    ['an Ed25519 key that is a text', changed(ed25519, [[-2, 'x'.repeat(32)]])],
    ['RSA of 1024 bits', coseBytes(rsaMembers(1024))],
    ['RSA of 2047 bits', changed(rsa, [[-1, Uint8Array.of(0x7f, ...bytesIn(rsa, -1).subarray(1))]])],
    ['RSA of 4104 bits', changed(rsa, [[-1, new Uint8Array(513).fill(0xff)]])],
    ['an RSA modulus with a leading zero', changed(rsa, [[-1, Uint8Array.of(0, ...bytesIn(rsa, -1))]])],
    ['an even RSA modulus', changed(rsa, [[-1, new Uint8Array(256).fill(0xfe)]])],
    ['an empty RSA modulus', changed(rsa, [[-1, new Uint8Array(0)]])],
    ['no RSA modulus', changed(rsa, [[-1, undefined]])],
    ['the RSA exponent 1', changed(rsa, [[-2, Uint8Array.of(1)]])],
    ['an even RSA exponent', changed(rsa, [[-2, Uint8Array.of(1, 0, 0)]])],
    ['an RSA exponent with a leading zero', changed(rsa, [[-2, Uint8Array.of(0, 1, 0, 1)]])],
    ['an RSA exponent of five bytes', changed(rsa, [[-2, Uint8Array.of(1, 0, 0, 0, 1)]])],
    ['an empty RSA exponent', changed(rsa, [[-2, new Uint8Array(0)]])],
  ]
  for (const [what, bytes] of bad) {
    test(what, () => assert.deepEqual(parseCoseKey(bytes), { ok: false, denial: 'algorithm_refused' }))
  }
})

describe('an Ed25519 key of small order', () => {
  const IDENTITY = `01${'00'.repeat(31)}`
  const SIGN = 0x80
  const points = [
    '00'.repeat(32),
    IDENTITY,
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}7f`,
    `ee${'ff'.repeat(30)}7f`,
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  ].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))

  test('is refused with either sign', () => {
    for (const point of points) {
      assert.equal(algOf(changed(ed25519, [[-2, point]])), null)
      const negative = Uint8Array.from(point)
      negative[31] = (negative[31] as number) ^ SIGN
      assert.equal(algOf(changed(ed25519, [[-2, negative]])), null)
    }
  })

  test('would let anybody sign: one signature fits many messages', async () => {
    const { createPublicKey } = await import('node:crypto')
    const signature = Buffer.concat([Buffer.from(IDENTITY, 'hex'), Buffer.alloc(32)])
    const identity = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: b64u(points[1] as Uint8Array) }, format: 'jwk' })
    const fitting = Array.from({ length: 16 }, (_, i) => verify(null, Buffer.from([i]), identity, signature)).filter(Boolean)
    assert.equal(fitting.length, 16)
  })
})

describe('the key of a record', () => {
  test('is parsed once', () => {
    const text = b64u(testKey().cose)
    const first = coseKeyOf(text)
    assert.ok(first.ok)
    assert.equal(coseKeyOf(`${text}`), first)
  })
  test('that is no base64url is algorithm_refused', () => assert.deepEqual(coseKeyOf('a b'), { ok: false, denial: 'algorithm_refused' }))
  test('is still right after ten thousand others', () => {
    const text = b64u(testKey().cose)
    const first = coseKeyOf(text)
    const x = Buffer.from(bytesIn(ed25519, -2))
    for (let i = 0; i < 10_000; i++) {
      x.writeUInt32BE(i)
      coseKeyOf(b64u(changed(ed25519, [[-2, Uint8Array.from(x)]])))
    }
    const again = coseKeyOf(text)
    assert.notEqual(again, first)
    assert.ok(again.ok && first.ok && again.value.keyObject.equals(first.value.keyObject))
  })
})
