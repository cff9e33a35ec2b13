import assert from 'node:assert/strict'
import { DENIALS } from '../../src/core/denial.ts'
import { base64url, fromBase64url } from '../../src/core/encoding.ts'
import { type Offer, readOffer } from '../../src/core/proof.ts'
import { fuzzPool } from '../support/fuzz-pool.ts'
import { b64u } from '../support/test-authenticator.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const genuine = fuzzPool('')
  .genuine.filter(({ expected }) => expected === 'granted')
  .slice(0, 24)
const nkey = genuine.map(({ scenario }) => scenario.nkey).find((text) => text !== '') ?? ''

/** `sig` has one meaning at most: what is read, printed and read again is the same. */
export const proof: FuzzTarget = {
  name: 'proof',
  seeds: () => genuine.map(({ sig }) => bytesOf(typeof sig === 'string' ? sig : JSON.stringify(sig))),
  dictionary: ['"resume":', '"plain":true', '"v":1', '"v":2', '"url":', '"assertion":', '"userHandle":null', '=='],
  shape: 'json',
  run(input) {
    const text = textOf(input)
    for (const sig of [text, b64u(input)]) {
      const offer = readOffer({ sig, nkey })
      if (!offer.ok) assert.equal(DENIALS[offer.denial].stage, 'read')
      else assert.deepEqual(readOffer({ sig: printed(offer.value), nkey }), offer)
    }
  },
}

function printed(offer: Offer): string {
  if (offer.form === 'plain') return base64url(offer.signature)
  const resume = 'resume' in offer ? { resume: base64url(offer.resume) } : {}
  const plain = 'plain' in offer && offer.plain ? { plain: true } : {}
  if (!('assertion' in offer)) return b64u(JSON.stringify({ v: 1, url: offer.url, ...resume }))
  const { id, userHandle, ...bytes } = offer.assertion
  assert.ok(fromBase64url(id) !== null)
  const response = { ...Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, base64url(value)])), userHandle }
  return b64u(JSON.stringify({ v: 1, url: offer.url, assertion: { id, type: 'public-key', response }, ...resume, ...plain }))
}
