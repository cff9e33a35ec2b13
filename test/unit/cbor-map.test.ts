import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isOneCborMap } from '../../src/core/webauthn/cbor-map.ts'

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

describe('one CBOR map is', () => {
  const good: [string, string][] = [
    ['empty', 'a0'],
    ['a text with a boolean', 'a1 61 61 f5'],
    ['every simple value', 'a4 01 f4 02 f5 03 f6 04 f7'],
    ['floats of every size', 'a3 01 f9 7e00 02 fa 40000000 03 fb 4000000000000000'],
    ['integers of every size', 'a5 00 17 01 18 18 02 19 0100 03 1a 00010000 04 1b 0000000100000000'],
    ['negative integers and bytes', 'a2 20 41 00 21 58 18 000000000000000000000000000000000000000000000000'],
    ['four levels', 'a1 01 81 81 01'],
    ['an array', 'a1 01 82 01 02'],
  ]
  for (const [what, hex] of good) test(what, () => assert.equal(isOneCborMap(bytes(hex), 0), true))
  test('found from where it starts', () => {
    assert.equal(isOneCborMap(bytes('ff ff a0'), 2), true)
    assert.equal(isOneCborMap(bytes('ff ff a0'), 1), false)
  })
})

describe('it is no map when it is', () => {
  const bad: [string, string][] = [
    ['nothing', ''],
    ['an array', '80'],
    ['followed by a byte', 'a0 00'],
    ['followed by another map', 'a0 a0'],
    ['cut in the middle of a pair', 'a1 01'],
    ['cut in the middle of a length', 'a1 01 19 01'],
    ['a string that claims more bytes than there are', 'a1 01 45 0102'],
    ['a text that claims 4 GiB', 'a1 01 7a ffffffff 00'],
    ['a text that claims 2^64 - 1 bytes', 'a1 01 7b ffffffffffffffff 00'],
    ['an array that claims 4 Gi items', 'a1 01 9a ffffffff 00'],
    ['a map that claims 2^64 - 1 pairs', 'bb ffffffffffffffff 00'],
    ['of indefinite length', 'bf ff'],
    ['with a string of indefinite length', 'a1 01 5f 4100 ff'],
    ['with a length in a longer form than needed', 'a1 01 58 01 00'],
    ['with a number in a longer form than needed', 'a1 01 1b 00000000ffffffff'],
    ['with a tag', 'a1 01 c0 61 61'],
    ['with a break', 'a1 01 ff'],
    ['with an unassigned simple value', 'a1 01 f8 20'],
    ['with a reserved form', 'a1 01 1c'],
    ['with a float cut short', 'a1 01 fb 40000000'],
    ['five levels deep', 'a1 01 81 81 81 01'],
    ['thousands of levels deep', `a1 01 ${'81'.repeat(2000)} 01`],
  ]
  for (const [what, hex] of bad) test(what, () => assert.equal(isOneCborMap(bytes(hex), 0), false))
})

test('random bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (tail) => typeof isOneCborMap(Uint8Array.of(0xa3, ...tail), 0) === 'boolean'),
    { numRuns: 5000 },
  )
})
