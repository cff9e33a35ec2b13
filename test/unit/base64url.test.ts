/** Node's decoder and the one that SDKs share read exactly the same texts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64url } from '../../src/core/base64url.ts'
import { base64url, fromBase64url } from '../../src/core/encoding.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

describe('base64url', () => {
  test('what is encoded is decoded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.deepEqual(decodeBase64url(base64url(bytes)), bytes)
      }),
    )
  })

  test('every other spelling is refused', () => {
    const refused = [
      'A',
      'AB',
      'ABB',
      'AA==',
      'AAA=',
      'AA ',
      ' AA',
      'A\nA',
      'AA+A',
      'AA/A',
      'AA.A',
      'AAAA=',
      '====',
      'ÄAAA',
      'AAA\u0000',
      'ＡＡＡＡ',
    ]
    for (const text of refused) assert.equal(decodeBase64url(text), null, JSON.stringify(text))
  })

  test('both decoders say the same of any text', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...ALPHABET, '=', '+', '/', ' ', '\n', '.', 'é', '\ud800', '\u0100'), maxLength: 40 })
    const almost = fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 9 })
    fc.assert(
      fc.property(fc.oneof(nearly, almost, fc.string()), (text) => {
        assert.deepEqual(decodeBase64url(text), fromBase64url(text))
      }),
      { numRuns: 5_000 },
    )
  })

  test('what is decoded keeps its bytes while more is decoded', () => {
    const first = decodeBase64url('AQID')
    for (let i = 0; i < 10_000; i++) decodeBase64url('____')
    assert.deepEqual(first, Uint8Array.of(1, 2, 3))
  })
})
