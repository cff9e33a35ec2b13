import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { base64url } from '../../src/core/encoding.ts'
import {
  type CredentialId,
  canonicalServerUrl,
  credentialKey,
  isLoopbackHost,
  parseAccountName,
  parseCredentialId,
  parseHandle,
  parseNonce,
  parseRoleName,
  parseServerId,
  parseServerUrl,
  parseUserNkey,
  type ServerUrl,
  serverUrlParts,
} from '../../src/core/identifiers.ts'
import { encodePublicNkey } from '../../src/core/nkey.ts'

const NOT_TEXT = [undefined, null, 0, 1, true, {}, [], ['a'], Symbol.iterator, new String('a')]

const CANONICAL = [
  'nats://localhost:4222',
  'tls://nats.example.com:4222',
  'ws://localhost:80',
  'wss://nats.example.com:443',
  'wss://a:1',
  'tls://a-b.c-d:65535',
  'tls://xn--bcher-kva.example:4222',
  'tls://192.0.2.1:4222',
  'tls://[::1]:4222',
  'tls://[2001:db8::1]:4222',
  'tls://[::ffff:7f00:1]:4222',
  'tls://127.0.0.1:4222',
]

const NOT_CANONICAL: [string, string][] = [
  ['', 'empty'],
  ['nats.example.com:4222', 'no scheme'],
  ['//nats.example.com:4222', 'no scheme'],
  ['http://nats.example.com:80', 'another scheme'],
  ['mqtt://nats.example.com:1883', 'another scheme'],
  ['TLS://nats.example.com:4222', 'upper-case scheme'],
  ['tls:/nats.example.com:4222', 'one slash'],
  ['tls://nats.example.com', 'no port'],
  ['tls://nats.example.com:', 'empty port'],
  ['tls://nats.example.com:0', 'port 0'],
  ['tls://nats.example.com:65536', 'port out of range'],
  ['tls://nats.example.com:99999', 'port out of range'],
  ['tls://nats.example.com:100000', 'port out of range'],
  ['tls://nats.example.com:04222', 'leading zero'],
  ['tls://nats.example.com:+4222', 'sign'],
  ['tls://nats.example.com:4222x', 'not a number'],
  ['tls://Nats.example.com:4222', 'upper case'],
  ['tls://nats.example.com.:4222', 'trailing dot'],
  ['tls://.nats.example.com:4222', 'leading dot'],
  ['tls://nats..example.com:4222', 'empty label'],
  ['tls://-nats.example.com:4222', 'leading hyphen'],
  ['tls://nats-.example.com:4222', 'trailing hyphen'],
  ['tls://nats_1.example.com:4222', 'underscore'],
  ['tls://bücher.example:4222', 'not an A-label'],
  ['tls://xn--bücher.example:4222', 'not an A-label'],
  ['tls://xn--.example:4222', 'not an A-label'],
  ['tls://xn--a.example:4222', 'not an A-label'],
  ['tls://ｎats.example.com:4222', 'full-width letter'],
  ['tls://nats。example.com:4222', 'ideographic full stop'],
  ['tls://:4222', 'no host'],
  ['tls://a@nats.example.com:4222', 'userinfo'],
  ['tls://a:b@nats.example.com:4222', 'userinfo'],
  ['tls://nats.example.com:4222@evil.example:4222', 'userinfo'],
  ['tls://nats.example.com:4222/', 'path'],
  ['tls://nats.example.com:4222/nats', 'path'],
  ['tls://nats.example.com:4222?x', 'query'],
  ['tls://nats.example.com:4222#x', 'fragment'],
  ['tls://nats.example.com\\evil:4222', 'backslash'],
  ['tls://nats%2eexample.com:4222', 'percent'],
  [' tls://nats.example.com:4222', 'space'],
  ['tls://nats.example.com:4222 ', 'space'],
  ['tls://nats.example.com:4222\n', 'newline'],
  ['tls://nats.\texample.com:4222', 'tab'],
  ['tls://nats.example.com:4222,tls://b.example:4222', 'two'],
  ['tls://nats.example.com:4222\0', 'NUL'],
  ['tls://192.0.2.01:4222', 'IPv4 leading zero'],
  ['tls://192.0.2:4222', 'short IPv4'],
  ['tls://192.0.2.256:4222', 'IPv4 out of range'],
  ['tls://1.2.3.4.5:4222', 'five octets'],
  ['tls://3221225985:4222', 'IPv4 as a number'],
  ['tls://0xc0000201:4222', 'IPv4 in hexadecimal'],
  ['tls://0x7f.1:4222', 'IPv4 in hexadecimal'],
  ['tls://0x7f.0.0.1:4222', 'IPv4 in hexadecimal'],
  ['tls://example.0x1:4222', 'a last label that is a number'],
  ['tls://example.1:4222', 'a last label that is a number'],
  ['tls://::1:4222', 'IPv6 without brackets'],
  ['tls://[::1:4222', 'one bracket'],
  ['tls://[]:4222', 'empty brackets'],
  ['tls://[0:0:0:0:0:0:0:1]:4222', 'long IPv6'],
  ['tls://[2001:DB8::1]:4222', 'upper-case IPv6'],
  ['tls://[2001:0db8::1]:4222', 'IPv6 leading zero'],
  ['tls://[2001:db8:0:0:1::1]:4222', 'IPv6 with the wrong run of zeros'],
  ['tls://[::ffff:127.0.0.1]:4222', 'IPv6 with dotted IPv4'],
  ['tls://[fe80::1%25eth0]:4222', 'IPv6 zone'],
  ['tls://[::1].:4222', 'dot after IPv6'],
  ['tls://[localhost]:4222', 'name in brackets'],
  [`tls://${'a'.repeat(64)}.example:4222`, 'label of 64'],
  [`tls://${'a.'.repeat(127)}aa:4222`, 'name of 256'],
  [`tls://${'a'.repeat(400)}:4222`, 'too long'],
]

describe('a server URL', () => {
  test('in the canonical spelling is read as it stands', () => {
    for (const url of CANONICAL) assert.equal(parseServerUrl(url), url)
    assert.equal(parseServerUrl(`tls://${'a'.repeat(63)}.example:4222`), `tls://${'a'.repeat(63)}.example:4222`)
    assert.equal(parseServerUrl(`tls://${'a.'.repeat(126)}a:4222`)?.length, 6 + 253 + 5)
  })

  for (const [url, why] of NOT_CANONICAL) {
    test(`is refused: ${why} ${JSON.stringify(url).slice(0, 60)}`, () => assert.equal(parseServerUrl(url), null))
  }

  test('that is no text is refused', () => {
    for (const value of NOT_TEXT) assert.equal(parseServerUrl(value), null)
  })

  test('has a scheme, host and port', () => {
    assert.deepEqual(serverUrlParts('tls://[2001:db8::1]:4223' as ServerUrl), { scheme: 'tls', host: '[2001:db8::1]', port: 4223 })
    assert.deepEqual(serverUrlParts('wss://nats.example.com:443' as ServerUrl), { scheme: 'wss', host: 'nats.example.com', port: 443 })
  })
})

describe('the canonical spelling of what a person wrote', () => {
  const spellings: [string, string | null][] = [
    ['localhost', 'nats://localhost:4222'],
    ['nats.example.com', 'nats://nats.example.com:4222'],
    ['nats://nats.example.com', 'nats://nats.example.com:4222'],
    ['tls://nats.example.com', 'tls://nats.example.com:4222'],
    ['ws://nats.example.com', 'ws://nats.example.com:80'],
    ['wss://nats.example.com', 'wss://nats.example.com:443'],
    ['wss://nats.example.com:80', 'wss://nats.example.com:80'],
    ['ws://nats.example.com:80', 'ws://nats.example.com:80'],
    ['WSS://Nats.Example.COM/', 'wss://nats.example.com:443'],
    ['tls://nats.example.com.', 'tls://nats.example.com:4222'],
    ['tls://nats.example.com.:4223', 'tls://nats.example.com:4223'],
    ['  tls://nats.example.com:4222  ', 'tls://nats.example.com:4222'],
    ['tls://bücher.example', 'tls://xn--bcher-kva.example:4222'],
    ['tls://BÜCHER.example', 'tls://xn--bcher-kva.example:4222'],
    ['tls://[0:0:0:0:0:0:0:1]', 'tls://[::1]:4222'],
    ['tls://[2001:DB8::1]:4223', 'tls://[2001:db8::1]:4223'],
    ['tls://127.1', 'tls://127.0.0.1:4222'],
    ['tls://nats.example.com:04222', 'tls://nats.example.com:4222'],
    ['', null],
    ['tls://', null],
    ['http://nats.example.com', null],
    ['tls://user@nats.example.com', null],
    ['tls://user:pass@nats.example.com:4222', null],
    ['tls://nats.example.com/path', null],
    ['tls://nats.example.com?query', null],
    ['tls://nats.example.com#fragment', null],
    ['tls://nats.example.com:0', null],
    ['tls://nats.example.com:65536', null],
    ['tls://nats.example.com:port', null],
    ['tls://nats example.com', null],
    ['tls://nats\texample.com', null],
    ['tls://nats\nexample.com', null],
    ['tls://nats.example.com\\evil', null],
    ['tls://nats%2eexample.com', null],
    ['tls://nats_1.example.com', null],
    ['tls://[::1', null],
    ['tls://a..b', null],
    ['tls://a,tls://b', null],
  ]
  for (const [written, canonical] of spellings) {
    test(`of ${JSON.stringify(written)} is ${canonical}`, () => assert.equal(canonicalServerUrl(written), canonical))
  }
  // Node 20's URL.canParse begins to say yes to it once the compiler has optimised its caller.
  test('of text outside ASCII is none, however often one asks', () => {
    for (let i = 0; i < 30_000; i++) assert.equal(canonicalServerUrl('tls://\u00e3\u0080\u0082:4222'), null)
  })

  test('is a fixed point, and is canonical, for any text', () => {
    const hostish = fc.string({ unit: fc.constantFrom(...'aZ0.-:[]%@/\\ éx_'.split('')), maxLength: 20 })
    fc.assert(
      fc.property(
        fc.constantFrom('', 'nats://', 'TLS://', 'ws://', 'wss://'),
        fc.oneof(
          hostish,
          fc.domain(),
          fc.ipV4Extended(),
          fc.ipV6().map((ip) => `[${ip}]`),
        ),
        (scheme, host) => {
          const url = canonicalServerUrl(scheme + host)
          if (url === null) return
          assert.equal(parseServerUrl(url), url)
          assert.equal(canonicalServerUrl(url), url)
        },
      ),
      { numRuns: 5000 },
    )
  })
})

test('only addresses of this very machine are loopback', () => {
  for (const host of ['localhost', '127.0.0.1', '127.255.1.2', '::1', '[::1]', '::ffff:127.0.0.1'])
    assert.equal(isLoopbackHost(host), true, host)
  const others = [
    '',
    '0.0.0.0',
    '::',
    '128.0.0.1',
    '10.0.0.1',
    '127.0.0.1.example.com',
    'localhost.example.com',
    'notlocalhost',
    'LOCALHOST',
    '127.1',
    '1127.0.0.1',
    '127.0.0.1:4222',
    '::ffff:10.0.0.1',
    '::12',
    'fe80::1',
  ]
  for (const host of others) assert.equal(isLoopbackHost(host), false, host)
})

describe('a nonce', () => {
  test('is 1 to 64 printable ASCII characters', () => {
    for (const text of ['a', 'O2VRyWtLHNKhBnU', '!~', 'x'.repeat(64)]) assert.equal(parseNonce(text), text)
    for (const text of ['', ' ', 'a b', 'a\n', '\x7f', 'é', '\0', 'x'.repeat(65), ...NOT_TEXT]) assert.equal(parseNonce(text), null)
  })
})

describe('nkeys of users and servers', () => {
  const user = encodePublicNkey('U', randomBytes(32))
  const server = encodePublicNkey('N', randomBytes(32))
  test('are never mistaken for each other', () => {
    assert.equal(parseUserNkey(user), user)
    assert.equal(parseServerId(server), server)
    for (const value of ['', server, user.toLowerCase(), `${user} `, ...NOT_TEXT]) assert.equal(parseUserNkey(value), null)
    for (const value of ['', user, server.slice(1), ...NOT_TEXT]) assert.equal(parseServerId(value), null)
  })

  test('refuses keys of small order: one signature would fit every nonce', () => {
    const points = [
      '01',
      '00',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    ]
    for (const hex of points) {
      const nkey = encodePublicNkey('U', Buffer.from(hex.padEnd(64, '0'), 'hex'))
      assert.equal(parseUserNkey(nkey), null)
    }
  })
})

describe('a credential id', () => {
  test('is 1 to 1023 bytes in the one base64url spelling', () => {
    for (const length of [1, 2, 3, 16, 64, 1022, 1023]) {
      const id = base64url(randomBytes(length))
      assert.equal(parseCredentialId(id), id)
    }
    for (const value of ['', 'A', 'AB', 'AA==', 'AA+A', 'AA A', base64url(randomBytes(1024)), base64url(randomBytes(2000)), ...NOT_TEXT]) {
      assert.equal(parseCredentialId(value), null)
    }
  })

  test('has a key of 43 characters: the SHA-256 of its bytes', () => {
    const bytes = randomBytes(1023)
    const key = credentialKey(base64url(bytes) as CredentialId)
    assert.equal(key, createHash('sha256').update(bytes).digest('base64url'))
    assert.match(key, /^[A-Za-z0-9_-]{43}$/)
  })
})

describe('names', () => {
  test('of identities are 1 to 64 of a-z, 0-9, underscore and hyphen', () => {
    for (const text of ['a', 'orders', 'alice_1-b', 'x'.repeat(64)]) assert.equal(parseHandle(text), text)
    for (const value of ['', 'A', 'a.b', 'a*', '>', 'a b', 'a\n', 'é', 'x'.repeat(65), ...NOT_TEXT]) assert.equal(parseHandle(value), null)
  })

  test('of roles and accounts are one safe token too', () => {
    for (const text of ['a', 'Orders-Writer_1', 'x'.repeat(64)]) assert.equal(parseRoleName(text), text)
    for (const value of ['', 'a.b', '*', '>', 'a b', '$x', 'a\n', 'x'.repeat(65), ...NOT_TEXT]) assert.equal(parseRoleName(value), null)
    for (const text of ['APP', '$G', 'a-b_c']) assert.equal(parseAccountName(text), text)
    for (const value of ['', 'a.b', '*', 'a b', 'a\n', 'x'.repeat(65), ...NOT_TEXT]) assert.equal(parseAccountName(value), null)
  })
})
