import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { DENIALS } from '../../src/core/denial.ts'
import { base64url, utf8 } from '../../src/core/encoding.ts'
import { bodyOf, jwt, open, reason, seconds, server, signText } from '../support/opening.ts'

describe('what is no authorization request is request_malformed', () => {
  const good = jwt()
  const [header, body, signature] = good.split('.') as [string, string, string]
  const head = '{"typ":"JWT","alg":"ed25519-nkey"}'
  const text = JSON.stringify(bodyOf())
  const cases: [string, string | Uint8Array][] = [
    ['no bytes', ''],
    ['one part', header],
    ['two parts', `${header}.${body}`],
    ['four parts', `${good}.${signature}`],
    ['only dots', '..'],
    ['an empty signature', `${header}.${body}.`],
    ['a signature of 63 bytes', `${header}.${body}.${base64url(new Uint8Array(63))}`],
    ['a signature of 65 bytes', `${header}.${body}.${base64url(new Uint8Array(65))}`],
    ['a padded signature', `${good}==`],
    ['a signature with a stray bit', `${header}.${body}.${'A'.repeat(85)}B`],
    ['a padded header', `${header}=.${body}.${signature}`],
    ['space around it', ` ${good} `],
    ['a byte that is not UTF-8', new Uint8Array([...utf8(good).subarray(0, 10), 0xff, ...utf8(good).subarray(11)])],
    ['text outside ASCII', `${header}.é.${signature}`],
    ['a sealed message where no xkey is configured', new Uint8Array([...utf8('xkv1'), ...randomBytes(100)])],
    ['random bytes', new Uint8Array(randomBytes(2000))],
    ['64 KiB of brackets', signText(head, '['.repeat(20_000))],
    ['a body that is a list', signText(head, `[${text}]`)],
    ['a body that is null', signText(head, 'null')],
    ['a truncated body', signText(head, text.slice(0, -1))],
    ['a body with a byte order mark', signText(head, `\ufeff${text}`)],
    ['a repeated member', signText(head, text.replace('"exp":', '"exp":1,"exp":'))],
    ['a repeated member written with an escape', signText(head, text.replace('"exp":', '"\\u0065xp":1,"exp":'))],
    ['a repeated member deep inside', signText(head, text.replace('"nonce":', '"nonce":"a","nonce":'))],
    ['a repeated nats', signText(head, `${text.slice(0, -1)},"nats":{}}`)],
    ['deep nesting', signText(head, text.replace('"jti":"TEST"', `"jti":${'['.repeat(50)}${']'.repeat(50)}`))],
    ['a repeated header member', signText('{"typ":"JWT","alg":"none","alg":"ed25519-nkey"}', text)],
    ['a header that is a text', signText('"JWT"', text)],
    ['a body behind __proto__', signText(head, `{"__proto__":${text}}`)],
  ]
  for (const [what, token] of cases) test(what, () => assert.equal(reason(open(token)), 'request_malformed'))

  const headers: Record<string, unknown>[] = [
    { alg: 'none' },
    { alg: 'ed25519' },
    { alg: 'EdDSA' },
    { alg: 'HS256' },
    { alg: undefined },
    { typ: 'jwt' },
    { typ: undefined },
    { alg: ['ed25519-nkey'] },
  ]
  for (const changed of headers) {
    test(`header ${JSON.stringify(changed)}`, () => assert.equal(reason(open(jwt({ header: changed }))), 'request_malformed'))
  }
  for (const type of ['authorization_response', 'user', '', undefined, null]) {
    test(`claims of type ${type}`, () => assert.equal(reason(open(jwt({ nats: { type } }))), 'request_malformed'))
  }
  for (const nats of [undefined, null, 'x', []]) {
    test(`nats ${JSON.stringify(nats)}`, () =>
      assert.equal(reason(open(signText(head, JSON.stringify({ ...bodyOf(), nats })))), 'request_malformed'))
  }
})

test('a request over 64 KiB is request_oversized, unread', () => {
  assert.equal(reason(open(new Uint8Array(64 * 1024 + 1))), 'request_oversized')
  assert.equal(reason(open(jwt({ connect: { user: 'u'.repeat(70_000) } }))), 'request_oversized')
  assert.equal(reason(open(new Uint8Array(64 * 1024))), 'request_malformed')
  assert.equal(reason(open(jwt({ connect: { user: 'u'.repeat(30_000) } }))), 'accepted')
})

describe('random and mutated requests', () => {
  const good = jwt()
  const raw = utf8(good)

  // A changed byte must break the signature or the form; only the very same bytes are accepted.
  function check(payload: Uint8Array): void {
    const opened = open(payload)
    if (opened.ok) assert.deepEqual(payload, raw)
    else assert.ok(opened.denial in DENIALS && DENIALS[opened.denial].stage === 'open')
  }

  test('never throw and are never accepted: 20,000 random byte strings', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string().map(utf8)), (payload) => check(payload)),
      { numRuns: 20_000 },
    )
  })

  test('never throw and are never accepted: 20,000 changes, cuts and additions to a good request', () => {
    const mutation = fc.record({ at: fc.nat(raw.length), drop: fc.nat(8), insert: fc.uint8Array({ maxLength: 8 }) })
    fc.assert(
      fc.property(mutation, ({ at, drop, insert }) =>
        check(new Uint8Array([...raw.subarray(0, at), ...insert, ...raw.subarray(at + drop)])),
      ),
      { numRuns: 20_000 },
    )
  })

  test('never throw and are never accepted: 10,000 unsigned bodies of random JSON', () => {
    const parts = fc.record(
      {
        iss: fc.oneof(fc.constant(server.publicKey), fc.jsonValue()),
        aud: fc.oneof(fc.constant('nats-authorization-request'), fc.jsonValue()),
        iat: fc.oneof(fc.constant(seconds), fc.jsonValue()),
        exp: fc.oneof(fc.constant(seconds + 5), fc.jsonValue()),
        nats: fc.oneof(fc.constant(bodyOf()['nats']), fc.jsonValue()),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(parts, fc.uint8Array({ minLength: 64, maxLength: 64 }), (body, signature) => {
        check(utf8(`${good.split('.')[0]}.${base64url(utf8(JSON.stringify(body)))}.${base64url(signature)}`))
      }),
      { numRuns: 10_000 },
    )
  })

  test('never throw when signed by a real server, whatever it says', () => {
    const anyParts = fc.dictionary(
      fc.constantFrom('server_id', 'user_nkey', 'client_info', 'connect_opts', 'client_tls', 'type', '__proto__'),
      fc.jsonValue(),
    )
    fc.assert(
      fc.property(anyParts, (nats) => {
        const opened = open(jwt({ nats }))
        if (!opened.ok) assert.equal(DENIALS[opened.denial].stage, 'open')
      }),
      { numRuns: 2000 },
    )
  })
})
