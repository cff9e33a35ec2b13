import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { credentialBytes } from '../../src/browser/ceremony.ts'
import { connectWithPasskey, PASSKEY_ERROR_CODES, type PasskeyRequest, webSocketUrl, webSocketUrls } from '../../src/browser/index.ts'
import { firstLineEnd, nonceOf } from '../../src/browser/info.ts'
import { PasskeyError } from '../../src/browser/passkey-error.ts'
import { utf8 } from '../../src/core/encoding.ts'

const code = (expected: string) => (error: unknown) => error instanceof PasskeyError && error.code === expected

describe('the address that a page dials', () => {
  for (const [given, canonical] of [
    ['wss://nats.example.com', 'wss://nats.example.com:443'],
    ['WSS://Nats.Example.COM:8443/', 'wss://nats.example.com:8443'],
    ['ws://localhost:8080', 'ws://localhost:8080'],
    ['ws://127.0.0.1', 'ws://127.0.0.1:80'],
    ['ws://[::1]:8080', 'ws://[::1]:8080'],
  ] as const) {
    test(`${given} is ${canonical}`, () => assert.equal(webSocketUrl(given), canonical))
  }

  for (const url of [
    'nats://localhost:4222',
    'tls://nats.example.com',
    'https://nats.example.com',
    'nats.example.com',
    'wss://user:secret@nats.example.com',
    'wss://nats.example.com/path',
    'wss://nats.example.com?x=1',
    'wss://nats.example.com#x',
    'wss://nats.example.com:0',
    'wss://nats.example.com:70000',
    'wss://exa mple.com',
    'javascript:alert(1)',
    '',
    7,
    null,
  ]) {
    test(`${url} is refused`, () => assert.throws(() => webSocketUrl(url), code('url_refused')))
  }

  for (const url of [
    'ws://nats.example.com',
    'ws://10.0.0.1:8080',
    'ws://localhost.example.com',
    'ws://127.0.0.1.nip.io',
    'ws://[::2]:80',
  ]) {
    test(`${url} is refused: it names nobody on a network`, () => assert.throws(() => webSocketUrl(url), code('plaintext_refused')))
  }

  test('is one of 1 to 32, each once', () => {
    assert.deepEqual(webSocketUrls(['wss://a.example', 'wss://A.example:443']), ['wss://a.example:443'])
    assert.throws(() => webSocketUrls([]), code('url_refused'))
    assert.throws(() => webSocketUrls(Array.from({ length: 33 }, (_, i) => `wss://n${i}.example`)), code('url_refused'))
  })
})

describe('INFO', () => {
  const nonce = (text: string): unknown => {
    const found = nonceOf(utf8(text))
    return found instanceof PasskeyError ? found.code : found
  }

  test('has a nonce', () => {
    assert.equal(nonce('INFO {"nonce":"abc-_9"}\r\n'), 'abc-_9')
    assert.equal(nonce('info  {"nonce":"abc"} \r\n'), 'abc')
  })

  for (const [text, expected] of [
    ['INFO {}\r\n', 'nonce_missing'],
    ['INFO {"nonce":""}\r\n', 'nonce_missing'],
    ['INFO {"nonce":null}\r\n', 'nonce_refused'],
    ['INFO {"nonce":["a"]}\r\n', 'nonce_refused'],
    ['INFO {"nonce":"a b"}\r\n', 'nonce_refused'],
    ['INFO {"nonce":"a\\u0000"}\r\n', 'nonce_refused'],
    [`INFO {"nonce":"${'n'.repeat(65)}"}\r\n`, 'nonce_refused'],
    ['INFO null\r\n', 'info_refused'],
    ['INFO 7\r\n', 'info_refused'],
    ['INFO {\r\n', 'info_refused'],
    ['PING\r\n', 'info_refused'],
    ['X INFO {"nonce":"abc"}\r\n', 'info_refused'],
  ] as const) {
    test(`${JSON.stringify(text.slice(0, 40))} is ${expected}`, () => assert.equal(nonce(text), expected))
  }

  test('that is not UTF-8 is refused', () =>
    assert.equal((nonceOf(new Uint8Array([0x49, 0xff, 0x0d, 0x0a])) as PasskeyError).code, 'info_refused'))

  test('ends at its first CRLF', () => {
    assert.equal(firstLineEnd(utf8('INFO {}\r\nPING\r\n')), 9)
    assert.equal(firstLineEnd(utf8('INFO {}\r')), -1)
    assert.equal(firstLineEnd(utf8('')), -1)
  })
})

describe('connectWithPasskey', () => {
  const request: PasskeyRequest = { servers: 'wss://nats.example.com', rpId: 'example.com' }

  test('says that there is no browser around it, before it dials', async () => {
    await assert.rejects(connectWithPasskey(request), code('unsupported'))
  })

  const refused: [what: string, changes: object, expected: string][] = [
    ['no rpId', { rpId: '' }, 'option_refused'],
    ['a handle with a dot', { handle: 'alice.>' }, 'option_refused'],
    ['a handle that is empty', { handle: '' }, 'option_refused'],
    ['an unknown wish for verification', { userVerification: 'maybe' }, 'option_refused'],
    ['no time to tap', { tapSeconds: 0 }, 'option_refused'],
    ['a time that is no number', { tapSeconds: Number.NaN }, 'option_refused'],
    ['a day to tap', { tapSeconds: 86_400 }, 'option_refused'],
    ['a credential id in padded base64', { credentialIds: ['AAAA=='] }, 'option_refused'],
    ['an empty credential id', { credentialIds: [''] }, 'option_refused'],
    ['another authenticator', { nats: { authenticator: () => ({}) } }, 'option_refused'],
    ['gossip', { nats: { ignoreClusterUpdates: false } }, 'option_refused'],
    ['other servers', { nats: { servers: ['wss://evil.example'] } }, 'option_refused'],
    ['another inbox', { nats: { inboxPrefix: '_INBOX' } }, 'option_refused'],
    ['another socket', { nats: { wsFactory: () => null } }, 'option_refused'],
    ['logs that would show proofs', { nats: { debug: true } }, 'option_refused'],
    ['plaintext', { servers: 'ws://nats.example.com' }, 'plaintext_refused'],
    ['no server', { servers: [] }, 'url_refused'],
  ]
  for (const [what, changes, expected] of refused) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(connectWithPasskey({ ...request, ...changes } as PasskeyRequest), code(expected))
    })
  }

  test('takes up to 64 credential ids', () => {
    assert.equal(credentialBytes(['AAAA']).length, 1)
    assert.throws(() => credentialBytes(Array.from({ length: 65 }, () => 'AAAA')), code('option_refused'))
  })
})

describe('the errors of the browser SDK', () => {
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

  test('are listed in docs/browser.md with their meaning, and no others', () => {
    const table = read('docs/browser.md').split('## Errors')[1] ?? ''
    const rows = [...table.matchAll(/^\| `([a-z_]+)` \| (.+) \|$/gm)].map(([, name, meaning]) => [name, meaning])
    assert.deepEqual(rows, Object.entries(PASSKEY_ERROR_CODES))
  })

  test('are all made somewhere', () => {
    const sources = readdirSync(new URL('../../src/browser/', import.meta.url))
      .filter((name) => name !== 'passkey-error.ts')
      .map((name) => read(`src/browser/${name}`))
      .join('\n')
    for (const name of Object.keys(PASSKEY_ERROR_CODES)) assert.ok(sources.includes(`'${name}'`), name)
  })
})
