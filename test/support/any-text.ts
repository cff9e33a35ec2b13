/** Text of any code points but surrogates. fast-check's own unit `binary` is the same and takes a second to be made. */
import fc from 'fast-check'

const ascii = fc.integer({ min: 0, max: 0x7f })
const beforeSurrogates = fc.integer({ min: 0x80, max: 0xd7ff })
const afterSurrogates = fc.integer({ min: 0xe000, max: 0x10ffff })
const codePoint = fc.oneof(ascii, beforeSurrogates, afterSurrogates).map((code) => String.fromCodePoint(code))

export function anyText(limits: { maxLength?: number } = {}): fc.Arbitrary<string> {
  return fc.string({ unit: codePoint, ...limits })
}
