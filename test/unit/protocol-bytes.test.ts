import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { protocolExamples } from '../../scripts/protocol-examples.ts'
import { parseNonce, parseServerUrl, parseUserNkey } from '../../src/core/identifiers.ts'
import { readOffer } from '../../src/core/proof.ts'
import { connectChallenge } from '../../src/core/protocol.ts'
import type { CredentialRecord } from '../../src/core/records.ts'
import { verifyBoundResume, verifyPlainResume } from '../../src/core/session.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { verifyAssertion } from '../../src/core/webauthn/assertion.ts'
import { signatures } from '../support/signatures.ts'

const examples = protocolExamples()
const value = (name: string): string => {
  const text = examples[name]
  assert.ok(text !== undefined, name)
  return text
}
const bytes = (name: string): Buffer => Buffer.from(value(name), 'hex')

describe('the verifier accepts the documented bytes', () => {
  const nonce = parseNonce(value('nonce'))
  const url = parseServerUrl(value('url'))
  const nkey = parseUserNkey(value('nkey'))
  assert.ok(nonce && url && nkey)

  function credential(cose: string): CredentialRecord {
    return {
      v: 1,
      id: value('credential.id') as CredentialRecord['id'],
      publicKey: bytes(cose).toString('base64url'),
      signCount: 0,
      signCountAt: 0,
      backupEligible: true,
      backupState: false,
      transports: [],
      aaguid: '00000000-0000-0000-0000-000000000000',
      attestation: { format: 'packed', trust: 'self' },
      rpId: value('rp_id'),
      class: 'machine',
      handle: 'orders' as CredentialRecord['handle'],
      userHandle: value('credential.user_handle'),
      name: 'orders',
      state: 'active',
      createdAt: 0,
      expiresAt: null,
      endedAt: null,
      enrolledBy: 'admin',
      approvedBy: null,
    }
  }

  function judge(name: string, { key, plain, cose = 'ed25519.cose' }: { key: string; plain: boolean; cose?: string }): string {
    const offer = readOffer({ sig: name.startsWith('sig.') ? value(name) : name, nkey: key })
    assert.ok(offer.ok && (offer.value.form === 'proof' || offer.value.form === 'endorsing'))
    const challenge = connectChallenge(sha256, { nonce: value('nonce'), url: offer.value.url, nkey: key, plain })
    const verified = verifyAssertion(offer.value.assertion, credential(cose), {
      challenge,
      rpId: value('rp_id'),
      origins: ['nats-webauthn://machine'],
      class: 'machine',
      requireUserVerification: false,
      algorithms: [-7, -8],
    })
    return verified.ok ? 'accepted' : verified.denial
  }

  test('as proofs, each for its own nkey and plain alone', () => {
    assert.equal(judge('sig.proof', { key: '', plain: false }), 'accepted')
    assert.equal(judge('sig.endorsing', { key: nkey, plain: false }), 'accepted')
    assert.equal(judge('sig.endorsing.plain', { key: nkey, plain: true }), 'accepted')
    assert.equal(judge('sig.proof', { key: nkey, plain: false }), 'challenge_mismatch')
    assert.equal(judge('sig.endorsing', { key: nkey, plain: true }), 'challenge_mismatch')
    assert.equal(judge('sig.endorsing.plain', { key: nkey, plain: false }), 'challenge_mismatch')
  })

  test('as an ES256 proof', () => {
    const sig = Buffer.from(JSON.stringify({ v: 1, url, assertion: JSON.parse(value('assertion.es256.json')) })).toString('base64url')
    assert.equal(judge(sig, { key: '', plain: false, cose: 'es256.cose' }), 'accepted')
    assert.equal(judge(sig, { key: '', plain: false, cose: 'ed25519.cose' }), 'signature_invalid')
  })

  test('as resumes', () => {
    const bound = readOffer({ sig: value('sig.bound'), nkey })
    assert.ok(bound.ok && bound.value.form === 'bound')
    assert.equal(verifyBoundResume({ nkey, nonce, url: bound.value.url, signature: bound.value.resume }, signatures), true)
    const endorsing = readOffer({ sig: value('sig.endorsing.plain'), nkey })
    assert.ok(endorsing.ok && endorsing.value.form === 'endorsing' && endorsing.value.plain)
    assert.equal(verifyBoundResume({ nkey, nonce, url, signature: endorsing.value.resume }, signatures), true)
    for (const name of ['sig.plain', 'sig.plain.base64']) {
      const plain = readOffer({ sig: value(name), nkey })
      assert.ok(plain.ok && plain.value.form === 'plain')
      assert.equal(verifyPlainResume({ nkey, nonce, signature: plain.value.signature }, signatures), true)
    }
  })
})
