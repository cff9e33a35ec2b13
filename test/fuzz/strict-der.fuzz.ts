import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { isStrictEcdsaSignature } from '../../src/core/webauthn/strict-der.ts'
import { EC_CURVES, ecKeyOn } from '../support/assertion-case.ts'
import { testKey } from '../support/test-authenticator.ts'
import type { FuzzTarget } from './fuzz-target.ts'

/** What is accepted is byte for byte what encoding its two numbers gives. The first byte says how large they may be. */
export const strictDer: FuzzTarget = {
  name: 'strict-der',
  seeds: () => [
    ...EC_CURVES.map((curve) => Uint8Array.of(curve.scalarBytes, ...ecKeyOn(curve).sign(Buffer.from('message')))),
    Uint8Array.of(32, ...sign('sha256', Buffer.from('other'), testKey(-7).privateKey)),
    Uint8Array.of(1, 0x30, 6, 2, 1, 1, 2, 1, 1),
  ],
  dictionary: [],
  shape: 'bytes',
  run(input) {
    const scalarBytes = input[0] ?? 0
    const signature = input.subarray(1)
    if (!isStrictEcdsaSignature(signature, scalarBytes)) return
    const header = (signature[1] as number) < 0x80 ? 2 : 3
    const rLength = signature[header + 1] as number
    const r = signature.subarray(header + 2, header + 2 + rLength)
    const s = signature.subarray(header + 4 + rLength)
    for (const number of [r, s]) assert.ok(BigInt(`0x${Buffer.from(number).toString('hex')}`) > 0n)
    assert.deepEqual(Buffer.from(signature), encoded([r, s].map((number) => BigInt(`0x${Buffer.from(number).toString('hex')}`))))
    for (const number of [r, s]) assert.ok(number.length <= scalarBytes + 1)
  },
}

function encoded(numbers: bigint[]): Buffer {
  const body = Buffer.concat(
    numbers.map((number) => {
      const hex = number.toString(16)
      const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
      const positive = (bytes[0] as number) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes
      return Buffer.concat([Buffer.of(2, positive.length), positive])
    }),
  )
  return Buffer.concat([body.length < 0x80 ? Buffer.of(0x30, body.length) : Buffer.of(0x30, 0x81, body.length), body])
}
