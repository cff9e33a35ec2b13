import assert from 'node:assert/strict'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import { endOfCborMap, isOneCborMap } from '../../src/core/webauthn/cbor-map.ts'
import { testKey } from '../support/test-authenticator.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))

/** A map ends in one place; what is before that is the map, and no beginning of it is one. */
export const cborMap: FuzzTarget = {
  name: 'cbor-map',
  seeds: () => [
    hex('a0'),
    hex('a1016101'),
    hex('bf01'),
    hex('a26161f56162fb3ff0000000000000'),
    hex('a1181803'),
    testKey(-7).cose,
    hex('a1a1a1a101'),
  ],
  dictionary: ['\u00a0', '\u0018\u0018', '\u001b\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0001'],
  shape: 'bytes',
  run(input) {
    const end = endOfCborMap(input, 0)
    assert.equal(isOneCborMap(input, 0), end === input.length)
    if (end === -1) return
    assert.ok(end >= 1 && end <= input.length)
    const map = input.subarray(0, end)
    assert.ok(isOneCborMap(map, 0))
    assert.equal(endOfCborMap(map.subarray(0, end - 1), 0), -1)
    // Anywhere else in memory it is the same map.
    assert.equal(endOfCborMap(Buffer.concat([Buffer.of(0xff), map, Buffer.of(0xff)]), 1), end + 1)
    if (map.length < 512) readsAlike(map)
  },
}

/** The library reads the same length, or refuses the map for a reason of its own, such as a key twice. */
function readsAlike(map: Uint8Array): void {
  let decoded: unknown
  try {
    decoded = isoCBOR.decodeFirst(Uint8Array.from(map))
  } catch {
    return
  }
  assert.ok(decoded instanceof Map)
}
