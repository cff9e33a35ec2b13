import assert from 'node:assert/strict'
import { decodeCredentialPublicKey, isoCBOR } from '@simplewebauthn/server/helpers'
import { parseCoseKey, verifyCoseSignature } from '../../src/core/webauthn/cose-key.ts'
import { coseBytes, EC_CURVES, ecKeyOn } from '../support/assertion-case.ts'
import { testKey } from '../support/test-authenticator.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const KINDS: Record<number, string> = { [-7]: 'ec', [-35]: 'ec', [-36]: 'ec', [-8]: 'ed25519', [-257]: 'rsa' }

/** A key that is taken fits its algorithm, has one encoding, and verifies nothing that it did not sign. */
export const coseKey: FuzzTarget = {
  name: 'cose-key',
  seeds: () => [...EC_CURVES.map((curve) => coseBytes(ecKeyOn(curve).members)), testKey(-8).cose, testKey(-257).cose],
  dictionary: [],
  shape: 'bytes',
  run(input) {
    const key = parseCoseKey(input)
    if (!key.ok) return assert.equal(key.denial, 'algorithm_refused')
    const { alg, keyObject } = key.value
    assert.equal(keyObject.asymmetricKeyType, KINDS[alg])
    const members: unknown = decodeCredentialPublicKey(Uint8Array.from(input))
    assert.ok(members instanceof Map && members.get(3) === alg)
    assert.deepEqual(Buffer.from(isoCBOR.encode(members as Parameters<typeof isoCBOR.encode>[0])), Buffer.from(input))
    for (const length of [0, 64, 70, 256]) assert.equal(verifyCoseSignature(key.value, input, new Uint8Array(length)), false)
  },
}
