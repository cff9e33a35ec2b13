import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import { isStrictEcdsaSignature } from '../../src/core/webauthn/strict-der.ts'

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const R = '11'.repeat(32)
const S = '22'.repeat(32)
const HIGH = `ff${'11'.repeat(31)}`
const int = (hex: string) => `02 ${(hex.replaceAll(' ', '').length / 2).toString(16).padStart(2, '0')} ${hex}`
const seq = (hex: string, extra = 0) => `30 ${(hex.replaceAll(' ', '').length / 2 + extra).toString(16).padStart(2, '0')} ${hex}`

describe('a P-256 signature in DER is read', () => {
  const good: [string, string][] = [
    ['with r and s of full size', seq(int(R) + int(S))],
    ['with the zero that keeps a high number positive', seq(int(`00 ${HIGH}`) + int(S))],
    ['with r and s of one byte', seq(int('01') + int('7f'))],
    ['with a high number of one byte', seq(int('00 80') + int('01'))],
  ]
  for (const [what, hex] of good) test(what, () => assert.equal(isStrictEcdsaSignature(bytes(hex), 32), true))
})

// After the categories of malleable encodings that lenient parsers are known to read.
const bad: [string, string][] = [
  ['empty', ''],
  ['a tag alone', '30'],
  ['an empty sequence', '30 00'],
  ['a set instead of a sequence', `31 ${seq(int(R) + int(S)).slice(2)}`],
  ['raw r and s', R + S],
  ['a length in long form that fits the short one', `30 81 44 ${int(R)}${int(S)}`],
  ['a length of two bytes', `30 82 00 44 ${int(R)}${int(S)}`],
  ['a length of four bytes', `30 84 00 00 00 44 ${int(R)}${int(S)}`],
  ['a long form without a length', '30 81'],
  ['an indefinite length', `30 80 ${int(R)}${int(S)} 00 00`],
  ['a length of reserved form', `30 ff ${int(R)}${int(S)}`],
  ['a byte after the sequence', `${seq(int(R) + int(S))} 00`],
  ['a null after the sequence', `${seq(int(R) + int(S))} 05 00`],
  ['a null inside the sequence', seq(`${int(R)}${int(S)} 05 00`)],
  ['a third integer', seq(int(R) + int(S) + int('01'))],
  ['a sequence longer than the bytes', seq(int(R) + int(S), 1)],
  ['a sequence shorter than its integers', seq(int(R) + int(S), -1)],
  ['r alone', seq(int(R))],
  ['r padded with a zero', seq(int(`00 ${R}`) + int(S))],
  ['s padded with a zero', seq(int(R) + int(`00 ${S}`))],
  ['s padded with two zeros', seq(int(R) + int(`00 00 ${HIGH}`))],
  ['a negative r', seq(int(HIGH) + int(S))],
  ['a negative s', seq(int(R) + int('80'))],
  ['r = 0', seq(int('00') + int(S))],
  ['s = 0', seq(int(R) + int('00'))],
  ['s without bytes', seq(`${int(R)} 02 00`)],
  ['r as an octet string', seq(`04 20 ${R}${int(S)}`)],
  ['s as an enumerated', seq(`${int(R)} 0a 20 ${S}`)],
  ['an integer with a length in long form', seq(`02 81 20 ${R}${int(S)}`)],
  ['an integer of indefinite length', seq(`02 80 ${R} 00 00 ${int(S)}`)],
  ['an integer that ends after the sequence', seq(`${int(R)} 02 21 ${S}`)],
  ['r a byte too large', seq(int(`01 ${R}`) + int(S))],
  ['s a byte too large though high', seq(int(R) + int(`00 ${HIGH} 11`))],
]

describe('a P-256 signature is refused when it is', () => {
  for (const [what, hex] of bad) test(what, () => assert.equal(isStrictEcdsaSignature(bytes(hex), 32), false))
})

test('P-521 signatures need the long form, and get it in its shortest spelling only', () => {
  const body = int(`01 ${'33'.repeat(65)}`) + int(`01 ${'44'.repeat(65)}`)
  assert.equal(isStrictEcdsaSignature(bytes(`30 81 88 ${body}`), 66), true)
  assert.equal(isStrictEcdsaSignature(bytes(`30 82 00 88 ${body}`), 66), false)
  // 0x80 says that the length is indefinite, not that it is 128.
  const of128 = int('33'.repeat(62)) + int('44'.repeat(62))
  assert.equal(isStrictEcdsaSignature(bytes(`30 81 80 ${of128}`), 66), true)
  assert.equal(isStrictEcdsaSignature(bytes(`30 80 ${of128}`), 66), false)
})

for (const { curve, size, hash } of [
  { curve: 'P-256', size: 32, hash: 'sha256' },
  { curve: 'P-384', size: 48, hash: 'sha384' },
  { curve: 'P-521', size: 66, hash: 'sha512' },
]) {
  test(`every signature that OpenSSL makes on ${curve} is strict, and none stays so with a byte more or less`, () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: curve })
    for (let i = 0; i < 200; i++) {
      const signature = sign(hash, Buffer.from([i]), privateKey)
      assert.equal(isStrictEcdsaSignature(signature, size), true)
      assert.equal(isStrictEcdsaSignature(Buffer.concat([signature, Buffer.alloc(1)]), size), false)
      assert.equal(isStrictEcdsaSignature(signature.subarray(0, -1), size), false)
    }
  })
}
