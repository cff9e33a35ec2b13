import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { safeText } from '../../src/core/safe-text.ts'
import { anyText } from '../support/any-text.ts'

describe('text from outside', () => {
  test('keeps what people write', () => {
    assert.equal(safeText('Zoë 木 😀 <b>"x"</b>', 100), 'Zoë 木 😀 <b>"x"</b>')
  })

  for (const [name, char, escaped] of [
    ['a line feed', '\n', '\\u{a}'],
    ['an escape', '\u001b', '\\u{1b}'],
    ['a C1 control', '\u009b', '\\u{9b}'],
    ['a bidirectional override', '\u202e', '\\u{202e}'],
    ['a zero-width space', '\u200b', '\\u{200b}'],
    ['a line separator', '\u2028', '\\u{2028}'],
    ['a lone surrogate', '\ud800', '\\u{d800}'],
    ['a backslash', '\\', '\\u{5c}'],
    ['an invisible tag', '\u{e0001}', '\\u{e0001}'],
  ] as const) {
    test(`spells out ${name}`, () => assert.equal(safeText(`a${char}b`, 100), `a${escaped}b`))
  }

  test('ends, in one well-formed piece, and says that it was cut', () => {
    assert.equal(safeText('abcd', 4), 'abcd')
    assert.equal(safeText('abcde', 4), 'abc…')
    assert.equal(safeText('ab😀cd', 4), 'ab…')
    fc.assert(
      fc.property(anyText(), fc.integer({ min: 1, max: 40 }), (text, charsMax) => {
        const safe = safeText(text, charsMax)
        assert(safe.length <= charsMax)
        assert.doesNotMatch(safe, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u)
      }),
    )
  })
})
