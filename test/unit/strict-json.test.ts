import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseStrictJson } from '../../src/core/strict-json.ts'

const depthMax = 6

describe('strict JSON', () => {
  test('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        // fast-check may print one member twice only when it made it once: its objects have unique names.
        assert.deepEqual(parseStrictJson(text, 40), JSON.parse(text))
      }),
      { numRuns: 2000 },
    )
  })

  test('refuses a repeated member name, however it is written and wherever it stands', () => {
    const repeated = [
      '{"a":1,"a":1}',
      '{"a":1,"a":2}',
      '{"a":1,"\\u0061":2}',
      '{"\\u0061":1,"a":2}',
      '{"\\u0061":1,"\\u0061":2}',
      '{"\\u00e9":1,"é":2}',
      '{"\\n":1,"\\u000a":2}',
      '{"\\/":1,"/":2}',
      '{"\\"":1,"\\u0022":2}',
      '{"\\\\":1,"\\u005c":2}',
      '{"":1,"":2}',
      '{"a" : 1 , "b":{}, "a"\t:\n2}',
      '{"x":{"a":1,"a":2}}',
      '[{"a":1,"b":[{"c":0,"c":1}]}]',
      '{"a":{"b":1},"c":[1,2],"a":3}',
      '{"__proto__":1,"__proto__":2}',
      '{"\\ud83d\\ude00":1,"😀":2}',
      '{"\\ud83d":1,"\\uD83D":2}',
    ]
    for (const text of repeated) {
      assert.doesNotThrow(() => JSON.parse(text))
      assert.equal(parseStrictJson(text, depthMax), undefined, text)
    }
  })

  test('does not mistake values, or names of other objects, for repeated names', () => {
    const unambiguous = [
      '{"a":"a","b":"a"}',
      '{"a":{"a":{"a":1}}}',
      '[{"a":1},{"a":2}]',
      '{"a":["a","a"],"b":"a:","c":":"}',
      '{"a":"\\"","b":"\\\\","c":"{\\"a\\":1,\\"a\\":2}"}',
      '{"a":"}","b":"]","c":"[[[[[[[[[["}',
      '{"a":1,"A":2,"\\u0041b":3}',
      '{"e\\u0301":1,"é":2}',
    ]
    for (const text of unambiguous) assert.deepEqual(parseStrictJson(text, depthMax), JSON.parse(text), text)
  })

  test('keeps __proto__ as a plain member that changes no prototype', () => {
    const value = parseStrictJson('{"__proto__":{"admin":true},"constructor":1}', depthMax) as Record<string, unknown>
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor'])
    assert.equal(Object.getPrototypeOf(value), Object.prototype)
    assert.equal(value['admin'], undefined)
    assert.equal(({} as Record<string, unknown>)['admin'], undefined)
  })

  test('counts depth in objects and arrays alike, and the bound itself is allowed', () => {
    assert.deepEqual(parseStrictJson('[[[[[[]]]]]]', 6), [[[[[[]]]]]])
    assert.equal(parseStrictJson('[[[[[[[]]]]]]]', 6), undefined)
    assert.deepEqual(parseStrictJson('{"a":{"a":1}}', 2), { a: { a: 1 } })
    assert.equal(parseStrictJson('{"a":{"a":[]}}', 2), undefined)
    assert.deepEqual(parseStrictJson('[[],[],[],[]]', 2), [[], [], [], []])
    assert.equal(parseStrictJson('1', 0), 1)
    assert.equal(parseStrictJson('[]', 0), undefined)
  })

  test('is not exhausted by a hundred thousand brackets', () => {
    const n = 100_000
    assert.equal(parseStrictJson('['.repeat(n) + ']'.repeat(n), depthMax), undefined)
    assert.equal(parseStrictJson(`${'{"a":'.repeat(n)}1${'}'.repeat(n)}`, depthMax), undefined)
    assert.equal(parseStrictJson('['.repeat(n), depthMax), undefined)
  })

  test('refuses what is not JSON', () => {
    const bad = [
      '',
      ' ',
      '{',
      '{"a"}',
      "{'a':1}",
      '{"a":1,}',
      '[1,]',
      '\ufeff{}',
      '{"a":01}',
      '{"a":+1}',
      'NaN',
      'undefined',
      '{"a":1}{"a":1}',
      '"\u0001"',
      '"\\x61"',
      '{a:1}',
      '// x\n{}',
      'nul',
      '\0',
    ]
    for (const text of bad) assert.equal(parseStrictJson(text, depthMax), undefined, JSON.stringify(text))
  })

  test('never throws, whatever the text', () => {
    const noise = fc.string({
      unit: fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', 'u', '0', '1', 'a', ' ', '\n', 'é', '😀'),
      maxLength: 40,
    })
    fc.assert(
      fc.property(noise, (text) => {
        const value = parseStrictJson(text, depthMax)
        if (value !== undefined) assert.deepEqual(value, JSON.parse(text))
      }),
      { numRuns: 20_000 },
    )
  })

  test('finds a duplicate put anywhere into a random object', () => {
    const names = fc.uniqueArray(fc.string({ maxLength: 5 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(names, fc.nat(), fc.boolean(), (members, pick, escaped) => {
        const name = members[pick % members.length] as string
        const spelled = escaped ? `"${[...name].map(escapeUnits).join('')}"` : JSON.stringify(name)
        const text = `{${members.map((member) => `${JSON.stringify(member)}:0`).join(',')}`
        assert.notEqual(parseStrictJson(`${text}}`, depthMax), undefined)
        assert.equal(parseStrictJson(`${text},${spelled}:1}`, depthMax), undefined)
      }),
      { numRuns: 2000 },
    )
  })
})

/** Every UTF-16 unit of `char` as a \\u escape. */
function escapeUnits(char: string): string {
  return char
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}
