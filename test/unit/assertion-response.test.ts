import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { base64url } from '../../src/core/encoding.ts'
import { parseAssertionResponse } from '../../src/core/webauthn/assertion-response.ts'

const bytes = (length: number): string => base64url(new Uint8Array(length).fill(7))

function response(changes: Record<string, unknown> = {}, inner: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: bytes(16),
    rawId: bytes(16),
    type: 'public-key',
    response: { clientDataJSON: bytes(100), authenticatorData: bytes(37), signature: bytes(70), ...inner },
    clientExtensionResults: {},
    ...changes,
  }
}

describe('an assertion response', () => {
  test('is read as browsers print it', () => {
    const read = parseAssertionResponse(
      response({ authenticatorAttachment: 'platform' }, { userHandle: bytes(64), attestationObject: bytes(3) }),
    )
    assert.ok(read.ok)
    assert.deepEqual(read.value, {
      id: bytes(16),
      clientDataJSON: new Uint8Array(100).fill(7),
      authenticatorData: new Uint8Array(37).fill(7),
      signature: new Uint8Array(70).fill(7),
      userHandle: bytes(64),
    })
  })

  test('may leave out what says nothing', () => {
    const { rawId: _, clientExtensionResults: __, ...bare } = response()
    const read = parseAssertionResponse(bare)
    assert.ok(read.ok)
    assert.equal(read.value.userHandle, null)
    const withNull = parseAssertionResponse(response({}, { userHandle: null }))
    assert.ok(withNull.ok)
    assert.equal(withNull.value.userHandle, null)
  })

  test('is allowed each limit exactly', () => {
    const read = parseAssertionResponse(
      response(
        { id: bytes(1023), rawId: bytes(1023) },
        { clientDataJSON: bytes(4096), authenticatorData: bytes(2048), signature: bytes(5120), userHandle: bytes(64) },
      ),
    )
    assert.ok(read.ok)
  })

  const oversized: [string, Record<string, unknown>][] = [
    ['clientDataJSON', { clientDataJSON: bytes(4097) }],
    ['authenticatorData', { authenticatorData: bytes(2049) }],
    ['signature', { signature: bytes(5121) }],
    ['userHandle', { userHandle: bytes(65) }],
  ]
  for (const [name, inner] of oversized) {
    test(`is sig_oversized with one byte too many of ${name}`, () => {
      assert.deepEqual(parseAssertionResponse(response({}, inner)), { ok: false, denial: 'sig_oversized' })
    })
  }

  const malformed: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['a text', 'x'],
    ['a number', 1],
    ['a list', [response()]],
    ['no members', {}],
    ['an unknown member', response({ extra: 1 })],
    ['a __proto__ member', JSON.parse('{"__proto__":{"id":"AAAA"}}')],
    ['no id', response({ id: undefined })],
    ['an id that is a number', response({ id: 1 })],
    ['an empty id', response({ id: '', rawId: '' })],
    ['an id with padding', response({ id: 'AA==', rawId: 'AA==' })],
    ['an id in a second spelling', response({ id: 'AB', rawId: 'AB' })],
    ['an id of 1024 bytes', response({ id: bytes(1024), rawId: bytes(1024) })],
    ['a rawId that is not the id', response({ rawId: bytes(17) })],
    ['a rawId of null', response({ rawId: null })],
    ['another type', response({ type: 'password' })],
    ['no type', response({ type: undefined })],
    ['no response', response({ response: undefined })],
    ['a response that is null', response({ response: null })],
    ['a response that is a list', response({ response: [] })],
    ['a response with an unknown member', response({}, { publicKey: bytes(3) })],
    ['no clientDataJSON', response({}, { clientDataJSON: undefined })],
    ['clientDataJSON as an object', response({}, { clientDataJSON: { type: 'webauthn.get' } })],
    ['clientDataJSON with padding', response({}, { clientDataJSON: 'AA==' })],
    ['no authenticatorData', response({}, { authenticatorData: undefined })],
    ['authenticatorData in standard base64', response({}, { authenticatorData: 'AA+/' })],
    ['no signature', response({}, { signature: undefined })],
    ['a signature as bytes', response({}, { signature: [1, 2, 3] })],
    ['a signature with a stray bit', response({}, { signature: 'AB' })],
    ['a userHandle that is a number', response({}, { userHandle: 5 })],
    ['a userHandle with white space', response({}, { userHandle: ' AAA' })],
  ]
  for (const [what, value] of malformed) {
    test(`is sig_malformed with ${what}`, () => assert.deepEqual(parseAssertionResponse(value), { ok: false, denial: 'sig_malformed' }))
  }

  test('never throws, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything(), fc.record({ id: fc.anything(), type: fc.constant('public-key'), response: fc.anything() })),
        (value) => {
          assert.equal(parseAssertionResponse(value).ok, false)
        },
      ),
      { numRuns: 5000 },
    )
  })
})
