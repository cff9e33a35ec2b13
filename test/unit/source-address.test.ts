import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { canonicalCidr, isWithin, sourceBlocks, sourceOf } from '../../src/core/source-address.ts'

describe('CIDR blocks', () => {
  const good = {
    '10.0.0.0/8': '10.0.0.0/8',
    '192.0.2.7/32': '192.0.2.7/32',
    '0.0.0.0/0': '0.0.0.0/0',
    'FD00::/8': 'fd00::/8',
    '2001:db8:0:0::/64': '2001:db8::/64',
    '::1/128': '::1/128',
    '::/0': '::/0',
  }
  for (const [text, canonical] of Object.entries(good)) test(`accepts ${text}`, () => assert.equal(canonicalCidr(text), canonical))
  const bad = [
    '',
    '10.0.0.0',
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0/8',
    '010.0.0.0/8',
    '10.0.0.0/-1',
    '10.0.0.0/8 ',
    'fd00::1/8',
    'fd00::/129',
    '::1',
    'fe80::%eth0/10',
    'example.com/8',
    '10.0.0.0/8/8',
    '2001:db8::1/127',
  ]
  for (const text of bad) test(`refuses ${JSON.stringify(text)}`, () => assert.equal(canonicalCidr(text), null))

  const blocks = sourceBlocks(['10.0.0.0/8', 'fd00::/8'])
  for (const address of ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', 'fd12::1'])
    test(`holds ${address}`, () => assert.equal(isWithin(blocks, address), true))
  for (const address of [
    '11.0.0.0',
    '9.255.255.255',
    '::ffff:11.0.0.1',
    'fe80::1',
    '',
    'localhost',
    '10.0.0.1:4222',
    '10.0.0',
    '10.0.0.1 ',
    '::10.0.0.1',
  ]) {
    test(`does not hold ${JSON.stringify(address)}`, () => assert.equal(isWithin(blocks, address), false))
  }
})

describe('whom a source address stands for', () => {
  const cases: [host: string, source: string][] = [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::99', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['1:2:3:4:5:6:192.0.2.7', '1:2:3:4::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    // What is no address stands for itself.
    ['localhost', 'localhost'],
    ['', ''],
    ['2001:db8::1::2', '2001:db8::1::2'],
  ]
  for (const [host, source] of cases)
    test(`${host === '' ? 'nothing' : host} is ${source === '' ? 'nothing' : source}`, () => assert.equal(sourceOf(host), source))

  test('all addresses of one IPv6 network are one source', () => {
    assert.equal(new Set(Array.from({ length: 1_000 }, (_, i) => sourceOf(`2001:db8:0:1:${i.toString(16)}::${i}`))).size, 1)
  })
})
