import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { base64url, concat, equalBytes, fromBase64url, fromUtf8, lengthPrefixed, utf8 } from '../../src/core/encoding.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

describe('base64url', () => {
  test('writes what Node writes, for every length up to 130 bytes', () => {
    for (let length = 0; length <= 130; length++) {
      const bytes = randomBytes(length)
      assert.equal(base64url(bytes), bytes.toString('base64url'))
    }
  })

  test('reads back what it wrote', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.deepEqual(fromBase64url(base64url(bytes)), bytes)
      }),
    )
  })

  test('reads the empty text as no bytes', () => {
    assert.deepEqual(fromBase64url(''), new Uint8Array(0))
  })

  test('refuses every length that no bytes have', () => {
    for (const text of ['A', 'AAAAA', 'AAAAAAAAA']) assert.equal(fromBase64url(text), null)
  })

  test('accepts exactly one last character for each single byte, of all 64', () => {
    for (let byte = 0; byte < 256; byte++) {
      const first = ALPHABET.charAt(byte >> 2)
      const accepted = [...ALPHABET].filter((last) => {
        const read = fromBase64url(first + last)
        return read !== null && read[0] === byte
      })
      assert.equal(accepted.length, 1, `byte ${byte}`)
    }
  })

  test('refuses every non-canonical last character of one-byte and two-byte endings', () => {
    let refusedOne = 0
    let refusedTwo = 0
    for (const last of ALPHABET) {
      if (fromBase64url(`A${last}`) === null) refusedOne++
      if (fromBase64url(`AA${last}`) === null) refusedTwo++
    }
    assert.equal(refusedOne, 64 - 4)
    assert.equal(refusedTwo, 64 - 16)
  })

  test('refuses padding, white space, the standard alphabet and everything outside ASCII', () => {
    const bad = [
      'AA==',
      'AAA=',
      'AAAA=',
      'AA=A',
      ' AAA',
      'AAA ',
      'AA\nA',
      'AA\tA',
      'AA+A',
      'AA/A',
      'AA.A',
      'AA\0A',
      'AAé',
      'ＡＡＡＡ',
      'AA😀',
      '%41AA',
      'AA,A',
    ]
    for (const text of bad) assert.equal(fromBase64url(text), null, JSON.stringify(text))
  })

  test('refuses every character that is not of the alphabet, at every place', () => {
    for (let code = 0; code < 0x200; code++) {
      const char = String.fromCharCode(code)
      const isOfAlphabet = ALPHABET.includes(char)
      for (const text of [`${char}AAA`, `AA${char}A`]) assert.equal(fromBase64url(text) !== null, isOfAlphabet, `U+${code.toString(16)}`)
    }
  })

  test('two different texts never mean the same bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 12 }), (text) => {
        const bytes = fromBase64url(text)
        if (bytes !== null) assert.equal(base64url(bytes), text)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('UTF-8', () => {
  test('replaces nothing: malformed bytes have no text', () => {
    const malformed = [
      [0xff],
      [0xc3],
      [0xc3, 0x28],
      [0xe2, 0x82],
      [0xf0, 0x9f, 0x98],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
      [0x80],
    ]
    for (const bytes of malformed) assert.equal(fromUtf8(new Uint8Array(bytes)), null, String(bytes))
  })

  test('keeps a byte order mark, so that it cannot hide in front of JSON', () => {
    assert.equal(fromUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b])), '\ufeff{')
  })

  test('reads what it wrote', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        assert.equal(fromUtf8(utf8(text)), text)
      }),
    )
  })
})

describe('length prefixes', () => {
  test('count bytes, not characters, in four big-endian bytes', () => {
    assert.equal(Buffer.from(lengthPrefixed('é')).toString('hex'), '00000002c3a9')
    assert.equal(Buffer.from(lengthPrefixed('')).toString('hex'), '00000000')
    assert.equal(Buffer.from(lengthPrefixed(new Uint8Array(0x1_02_03)).subarray(0, 4)).toString('hex'), '00010203')
  })

  test('no bytes moved from one part to the next give the same string', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 6 }), { maxLength: 4 }),
        fc.array(fc.string({ maxLength: 6 }), { maxLength: 4 }),
        (a, b) => {
          const same = a.length === b.length && a.every((part, i) => equalBytes(utf8(part), utf8(b[i] ?? '')))
          assert.equal(equalBytes(lengthPrefixed(...a), lengthPrefixed(...b)), same)
        },
      ),
      { numRuns: 5000 },
    )
    assert.notDeepEqual(lengthPrefixed('ab', 'c'), lengthPrefixed('a', 'bc'))
    assert.notDeepEqual(lengthPrefixed('a', ''), lengthPrefixed('a'))
  })
})

test('concat joins in order and copies', () => {
  const part = new Uint8Array([1, 2])
  const joined = concat(part, new Uint8Array(0), new Uint8Array([3]))
  part[0] = 9
  assert.deepEqual(joined, new Uint8Array([1, 2, 3]))
  assert.deepEqual(concat(), new Uint8Array(0))
})

test('byte strings of different length or content are not equal', () => {
  assert.equal(equalBytes(new Uint8Array([1, 2]), new Uint8Array([1, 2])), true)
  assert.equal(equalBytes(new Uint8Array([1, 2]), new Uint8Array([1, 2, 0])), false)
  assert.equal(equalBytes(new Uint8Array([1, 2]), new Uint8Array([1, 3])), false)
  assert.equal(equalBytes(new Uint8Array([0, 2]), new Uint8Array([1, 2])), false)
  assert.equal(equalBytes(new Uint8Array(0), new Uint8Array(0)), true)
})
