import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseClientData } from '../../src/core/webauthn/client-data.ts'

const read = (text: string) => parseClientData(new TextEncoder().encode(text))

test('client data is read as claimed, and what is missing is undefined', () => {
  assert.deepEqual(read('{"type":"webauthn.get","challenge":"AA","origin":"https://a","crossOrigin":true,"topOrigin":"https://b"}'), {
    type: 'webauthn.get',
    challenge: 'AA',
    origin: 'https://a',
    crossOrigin: true,
    hasTopOrigin: true,
  })
  assert.deepEqual(read('{}'), { type: undefined, challenge: undefined, origin: undefined, crossOrigin: false, hasTopOrigin: false })
})

test("a byte order mark is dropped, as the specification's UTF-8 decode does, but only one", () => {
  assert.notEqual(read('\ufeff{}'), null)
  assert.equal(read('\ufeff\ufeff{}'), null)
})

test('a member named __proto__ lends nothing', () => {
  assert.equal(read('{"__proto__":{"type":"webauthn.get"}}')?.type, undefined)
})

test('a reserved tokenBinding of the old shape is passed over', () => {
  for (const status of ['present', 'supported', 'notSupported']) assert.notEqual(read(`{"tokenBinding":{"status":"${status}"}}`), null)
})

describe('client data is refused when it is', () => {
  const bad: [string, string][] = [
    ['empty', ''],
    ['no JSON', '{type:1}'],
    ['followed by something', '{}{}'],
    ['null', 'null'],
    ['a text', '"webauthn.get"'],
    ['an array', '[{}]'],
    ['ambiguous', '{"origin":"https://a","origin":"https://b"}'],
    ['ambiguous by an escape', '{"origin":"https://a","\\u006frigin":"https://b"}'],
    ['nested too deep', `{"a":${'['.repeat(8)}${']'.repeat(8)}}`],
    ['with a crossOrigin that is a text', '{"crossOrigin":"true"}'],
    ['with a crossOrigin that is a number', '{"crossOrigin":1}'],
    ['with a crossOrigin of null', '{"crossOrigin":null}'],
    ['with a tokenBinding of null', '{"tokenBinding":null}'],
    ['with a tokenBinding of unknown status', '{"tokenBinding":{"status":"maybe"}}'],
    ['with a tokenBinding that is a text', '{"tokenBinding":"present"}'],
  ]
  for (const [what, text] of bad) test(what, () => assert.equal(read(text), null))

  test('not UTF-8', () => {
    for (const hex of ['7b22ff223a317d', '7b22c0af223a317d', '7b22eda080223a317d', '7b22e28222']) {
      assert.equal(parseClientData(new Uint8Array(Buffer.from(hex, 'hex'))), null)
    }
  })
})
