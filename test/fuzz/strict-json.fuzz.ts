import assert from 'node:assert/strict'
import { parseStrictJson } from '../../src/core/strict-json.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const depthMax = 6

/** What is read is what JSON.parse reads, with as many members as the text has names, and not too deep. */
export const strictJson: FuzzTarget = {
  name: 'strict-json',
  seeds: () =>
    [
      '{}',
      '{"a":1,"a":2}',
      '{"a":{"b":[1,"x",null]},"\\u0061":true}',
      '[[[[[[[1]]]]]]]',
      '{"\\"":"\\\\","":[{},{}]}',
      ' {"a" : "b:c" } ',
    ].map(bytesOf),
  dictionary: ['"a":', '{"', '"}', '\\"', '\\\\', '\\u0061', '__proto__', '[[[[[[[', ',"a":1'],
  shape: 'json',
  run(input) {
    const text = textOf(input)
    const value = parseStrictJson(text, depthMax)
    if (value === undefined) return
    assert.deepEqual(value, JSON.parse(text))
    assert.equal(membersIn(value), namesIn(text))
    assert.ok(depthOf(value) <= depthMax)
    const printed = JSON.stringify(value)
    assert.deepEqual(parseStrictJson(printed, depthMax), JSON.parse(printed))
  },
}

/** Strings before a colon; outside of strings there is no other colon in JSON. */
function namesIn(text: string): number {
  return text.match(/"(?:[^"\\]|\\.)*"[ \t\n\r]*:?/g)?.filter((token) => token.endsWith(':')).length ?? 0
}

function membersIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const own = Array.isArray(value) ? 0 : Object.keys(value).length
  return Object.values(value).reduce((sum: number, inner) => sum + membersIn(inner), own)
}

function depthOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
}
