import assert from 'node:assert/strict'
import { readCertificate } from '../../src/core/webauthn/certificate.ts'
import { leadsToRoot } from '../../src/core/webauthn/certificate-chain.ts'
import { aaguidExtension, attestationRoot, PACKED_SUBJECT } from '../support/attestation.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const now = new Date()
let root: Uint8Array | null = null
let sound: readonly Uint8Array[] = []

/** What is read is the whole of the bytes, and nothing but the sound ones lead to the root. */
export const certificate: FuzzTarget = {
  name: 'certificate',
  async seeds() {
    const issuer = await attestationRoot()
    const extensions = [aaguidExtension('00112233-4455-6677-8899-aabbccddeeff')]
    const leaf = await issuer.issue({ subject: PACKED_SUBJECT, extensions })
    const between = await issuer.issue({ ca: true, pathLength: 0, crl: 'http://crl.example/1' })
    root = issuer.der
    sound = [issuer.der, leaf.der, between.der]
    return sound
  },
  dictionary: [],
  shape: 'bytes',
  run(input) {
    const read = readCertificate(input)
    if (root === null) throw new Error('running a target without its seeds')
    const leads = leadsToRoot([input], [root], now)
    if (read === null) return assert.equal(leads, false)
    assert.deepEqual(Buffer.from(read.x509.raw), Buffer.from(input))
    assert.equal(
      leads,
      sound.some((der) => Buffer.from(der).equals(input)),
    )
  },
}
