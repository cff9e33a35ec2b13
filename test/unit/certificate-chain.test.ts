/** Chains of certificates: what leads to a root, and what does not. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { leadsToRoot } from '../../src/core/webauthn/certificate-chain.ts'
import { attestationRoot, type CertificateChange, PACKED_SUBJECT, type TestIssuer } from '../support/attestation.ts'

const now = new Date()
const KEY_USAGE_CRL_ONLY = 0x40
const packedLeaf = (issuer: TestIssuer, change: CertificateChange = {}) => issuer.issue({ subject: PACKED_SUBJECT, ...change })

describe('a chain of certificates', () => {
  const leadsFrom = (chain: TestIssuer[], roots: TestIssuer[], at = now) =>
    leadsToRoot(
      chain.map(({ der }) => der),
      roots.map(({ der }) => der),
      at,
    )
  test('leads to the root through intermediates, and may bring the root along', async () => {
    const root = await attestationRoot()
    const intermediate = await root.issue({ ca: true })
    const leaf = await packedLeaf(intermediate)
    assert.equal(leadsFrom([leaf, intermediate], [root]), true)
    assert.equal(leadsFrom([leaf, intermediate, root], [root]), true)
    assert.equal(leadsFrom([leaf, intermediate], [await attestationRoot('Other'), root]), true)
    assert.equal(leadsFrom([leaf], [intermediate]), true, 'metadata may name the intermediate')
    assert.equal(leadsFrom([leaf], [leaf]), true, 'and the certificate itself')
  })
  test('leads nowhere when a link is missing, out of order or not signed by the next', async () => {
    const root = await attestationRoot()
    const intermediate = await root.issue({ ca: true })
    const twin = await root.issue({ ca: true })
    const leaf = await packedLeaf(intermediate)
    assert.equal(leadsFrom([], [root]), false)
    assert.equal(leadsFrom([leaf], [root]), false)
    assert.equal(leadsFrom([intermediate, leaf], [root]), false)
    assert.equal(leadsFrom([leaf, twin], [root]), false)
    assert.equal(leadsFrom([leaf, root, intermediate], [root]), false)
    assert.equal(leadsFrom([leaf, intermediate], []), false)
  })
  test('leads nowhere through a certificate that is no authority', async () => {
    const root = await attestationRoot()
    const notCa = await packedLeaf(root)
    const leaf = await packedLeaf(notCa)
    assert.equal(leadsFrom([leaf, notCa], [root]), false)
    const noSigning = await root.issue({ ca: true, keyUsage: KEY_USAGE_CRL_ONLY })
    assert.equal(leadsFrom([await packedLeaf(noSigning), noSigning], [root]), false)
    const notCaRoot = await attestationRoot('Plain', { ca: false })
    assert.equal(leadsFrom([await packedLeaf(notCaRoot)], [notCaRoot]), false)
  })
  test('leads nowhere through more authorities than one of them allows', async () => {
    const root = await attestationRoot('Short', { pathLength: 0 })
    const intermediate = await root.issue({ ca: true })
    const leaf = await packedLeaf(intermediate)
    assert.equal(leadsFrom([await packedLeaf(root)], [root]), true)
    assert.equal(leadsFrom([leaf, intermediate], [root]), false)
  })
  test('leads nowhere before or after any of its certificates is valid', async () => {
    const [past, future] = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)]
    const root = await attestationRoot()
    const intermediate = await root.issue({ ca: true })
    assert.equal(leadsFrom([await packedLeaf(intermediate, { notAfter: past }), intermediate], [root]), false)
    assert.equal(leadsFrom([await packedLeaf(intermediate, { notBefore: future }), intermediate], [root]), false)
    const expired = await root.issue({ ca: true, notAfter: past })
    assert.equal(leadsFrom([await packedLeaf(expired), expired], [root]), false)
    const expiredRoot = await attestationRoot('Old', { notAfter: past })
    assert.equal(leadsFrom([await packedLeaf(expiredRoot)], [expiredRoot]), false)
    const leaf = await packedLeaf(intermediate)
    assert.equal(leadsFrom([leaf, intermediate], [root], new Date(Date.now() + 3 * 86_400_000)), false, 'by the time that is given')
  })
})
