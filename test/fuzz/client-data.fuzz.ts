import assert from 'node:assert/strict'
import { decodeClientDataJSON } from '@simplewebauthn/server/helpers'
import { parseClientData } from '../../src/core/webauthn/client-data.ts'
import { b64u } from '../support/test-authenticator.ts'
import { bytesOf, type FuzzTarget } from './fuzz-target.ts'

const good = { type: 'webauthn.get', challenge: 'AAAA', origin: 'https://nats.example.com', crossOrigin: false }

/** What is read is what the library reads. */
export const clientData: FuzzTarget = {
  name: 'client-data',
  seeds: () =>
    [
      good,
      { ...good, topOrigin: 'https://a.example' },
      { ...good, tokenBinding: { status: 'supported' } },
      { ...good, more: [1, { a: null }] },
    ].map((value) => bytesOf(JSON.stringify(value))),
  dictionary: ['"crossOrigin":true', '"topOrigin":', '"origin":', '"type":', '\ufeff', '\\u006frigin', '"tokenBinding":{}'],
  shape: 'json',
  run(input) {
    const read = parseClientData(input)
    if (read === null) return
    // The library does not drop a byte order mark.
    const bytes = Buffer.from(input).toString('utf8').startsWith('\ufeff') ? input.subarray(3) : input
    const theirs: Record<string, unknown> = { ...decodeClientDataJSON(b64u(bytes)) }
    assert.deepEqual([read.type, read.challenge, read.origin], [theirs['type'], theirs['challenge'], theirs['origin']])
    assert.equal(read.crossOrigin, theirs['crossOrigin'] === true)
    assert.equal(read.hasTopOrigin, theirs['topOrigin'] !== undefined)
  },
}
