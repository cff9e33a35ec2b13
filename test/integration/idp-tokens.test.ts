import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { exportJWK } from 'jose'
import { freshSeconds } from '../../src/core/people/people.ts'
import { createIdp } from '../../src/idp/idp.ts'
import {
  confusedToken,
  type HostileIssuer,
  type IssuerKey,
  json,
  newIssuerKey,
  startHostileIssuer,
  unsignedToken,
} from '../support/hostile-issuer.ts'
import { CLIENT_SECRET, hostileLogins, LEEWAY, NOW, outcome } from '../support/hostile-login.ts'
import { idpConfig, idpOptions, SECRETS } from '../support/idp-case.ts'

const { issuer, stranger, setUp, loginWith, callback, claims, signed } = hostileLogins()
const seconds = Math.floor(NOW.getTime() / 1000)
const keys: Record<string, IssuerKey> = {}

before(async () => {
  for (const alg of ['PS256', 'ES256', 'ES384', 'EdDSA']) keys[alg] = await newIssuerKey(alg, `key-${alg}`)
})

describe('an ID token', () => {
  test('that is right is accepted, whatever of the allowed algorithms signed it', async () => {
    assert.equal(await loginWith(await signed()), 'accepted')
    for (const [alg, key] of Object.entries(keys)) {
      issuer().published = [issuer().key.jwk, key.jwk]
      assert.equal(await loginWith(await issuer().sign(claims(), { key })), 'accepted', alg)
    }
  })

  const tokens: [string, () => unknown, string][] = [
    ['is missing', () => undefined, 'token_malformed/missing'],
    ['is no text', () => ({ a: 1 }), 'token_malformed/missing'],
    ['is empty', () => '', 'token_malformed/form'],
    ['has two parts', () => 'e30.e30', 'token_malformed/form'],
    ['is encrypted', () => 'e30.e30.e30.e30.e30', 'token_malformed/form'],
    ['is padded', async () => (await signed()).replace('.', '=.'), 'token_malformed/form'],
    ['is huge', () => `${'e'.repeat(70_000)}.e30.e30`, 'token_malformed/size'],
    ['has a header that is no JSON', () => `${Buffer.from('{').toString('base64url')}.e30.e30`, 'token_malformed/header'],
    ['has a list for a header', () => `${Buffer.from('[]').toString('base64url')}.e30.e30`, 'token_malformed/header'],
    [
      'says alg twice in its header',
      () => `${Buffer.from('{"alg":"RS256","alg":"none"}').toString('base64url')}.e30.e30`,
      'token_malformed/header',
    ],
    [
      'says sub twice',
      async () => {
        const [header, , signature] = (await signed()).split('.')
        return `${header}.${Buffer.from('{"sub":"a","sub":"b"}').toString('base64url')}.${signature}`
      },
      'token_malformed/claims',
    ],
    ['has bytes that are no UTF-8', () => `e30.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.e30`, 'token_malformed/claims'],
    ['is an access token', () => issuer().sign(claims(), { header: { typ: 'at+jwt' } }), 'token_malformed/typ'],
    ['is a logout token', () => issuer().sign(claims(), { header: { typ: 'logout+jwt' } }), 'token_malformed/typ'],
    ['has a kid that is no text', async () => reheaded(await signed(), { alg: 'RS256', kid: 7 }), 'token_malformed/kid'],
    [
      'names a critical extension',
      async () => reheaded(await signed(), { alg: 'RS256', kid: 'key-1', crit: ['b64'], b64: false }),
      'token_malformed/crit',
    ],
    ['is not signed: alg none', () => unsignedToken(claims()), 'algorithm_refused'],
    ['is not signed: alg None', () => unsignedToken(claims(), 'None'), 'algorithm_refused'],
    ['is not signed: alg NONE', () => unsignedToken(claims(), 'NONE'), 'algorithm_refused'],
    ['has no alg', async () => reheaded(await signed(), { kid: 'key-1' }), 'algorithm_refused'],
    ['is signed by HS256 with the public key as the secret', () => confusedToken(claims(), issuer().key), 'algorithm_refused'],
    [
      'claims an algorithm that is a member of every object',
      async () => reheaded(await signed(), { alg: 'constructor' }),
      'algorithm_refused',
    ],
    ['is signed by a key that nobody published', () => issuer().sign(claims(), { key: { ...stranger(), kid: 'other' } }), 'key_unknown'],
    ['is signed by another key under the published kid', () => issuer().sign(claims(), { key: stranger() }), 'signature_invalid'],
    ['was changed after it was signed', async () => withClaims(await signed(), claims({ sub: 'somebody-else' })), 'signature_invalid'],
    ['lost its signature', async () => (await signed()).replace(/[^.]*$/, ''), 'signature_invalid'],
    ['brings its own key', () => issuer().sign(claims(), { key: stranger(), header: { jwk: stranger().jwk } }), 'signature_invalid'],
    ['is of another issuer', () => signed({ iss: 'https://other.example' }), 'issuer_mismatch/token'],
    ['is of an issuer with one slash more', () => signed({ iss: `${issuer().issuer}/` }), 'issuer_mismatch/token'],
    ['names no issuer', () => signed({ iss: undefined }), 'issuer_mismatch/token'],
    ['is for another client', () => signed({ aud: 'other' }), 'audience_mismatch'],
    ['is for nobody', () => signed({ aud: [] }), 'audience_mismatch'],
    ['has no audience', () => signed({ aud: undefined }), 'audience_mismatch'],
    ['is for us and for others, with azp', () => signed({ aud: ['nats', 'other'], azp: 'nats' }), 'audience_mismatch'],
    ['is for us and for others, without azp', () => signed({ aud: ['nats', 'other'] }), 'audience_mismatch'],
    ['is for others and for us', () => signed({ aud: ['other', 'nats'] }), 'audience_mismatch'],
    ['was issued to another party', () => signed({ azp: 'other' }), 'azp_mismatch'],
    ['was issued to a list of parties', () => signed({ azp: ['nats'] }), 'azp_mismatch'],
    ['is expired', () => signed({ exp: seconds - LEEWAY - 1 }), 'token_expired'],
    ['expires at this very moment', () => signed({ exp: seconds - LEEWAY }), 'token_expired'],
    ['never expires', () => signed({ exp: undefined }), 'token_malformed/exp'],
    ['expires at a text', () => signed({ exp: String(seconds + 300) }), 'token_malformed/exp'],
    ['was issued in the future', () => signed({ iat: seconds + LEEWAY + 1 }), 'token_not_yet_valid/iat'],
    ['does not say when it was issued', () => signed({ iat: undefined }), 'token_malformed/iat'],
    ['is valid later', () => signed({ nbf: seconds + LEEWAY + 1 }), 'token_not_yet_valid/nbf'],
    ['is valid after a text', () => signed({ nbf: 'now' }), 'token_malformed/nbf'],
    ['is of another redirect', () => signed({ nonce: 'another' }), 'nonce_mismatch'],
    ['is of no redirect', () => signed({ nonce: undefined }), 'nonce_mismatch'],
    ['says auth_time as text', () => signed({ auth_time: String(seconds) }), 'token_malformed/auth_time'],
    ['says that the person will authenticate', () => signed({ auth_time: seconds + LEEWAY + 1 }), 'token_not_yet_valid/auth_time'],
    ['has no subject', () => signed({ sub: undefined }), 'subject_malformed'],
    ['has an empty subject', () => signed({ sub: '' }), 'subject_malformed'],
    ['has a number for a subject', () => signed({ sub: 7 }), 'subject_malformed'],
    ['has a subject of 256 characters', () => signed({ sub: 'x'.repeat(256) }), 'subject_malformed'],
    ['has a subject with a line break', () => signed({ sub: 'a\nb' }), 'subject_malformed'],
    ['has a subject beyond ASCII', () => signed({ sub: 'zoë' }), 'subject_malformed'],
    ['has a subject that ends in a space', () => signed({ sub: 'person-1 ' }), 'subject_malformed'],
  ]
  for (const [name, token, expected] of tokens) {
    test(`that ${name} is refused`, async () => {
      const setting = setUp()
      assert.equal(await loginWith(await token(), setting), expected)
      assert.deepEqual(setting.troubles, [])
    })
  }

  test('at the edges of its times is accepted', async () => {
    for (const claims of [
      { exp: seconds - LEEWAY + 1 },
      { iat: seconds + LEEWAY },
      { nbf: seconds + LEEWAY },
      { azp: 'nats' },
      { aud: ['nats'] },
    ])
      assert.equal(await loginWith(await signed(claims)), 'accepted', JSON.stringify(claims))
  })

  test('of a provider whose keys are weak, for encryption, secrets, or of another kind finds no key', async () => {
    const { jwk } = issuer().key
    const unfit: HostileIssuer['published'] = [
      { ...jwk, use: 'enc' },
      { ...jwk, alg: 'RS512' },
      { ...jwk, key_ops: ['sign'] },
      { ...jwk, kty: 'EC' },
      { kty: 'oct', kid: issuer().key.kid, k: 'c2VjcmV0' },
      { kty: 'RSA', kid: issuer().key.kid, n: 'AQAB' },
    ]
    for (const published of unfit) {
      issuer().published = [published]
      assert.equal(await loginWith(await signed()), 'key_unknown', JSON.stringify(published).slice(0, 60))
    }
  })

  test('signed by an RSA key of 1024 bits is refused, although it is published', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'RS256', kid: 'weak' })}.${part(claims())}`
    const token = `${text}.${sign('sha256', Buffer.from(text), weak.privateKey).toString('base64url')}`
    const { n, e } = weak.publicKey.export({ format: 'jwk' })
    issuer().published = [{ kty: 'RSA', kid: 'weak', ...(n === undefined || e === undefined ? {} : { n, e }) }]
    assert.equal(await loginWith(token), 'signature_invalid')
  })

  test('whose header names another algorithm than its key is for finds no key, or does not verify', async () => {
    for (const [alg, expected] of [
      ['ES256', 'key_unknown'],
      ['EdDSA', 'key_unknown'],
      ['RS512', 'key_unknown'],
      ['PS256', 'key_unknown'],
    ] as const)
      assert.equal(await loginWith(reheaded(await signed(), { alg, kid: issuer().key.kid })), expected, alg)
    const { kty, kid, n, e } = issuer().key.jwk
    issuer().published = [Object.fromEntries(Object.entries({ kty, kid, n, e }))]
    for (const alg of ['RS512', 'PS256']) assert.equal(await loginWith(reheaded(await signed(), { alg, kid })), 'signature_invalid', alg)
  })

  test('is checked with a published key although the set has entries that nobody understands, or private parts', async () => {
    const whole = await exportJWK(issuer().key.privateKey)
    const { kid } = issuer().key
    issuer().answers.set('/jwks', (response) => json(response, { keys: [null, 7, 'text', {}, { kty: 'AKP', kid }, { ...whole, kid }] }))
    assert.equal(await loginWith(await signed()), 'accepted')
  })

  test('without a kid is checked with the keys of its kind', async () => {
    issuer().published = [(keys['ES256'] as IssuerKey).jwk, { ...stranger().jwk, kid: 'old' }, issuer().key.jwk]
    const token = await issuer().sign(claims(), { header: { kid: undefined } })
    assert.equal(await loginWith(token), 'accepted')
  })

  test('gives a subject per issuer: the same sub at two issuers is two people', async () => {
    const other = await startHostileIssuer()
    try {
      const world = idpOptions(CLIENT_SECRET, { now: () => NOW })
      const idp = createIdp([idpConfig(issuer().issuer), idpConfig(other.issuer, { name: 'other' })], world)
      issuer().tokens = { access_token: 'a', token_type: 'Bearer', id_token: await signed({ sub: 'same' }) }
      other.tokens = { access_token: 'a', token_type: 'Bearer', id_token: await other.sign(other.claims({ sub: 'same' }, NOW)) }
      const one = await idp.finish('corp', SECRETS, callback(), { fresh: false })
      const two = await idp.finish('other', SECRETS, callback({ iss: other.issuer }), { fresh: false })
      assert.ok(one.ok && two.ok)
      assert.deepEqual([one.value.issuer, one.value.subject], [issuer().issuer, 'same'])
      assert.deepEqual([two.value.issuer, two.value.subject], [other.issuer, 'same'])
      // A token of the one, handed out by the other.
      other.tokens = { ...other.tokens, id_token: await signed({ sub: 'same' }) }
      assert.equal(outcome(await idp.finish('other', SECRETS, callback({ iss: other.issuer }), { fresh: false })), 'signature_invalid')
      other.tokens = { ...other.tokens, id_token: await other.sign(claims({ sub: 'same' })) }
      assert.equal(outcome(await idp.finish('other', SECRETS, callback({ iss: other.issuer }), { fresh: false })), 'issuer_mismatch/token')
    } finally {
      await other.stop()
    }
  })
})

describe('a fresh login', () => {
  const fresh = { fresh: true }
  test('needs auth_time, and a recent one', async () => {
    assert.equal(await loginWith(await signed(), setUp(), fresh), 'auth_time_missing')
    const oldest = seconds - freshSeconds - LEEWAY
    assert.equal(await loginWith(await signed({ auth_time: oldest - 1 }), setUp(), fresh), 'auth_time_stale')
    assert.equal(await loginWith(await signed({ auth_time: oldest }), setUp(), fresh), 'accepted')
    assert.equal(await loginWith(await signed({ auth_time: oldest - 1 }), setUp()), 'accepted')
  })

  test('never says that a person authenticated in the future', async () => {
    const { idp } = setUp()
    issuer().tokens = { access_token: 'a', token_type: 'Bearer', id_token: await signed({ auth_time: seconds + LEEWAY }) }
    const judged = await idp.finish('corp', SECRETS, callback(), fresh)
    assert.ok(judged.ok)
    assert.equal(judged.value.authenticatedAt, NOW.getTime())
  })
})

describe('demands on the authentication', () => {
  test('are not met by a missing, another, or a misshapen acr', async () => {
    const demanding = () => setUp({ acrValues: ['phr', 'phrh'] })
    for (const acr of [undefined, 'pwd', 'phr phrh', ['phr'], 0])
      assert.equal(await loginWith(await signed({ acr }), demanding()), 'acr_unmet')
    assert.equal(await loginWith(await signed({ acr: 'phrh' }), demanding()), 'accepted')
  })

  test('are not met by a missing, partial, or misshapen amr', async () => {
    const demanding = () => setUp({ amr: ['mfa', 'hwk'] })
    for (const amr of [undefined, [], ['mfa'], 'mfa hwk', { mfa: true, hwk: true }])
      assert.equal(await loginWith(await signed({ amr }), demanding()), 'amr_unmet')
    assert.equal(await loginWith(await signed({ amr: ['pwd', 'hwk', 'mfa'] }), demanding()), 'accepted')
  })
})

function reheaded(token: string, header: Record<string, unknown>): string {
  return token.replace(/^[^.]*/, Buffer.from(JSON.stringify(header)).toString('base64url'))
}

function withClaims(token: string, claims: Record<string, unknown>): string {
  const [header, , signature] = token.split('.')
  return `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
}
