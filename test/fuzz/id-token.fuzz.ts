import assert from 'node:assert/strict'
import { createPublicKey, sign, webcrypto } from 'node:crypto'
import { ed25519PrivateKey } from '../../src/core/ed25519.ts'
import { checkIdToken, type ExpectedToken } from '../../src/idp/id-token.ts'
import { fixed } from '../support/scenario.ts'
import { b64u } from '../support/test-authenticator.ts'
import { bytesOf, type FuzzTarget, jwsParts, textOf } from './fuzz-target.ts'

const now = new Date('2026-03-01T09:00:00Z')
const seconds = now.getTime() / 1000
const expected: ExpectedToken = {
  issuer: 'https://corp.example',
  clientId: 'nats',
  nonce: 'n-1',
  fresh: true,
  acrValues: [],
  amr: [],
  leewaySeconds: 5,
  now,
}
const good = {
  iss: expected.issuer,
  aud: 'nats',
  sub: 'subject-1',
  nonce: 'n-1',
  iat: seconds,
  exp: seconds + 60,
  auth_time: seconds,
  groups: ['readers'],
}
const key = ed25519PrivateKey(fixed('issuer key'))
const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
let published: webcrypto.CryptoKey[] = []
const findKeys = async ({ kid }: { kid: string | null }) => (kid === null || kid === 'k' ? published : [])

const signed = (header: string, claims: string) => {
  const text = `${b64u(header)}.${b64u(claims)}`
  return `${text}.${b64u(sign(null, Buffer.from(text), key))}`
}
const HEADER = '{"alg":"EdDSA","kid":"k"}'

/**
 * An input is three lines' worth: what the provider signs as claims, what it says in the header, or a whole token. What is
 * accepted is signed and says, to a reader of its own, exactly what was expected.
 */
export const idToken: FuzzTarget = {
  name: 'id-token',
  async seeds() {
    published = [await webcrypto.subtle.importKey('raw', raw, 'Ed25519', true, ['verify'])]
    const claims = [
      good,
      { ...good, aud: ['nats'], azp: 'nats' },
      { ...good, aud: ['nats', 'other'] },
      { ...good, exp: 0 },
      { ...good, nbf: seconds + 60 },
    ]
    return [
      ...claims.map((value) => JSON.stringify(value)),
      HEADER,
      '{"alg":"none"}',
      '{"alg":"HS256","crit":["b64"]}',
      signed(HEADER, JSON.stringify(good)),
    ].map(bytesOf)
  },
  dictionary: [
    '"alg":"none"',
    '"alg":"HS256"',
    '"kid":',
    '"crit":[]',
    '"typ":"at+jwt"',
    '"aud":',
    '"azp":',
    '"nonce":',
    '"sub":',
    '"exp":',
    '.',
    '==',
  ],
  shape: 'json',
  async run(input) {
    const text = textOf(input)
    const asClaims = await checkIdToken(signed(HEADER, text), expected, findKeys)
    if (asClaims.ok) saysWhatIsExpected(JSON.parse(text), asClaims.value.subject)
    const asHeader = await checkIdToken(signed(text, JSON.stringify(good)), expected, findKeys)
    if (asHeader.ok) assert.ok(['EdDSA', 'Ed25519'].includes((JSON.parse(text) as { alg: string }).alg))
    const asToken = await checkIdToken(text, expected, findKeys)
    if (asToken.ok) assert.deepEqual(jwsParts(text), jwsParts(signed(HEADER, JSON.stringify(good))))
  },
}

function saysWhatIsExpected(claims: typeof good, subject: string): void {
  assert.deepEqual([claims.iss, claims.nonce, claims.sub], [expected.issuer, expected.nonce, subject])
  assert.deepEqual([claims.aud].flat(), [expected.clientId])
  assert.ok(claims.exp + 5 > seconds && claims.iat <= seconds + 5 && Math.abs(claims.auth_time - seconds) < 600)
}
