/** Certificates from strangers: one reading, or none. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import { EXTENSION, readCertificate } from '../../src/core/webauthn/certificate.ts'
import { aaguidExtension, attestationRoot } from '../support/attestation.ts'

const AAGUID = '0102030a-0000-4000-8000-00000000abcd'

describe('a certificate', () => {
  let der: Uint8Array
  before(async () => {
    const root = await attestationRoot()
    const certificate = await root.issue({ ca: true, pathLength: 1, crl: 'http://crl.example/', extensions: [aaguidExtension(AAGUID)] })
    der = certificate.der
  })

  test('is read with its extensions, its path length and its times', () => {
    const read = readCertificate(der)
    assert.ok(read)
    assert.deepEqual(
      [...read.extensions.keys()].sort(),
      [EXTENSION.basicConstraints, EXTENSION.crlDistributionPoints, EXTENSION.aaguid].sort(),
    )
    assert.equal(read.pathLengthMax, 1)
    assert.ok(read.validFrom < Date.now() && Date.now() < read.validTo)
    assert.deepEqual(Buffer.from(read.extensions.get(EXTENSION.aaguid)?.value ?? []).toString('hex'), `0410${AAGUID.replaceAll('-', '')}`)
  })
  test('is refused when it is something else, cut short, goes on, or is too large', () => {
    for (const bytes of [
      new Uint8Array(),
      new Uint8Array([0x30, 0]),
      new Uint8Array(64),
      der.subarray(0, der.length - 1),
      new Uint8Array([...der, 0]),
      new Uint8Array([...der, ...new Uint8Array(8 * 1024)]),
    ]) {
      assert.equal(readCertificate(bytes), null)
    }
  })
  test('is refused in any encoding but DER', () => {
    const [, , high = 0, low = 0] = der
    // The outer length with a leading zero, and the indefinite one.
    assert.equal(readCertificate(new Uint8Array([0x30, 0x83, 0, high, low, ...der.subarray(4)])), null)
    assert.equal(readCertificate(new Uint8Array([0x30, 0x80, ...der.subarray(4), 0, 0])), null)
  })
  test('is refused when an extension spells its name in another way', () => {
    const at = Buffer.from(der).indexOf(Buffer.from('0603551d1f', 'hex'))
    assert.ok(at > 0)
    // 2.5.29.31 of three bytes, as two components of which the second has a leading zero.
    const changed = Uint8Array.from(der)
    changed.set([0x06, 0x03, 0x55, 0x80, 0x1f], at)
    assert.equal(readCertificate(changed), null)
  })
  test('never throws, whatever is changed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = Uint8Array.from(der)
        for (const [at, byte] of changes) changed[at] = byte
        readCertificate(changed)
      }),
      { numRuns: 500 },
    )
  })
})
