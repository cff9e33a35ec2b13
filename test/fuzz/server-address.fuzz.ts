import assert from 'node:assert/strict'
import { canonicalServerUrl, parseServerUrl, serverUrlParts } from '../../src/core/server-address.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const ADDRESSES = [
  'tls://nats.example.com:4222',
  'nats://127.0.0.1:4222',
  'wss://[2001:db8::1]:443',
  'ws://localhost',
  'NATS.Example.com.',
  'tls://xn--bcher-kva.example:1',
  'nats://[::ffff:192.0.2.1]:65535',
  '0x7f.1:4222',
]

/** One spelling an address: canonical is what parses, and what parses is canonical already. */
export const serverAddress: FuzzTarget = {
  name: 'server-address',
  seeds: () => ADDRESSES.map(bytesOf),
  dictionary: [
    '://',
    'tls',
    'nats',
    'wss',
    ':4222',
    ':0',
    '[::1]',
    '127.0.0.1',
    'xn--',
    '0x',
    '.',
    '%2e',
    '\\',
    '@',
    '\u00ad',
    '\u3002',
    '-',
  ],
  shape: 'text',
  run(input) {
    const text = textOf(input)
    const canonical = canonicalServerUrl(text)
    const parsed = parseServerUrl(text)
    if (parsed !== null) {
      assert.equal(canonical, text)
      const { scheme, host, port } = serverUrlParts(parsed)
      assert.equal(`${scheme}://${host}:${port}`, text)
      assert.equal(new URL(`http://${host}:${port === 80 ? 81 : port}`).hostname, host)
    }
    if (canonical === null) return
    assert.equal(parseServerUrl(canonical), canonical)
    assert.equal(canonicalServerUrl(canonical), canonical)
    assert.match(canonical, /^[a-z]+:\/\/[\x21-\x7e]+:[0-9]+$/)
  },
}
