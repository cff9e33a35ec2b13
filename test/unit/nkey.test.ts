import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createPair, createUser, fromPublic, Prefix } from 'nkeys.js'
import { ed25519PrivateKey, ed25519PublicKey, ed25519RawPublic, ed25519Sign, ed25519Verify } from '../../src/core/ed25519.ts'
import { utf8 } from '../../src/core/encoding.ts'
import { decodePublicNkey, decodeSeed, encodePublicNkey, encodeSeed, type NkeyKind } from '../../src/core/nkey.ts'

const KINDS: Record<NkeyKind, Prefix> = { N: Prefix.Server, A: Prefix.Account, U: Prefix.User, O: Prefix.Operator, X: Prefix.Curve }
const SIGNING_KINDS = ['N', 'A', 'U', 'O'] as const
const ALL_KINDS = Object.keys(KINDS) as NkeyKind[]
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

describe('the nkey codec and nkeys.js', () => {
  test('read and write the same 1000 seeds', () => {
    for (let i = 0; i < 1000; i++) {
      const kind = ALL_KINDS[i % ALL_KINDS.length] as NkeyKind
      const theirs = new TextDecoder().decode(createPair(KINDS[kind]).getSeed())
      const raw = decodeSeed(kind, theirs)
      assert.ok(raw)
      assert.equal(encodeSeed(kind, raw), theirs)
    }
  })

  test('read the same 1000 public keys', () => {
    for (let i = 0; i < 1000; i++) {
      const kind = ALL_KINDS[i % ALL_KINDS.length] as NkeyKind
      const raw = new Uint8Array(randomBytes(32))
      const text = encodePublicNkey(kind, raw)
      assert.equal(fromPublic(text).getPublicKey(), text)
      assert.deepEqual(decodePublicNkey(kind, text), raw)
    }
  })

  test('agree on public keys both ways', () => {
    for (let i = 0; i < 100; i++) {
      const kind = SIGNING_KINDS[i % SIGNING_KINDS.length] as (typeof SIGNING_KINDS)[number]
      const pair = createPair(KINDS[kind])
      const theirs = pair.getPublicKey()
      const seed = decodeSeed(kind, new TextDecoder().decode(pair.getSeed()))
      assert.ok(seed)
      const raw = ed25519RawPublic(ed25519PrivateKey(seed))
      assert.equal(encodePublicNkey(kind, raw), theirs)
      assert.deepEqual(decodePublicNkey(kind, theirs), raw)
      assert.equal(fromPublic(encodePublicNkey(kind, raw)).getPublicKey(), theirs)
    }
  })

  test('agree on curve keys', () => {
    const pair = createPair(Prefix.Curve)
    assert.ok(decodePublicNkey('X', pair.getPublicKey()))
    assert.ok(decodeSeed('X', new TextDecoder().decode(pair.getSeed())))
  })

  test("make the same signatures, and verify each other's", () => {
    const pair = createUser()
    const key = ed25519PrivateKey(decodeSeed('U', new TextDecoder().decode(pair.getSeed())) as Uint8Array)
    const publicKey = ed25519PublicKey(decodePublicNkey('U', pair.getPublicKey()) as Uint8Array)
    for (const message of [new Uint8Array(0), utf8('a nonce'), new Uint8Array(randomBytes(500))]) {
      const ours = ed25519Sign(key, message)
      assert.deepEqual(new Uint8Array(ours), new Uint8Array(pair.sign(message)))
      assert.equal(pair.verify(message, ours), true)
      assert.equal(ed25519Verify(publicKey, message, pair.sign(message)), true)
      assert.equal(ed25519Verify(publicKey, concatByte(message), ours), false)
    }
  })
})

function concatByte(message: Uint8Array): Uint8Array {
  return new Uint8Array([...message, 0])
}

describe('a public nkey', () => {
  const text = encodePublicNkey(
    'U',
    new Uint8Array(32).map((_, i) => i * 7),
  )

  test('of another kind is not one', () => {
    for (const kind of ALL_KINDS) {
      const other = encodePublicNkey(kind, new Uint8Array(32))
      for (const asked of ALL_KINDS) assert.equal(decodePublicNkey(asked, other) !== null, asked === kind)
    }
  })

  test('whose prefix byte belies its first letter is not one', () => {
    // The first letter carries five of the prefix's eight bits: the other three must be zero as well.
    const swapped = `U${encodePublicNkey('A', new Uint8Array(32)).slice(1)}`
    assert.equal(decodePublicNkey('U', swapped), null)
  })

  test('with any one character changed is not one', () => {
    for (let at = 0; at < text.length; at++) {
      for (const char of ALPHABET) {
        if (char === text.charAt(at)) continue
        assert.equal(decodePublicNkey('U', text.slice(0, at) + char + text.slice(at + 1)), null)
      }
    }
  })

  test('in lower case, padded, shortened, lengthened or with foreign characters is not one', () => {
    const bad = [
      '',
      'U',
      text.toLowerCase(),
      `${text}=`,
      ` ${text}`,
      `${text} `,
      text.slice(0, -1),
      `${text}A`,
      `U1${text.slice(2)}`,
      `U0${text.slice(2)}`,
      `Ué${text.slice(2)}`,
      `U😀${text.slice(3)}`,
      'U'.repeat(56),
      '\0'.repeat(56),
    ]
    for (const candidate of bad) assert.equal(decodePublicNkey('U', candidate), null, candidate)
  })

  test('with two bytes swapped is not one', () => {
    const swapped = text.slice(0, 8) + text.slice(16, 24) + text.slice(8, 16) + text.slice(24)
    assert.equal(decodePublicNkey('U', swapped), null)
  })

  test('never comes out of random text, and reading never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 56, maxLength: 56 }), fc.string(), (plausible, any) => {
        assert.equal(decodePublicNkey('U', plausible), null)
        assert.equal(decodePublicNkey('U', any), null)
        assert.equal(decodeSeed('U', any), null)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a seed', () => {
  const text = encodeSeed('U', new Uint8Array(32).fill(5))

  test('of another kind is not one', () => {
    for (const kind of ['N', 'A', 'O', 'X'] as const) assert.equal(decodeSeed(kind, text), null)
  })

  test('is not a public key, and a public key is not a seed', () => {
    const publicKey = encodePublicNkey('U', new Uint8Array(32))
    assert.equal(decodePublicNkey('U', text), null)
    assert.equal(decodeSeed('U', publicKey), null)
    assert.equal(decodeSeed('U', `S${publicKey.slice(1)}AA`), null)
  })

  test('with a changed character or another length is not one', () => {
    assert.equal(decodeSeed('U', text.slice(0, -1)), null)
    assert.equal(decodeSeed('U', `${text}A`), null)
    for (let at = 0; at < text.length; at++) {
      const char = text.charAt(at) === 'A' ? 'B' : 'A'
      assert.equal(decodeSeed('U', text.slice(0, at) + char + text.slice(at + 1)), null, `at ${at}`)
    }
  })
})
