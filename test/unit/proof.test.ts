import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DENIALS } from '../../src/core/denial.ts'
import { ed25519RawPublic, ed25519Sign } from '../../src/core/ed25519.ts'
import { base64url, utf8 } from '../../src/core/encoding.ts'
import { encodePublicNkey } from '../../src/core/nkey.ts'
import { readOffer } from '../../src/core/proof.ts'
import { anyText } from '../support/any-text.ts'

const bytes = (length: number): string => base64url(new Uint8Array(length).fill(7))
const url = 'tls://nats.example.com:4222'
const pair = generateKeyPairSync('ed25519')
const nkey = encodePublicNkey('U', ed25519RawPublic(pair.privateKey))
const serverNkey = encodePublicNkey('N', randomBytes(32))
const resume = bytes(64)
const assertion = {
  id: bytes(16),
  rawId: bytes(16),
  type: 'public-key',
  clientExtensionResults: {},
  response: { clientDataJSON: bytes(120), authenticatorData: bytes(37), signature: bytes(71) },
}

const sigOf = (value: unknown): string => base64url(utf8(JSON.stringify(value)))
const sigOfText = (text: string): string => base64url(utf8(text))

describe('the four forms of sig', () => {
  test('proof, without and with an nkey', () => {
    const bare = readOffer({ sig: sigOf({ v: 1, url, assertion }), nkey: '' })
    assert.ok(bare.ok && bare.value.form === 'proof')
    assert.deepEqual({ url: bare.value.url, nkey: bare.value.nkey, id: bare.value.assertion.id }, { url, nkey: null, id: bytes(16) })
    const bound = readOffer({ sig: sigOf({ v: 1, url, assertion }), nkey })
    assert.ok(bound.ok && bound.value.form === 'proof')
    assert.equal(bound.value.nkey, nkey)
  })

  test('proof that endorses, for bound and for plain use', () => {
    const bound = readOffer({ sig: sigOf({ v: 1, url, assertion, resume }), nkey })
    assert.ok(bound.ok && bound.value.form === 'endorsing')
    assert.equal(bound.value.plain, false)
    assert.deepEqual(bound.value.resume, new Uint8Array(64).fill(7))
    const plain = readOffer({ sig: sigOf({ plain: true, resume, assertion, url, v: 1 }), nkey })
    assert.ok(plain.ok && plain.value.form === 'endorsing')
    assert.equal(plain.value.plain, true)
  })

  test('bound resume', () => {
    const read = readOffer({ sig: sigOf({ v: 1, url, resume }), nkey })
    assert.deepEqual(read, { ok: true, value: { form: 'bound', url, nkey, resume: new Uint8Array(64).fill(7) } })
  })

  test('plain resume, in unpadded base64url and in padded standard base64', () => {
    for (let i = 0; i < 200; i++) {
      const signature = ed25519Sign(pair.privateKey, randomBytes(11))
      for (const encoding of ['base64url', 'base64'] as const) {
        const read = readOffer({ sig: Buffer.from(signature).toString(encoding), nkey })
        assert.ok(read.ok && read.value.form === 'plain')
        assert.deepEqual(Buffer.from(read.value.signature), Buffer.from(signature))
        assert.equal(read.value.nkey, nkey)
      }
    }
  })

  test('white space and the order of members mean nothing', () => {
    const text = `\n{ "resume" : "${resume}",\t"url":"${url}" , "v": 1 }\r\n`
    const read = readOffer({ sig: sigOfText(text), nkey })
    assert.ok(read.ok && read.value.form === 'bound')
  })

  test('sig may have 16 KiB', () => {
    const padded = (length: number): string => {
      const text = JSON.stringify({ v: 1, url, assertion })
      return sigOfText(text + ' '.repeat(length - text.length))
    }
    assert.equal(padded(12 * 1024).length, 16 * 1024)
    assert.equal(readOffer({ sig: padded(12 * 1024), nkey: '' }).ok, true)
    assert.deepEqual(readOffer({ sig: padded(12 * 1024 + 1), nkey: '' }), { ok: false, denial: 'sig_oversized' })
  })
})

describe('sig is refused as sig_malformed', () => {
  const signature = Buffer.from(new Uint8Array(64).fill(0xfb))
  const standard = signature.toString('base64')
  const proof = { v: 1, url, assertion }
  const cases: [string, string][] = [
    ['empty', ''],
    ['not base64url', '{"v":1}'],
    ['one character', 'A'],
    ['with padding', `${sigOf(proof)}=`],
    ['with a line break', `${sigOf(proof)}\n`],
    ['in standard base64', Buffer.from(JSON.stringify({ ...proof, x: '???>>>~~~' })).toString('base64')],
    ['JSON with a stray bit in its last character', 'eyJ2IjoxfR'],
    ['not UTF-8', base64url(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]))],
    ['UTF-8 of a surrogate', base64url(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]))],
    ['a byte order mark before the JSON', sigOfText(`\ufeff${JSON.stringify(proof)}`)],
    ['not JSON', sigOfText('hello')],
    ['truncated JSON', sigOfText(JSON.stringify(proof).slice(0, -1))],
    ['two JSON values', sigOfText(`${JSON.stringify(proof)}{}`)],
    ['null', sigOf(null)],
    ['a text', sigOf('x')],
    ['a number', sigOf(1)],
    ['a list', sigOf([proof])],
    ['an empty object', sigOf({})],
    ['no version', sigOf({ url, assertion })],
    ['version 2', sigOf({ ...proof, v: 2 })],
    ['version "1"', sigOf({ ...proof, v: '1' })],
    ['version true', sigOf({ ...proof, v: true })],
    ['no url', sigOf({ v: 1, assertion })],
    ['url null', sigOf({ ...proof, url: null })],
    ['a URL with a path', sigOf({ ...proof, url: `${url}/` })],
    ['a URL in upper case', sigOf({ ...proof, url: url.toUpperCase() })],
    ['a URL without a port', sigOf({ ...proof, url: 'tls://nats.example.com' })],
    ['neither assertion nor resume', sigOf({ v: 1, url })],
    ['an unknown member', sigOf({ ...proof, extra: 1 })],
    ['nkey inside sig', sigOf({ ...proof, nkey })],
    ['a __proto__ member', sigOfText(`{"v":1,"url":"${url}","resume":"${resume}","__proto__":{}}`)],
    ['a repeated member', sigOfText(`{"v":1,"url":"${url}","resume":"${resume}","resume":"${resume}"}`)],
    ['a repeated member written with an escape', sigOfText(`{"v":1,"url":"${url}","resume":"${resume}","\\u0072esume":"${resume}"}`)],
    [
      'a repeated member deep inside',
      sigOfText(JSON.stringify(proof).replace('"clientExtensionResults":{}', '"clientExtensionResults":{"a":1,"a":2}')),
    ],
    ['nesting too deep', sigOf({ ...proof, assertion: { ...assertion, clientExtensionResults: [[[[[[]]]]]] } })],
    ['only nesting', sigOfText('['.repeat(6000) + ']'.repeat(6000))],
    ['plain without resume', sigOf({ ...proof, plain: true })],
    ['plain on a bound resume', sigOf({ v: 1, url, resume, plain: true })],
    ['plain false', sigOf({ ...proof, resume, plain: false })],
    ['plain 1', sigOf({ ...proof, resume, plain: 1 })],
    ['an assertion that is null', sigOf({ ...proof, assertion: null })],
    ['an assertion with an unknown member', sigOf({ ...proof, assertion: { ...assertion, extra: 1 } })],
    ['an endorsing assertion with an unknown member', sigOf({ ...proof, resume, assertion: { ...assertion, extra: 1 } })],
    ['resume of 63 bytes', sigOf({ v: 1, url, resume: bytes(63) })],
    ['resume of 65 bytes', sigOf({ v: 1, url, resume: bytes(65) })],
    ['resume that is a number', sigOf({ v: 1, url, resume: 1 })],
    ['resume in padded base64', sigOf({ v: 1, url, resume: `${resume}==` })],
    ['an endorsing resume of 63 bytes', sigOf({ ...proof, resume: bytes(63) })],
    ['an endorsing resume of null', sigOf({ ...proof, resume: null })],
    ['63 bytes as a plain signature', bytes(63)],
    ['65 bytes as a plain signature', bytes(65)],
    ['a plain signature in unpadded standard base64', standard.slice(0, 86)],
    ['a plain signature in padded base64url', `${signature.toString('base64url')}==`],
    ['a plain signature with one padding character', `${standard.slice(0, 87)}`],
    ['a plain signature with a stray bit', `${'A'.repeat(85)}B`],
    ['a padded plain signature with a stray bit', `${'A'.repeat(85)}B==`],
    ['88 characters that are no signature', `${'!'.repeat(86)}==`],
  ]
  for (const [what, sig] of cases) {
    test(what, () => assert.deepEqual(readOffer({ sig, nkey }), { ok: false, denial: 'sig_malformed' }))
  }
})

describe('sig is refused as sig_oversized', () => {
  const cases: [string, string][] = [
    ['over 16 KiB', 'A'.repeat(16 * 1024 + 1)],
    ['over 16 KiB of anything', '{'.repeat(200_000)],
    [
      'with client data over 4 KiB',
      sigOf({ v: 1, url, assertion: { ...assertion, response: { ...assertion.response, clientDataJSON: bytes(4097) } } }),
    ],
    [
      'with authenticator data over 2 KiB',
      sigOf({ v: 1, url, assertion: { ...assertion, response: { ...assertion.response, authenticatorData: bytes(2049) } } }),
    ],
    [
      'with an endorsing signature over 5 KiB',
      sigOf({ v: 1, url, resume, assertion: { ...assertion, response: { ...assertion.response, signature: bytes(5121) } } }),
    ],
  ]
  for (const [what, sig] of cases) {
    test(what, () => assert.deepEqual(readOffer({ sig, nkey }), { ok: false, denial: 'sig_oversized' }))
  }
})

describe('an nkey that is none is refused as nkey_malformed', () => {
  const forms: [string, string][] = [
    ['endorsing', sigOf({ v: 1, url, assertion, resume })],
    ['endorsing for plain use', sigOf({ v: 1, url, assertion, resume, plain: true })],
    ['bound resume', sigOf({ v: 1, url, resume })],
    ['plain resume', resume],
  ]
  const notNkeys = ['x', serverNkey, nkey.toLowerCase(), `${nkey}A`, nkey.slice(0, -1), `${nkey} `, '\0']
  for (const [form, sig] of forms) {
    test(`in a ${form}, where it is needed`, () => {
      for (const bad of ['', ...notNkeys]) assert.deepEqual(readOffer({ sig, nkey: bad }), { ok: false, denial: 'nkey_malformed' }, bad)
    })
  }
  test('in a proof, where it may be absent', () => {
    for (const bad of notNkeys)
      assert.deepEqual(readOffer({ sig: sigOf({ v: 1, url, assertion }), nkey: bad }), { ok: false, denial: 'nkey_malformed' })
  })
})

describe('random and mutated input', () => {
  const members = fc.dictionary(
    fc.constantFrom('v', 'url', 'assertion', 'resume', 'plain', '__proto__', 'x'),
    fc.oneof(fc.constantFrom<unknown>(1, url, resume, true, assertion), fc.jsonValue()),
  )
  const forms = [
    sigOf({ v: 1, url, assertion }),
    sigOf({ v: 1, url, assertion, resume }),
    sigOf({ v: 1, url, assertion, resume, plain: true }),
    sigOf({ v: 1, url, resume }),
    resume,
  ]

  // An offer is read, never believed: what comes out must be of one of the four forms with every part well-formed.
  function checkOutcome(sig: string, key: string): void {
    const read = readOffer({ sig, nkey: key })
    if (!read.ok) {
      assert.ok(read.denial in DENIALS)
      return
    }
    const offer = read.value
    assert.ok(['proof', 'endorsing', 'bound', 'plain'].includes(offer.form))
    if (offer.form !== 'proof') assert.equal(offer.nkey, nkey)
    if (offer.form === 'bound' || offer.form === 'endorsing') assert.equal(offer.resume.length, 64)
    if (offer.form === 'plain') assert.equal(offer.signature.length, 64)
  }

  test('never throws on 20,000 random texts', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.base64String(), anyText()), fc.constantFrom('', nkey, 'x'), checkOutcome), {
      numRuns: 20_000,
    })
  })

  test('never throws on 20,000 random member sets', () => {
    fc.assert(
      fc.property(members, fc.constantFrom('', nkey), (value, key) => checkOutcome(sigOf(value), key)),
      { numRuns: 20_000 },
    )
  })

  test('never throws on 20,000 forms with bytes changed, cut or added', () => {
    const mutation = fc.record({
      form: fc.constantFrom(...forms),
      at: fc.nat(),
      drop: fc.nat(4),
      insert: fc.uint8Array({ maxLength: 4 }),
      inside: fc.boolean(),
    })
    fc.assert(
      fc.property(mutation, ({ form, at, drop, insert, inside }) => {
        const raw = inside ? Buffer.from(form, 'base64url') : Buffer.from(form, 'latin1')
        const i = at % (raw.length + 1)
        const changed = Buffer.concat([raw.subarray(0, i), insert, raw.subarray(i + drop)])
        checkOutcome(changed.toString(inside ? 'base64url' : 'latin1'), nkey)
      }),
      { numRuns: 20_000 },
    )
  })
})
