/** The authentications of the W3C WebAuthn Level 3 test vectors (docs/webauthn.md has the same table). */
import assert from 'node:assert/strict'
import { createHash, createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { decodeCredentialPublicKey } from '@simplewebauthn/server/helpers'
import { parseCredentialId } from '../../src/core/identifiers.ts'
import { connectChallenge } from '../../src/core/protocol.ts'
import { DEFAULT_ALGORITHMS } from '../../src/core/rules.ts'
import { checkAssertionLine } from '../../src/core/webauthn/assertion-check.ts'
import { type AssertionCase, lineOf, verdictOf } from '../support/assertion-case.ts'
import { b64u } from '../support/test-authenticator.ts'

interface Vector {
  name: string
  rpId: string
  origin: string
  credentialId: string
  credentialPublicKey: string
  privateInputs: { credential_private_key?: string }
  registration: { flags: { be: boolean } }
  authentication: { challenge: string; clientDataJSON: string; authenticatorData: string; signature: string; signCount: number }
}

const { vectors } = JSON.parse(readFileSync(new URL('../vectors/w3c-webauthn-l3.json', import.meta.url), 'utf8')) as { vectors: Vector[] }

/** Verdict without and with user verification required. */
const VERDICTS: Record<string, [string, string]> = {
  'none-es256': ['accepted', 'user_not_verified'],
  'packed-self-es256': ['accepted', 'user_not_verified'],
  // No deployment embeds the ceremony, so there is no list of top origins to find this one on.
  'none-es256-crossOrigin': ['cross_origin', 'cross_origin'],
  'none-es256-topOrigin': ['cross_origin', 'cross_origin'],
  'none-es256-long-credential-id': ['accepted', 'accepted'],
  'packed-es256': ['accepted', 'accepted'],
  'packed-es384': ['accepted', 'accepted'],
  'packed-es512': ['accepted', 'user_not_verified'],
  'packed-rs256': ['accepted', 'user_not_verified'],
  'packed-eddsa': ['accepted', 'user_not_verified'],
  // Ed448 is not among the algorithms that this product verifies.
  'packed-ed448': ['algorithm_refused', 'algorithm_refused'],
  'tpm-es256': ['accepted', 'accepted'],
  'android-key-es256': ['accepted', 'user_not_verified'],
  'apple-es256': ['accepted', 'user_not_verified'],
  'fido-u2f-es256': ['accepted', 'user_not_verified'],
}

const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))

function caseOf(vector: Vector, requireUserVerification: boolean): AssertionCase {
  const { challenge, clientDataJSON, authenticatorData, signature } = vector.authentication
  const id = parseCredentialId(b64u(hex(vector.credentialId)))
  assert.ok(id !== null)
  return {
    response: {
      id,
      rawId: id,
      type: 'public-key',
      clientExtensionResults: {},
      response: {
        clientDataJSON: b64u(hex(clientDataJSON)),
        authenticatorData: b64u(hex(authenticatorData)),
        signature: b64u(hex(signature)),
      },
    },
    credential: {
      id,
      publicKey: b64u(hex(vector.credentialPublicKey)),
      signCount: 0,
      signCountAt: 0,
      backupEligible: vector.registration.flags.be,
      rpId: vector.rpId,
      class: 'person',
      userHandle: b64u('someone'),
    },
    expected: {
      challenge: hex(challenge),
      rpId: vector.rpId,
      origins: [vector.origin],
      class: 'person',
      requireUserVerification,
      algorithms: DEFAULT_ALGORITHMS,
    },
  }
}

test('the table names every vector and no other', () => {
  assert.deepEqual(vectors.map(({ name }) => name).sort(), Object.keys(VERDICTS).sort())
})

test('docs/webauthn.md has the same table', () => {
  const docs = readFileSync(new URL('../../docs/webauthn.md', import.meta.url), 'utf8')
  const spelled = (verdict: string) => (verdict === 'accepted' ? verdict : `\`${verdict}\``)
  for (const [name, [free, required]] of Object.entries(VERDICTS)) {
    assert.ok(docs.includes(`| ${name} | ${spelled(free)} | ${spelled(required)} |`), name)
  }
})

for (const vector of vectors) {
  describe(vector.name, () => {
    for (const [i, requireUserVerification] of [false, true].entries()) {
      const wanted = VERDICTS[vector.name]?.[i]
      const given = caseOf(vector, requireUserVerification)
      test(`${wanted} by the verifier, user verification required: ${requireUserVerification}`, () =>
        assert.equal(verdictOf(given), wanted))

      test(`${wanted} by assertion check, user verification required: ${requireUserVerification}`, () => {
        const verdict = checkAssertionLine(JSON.stringify({ name: vector.name, ...lineOf(given) }))
        assert.deepEqual(
          verdict,
          wanted === 'accepted' ? { name: vector.name, verdict: 'accepted' } : { name: vector.name, verdict: 'denied', reason: wanted },
        )
      })
    }

    if (VERDICTS[vector.name]?.[0] !== 'accepted') return
    test('denied as soon as the challenge, the relying party or a byte of the signature differs', () => {
      const given = caseOf(vector, false)
      const { expected, response } = given
      assert.equal(verdictOf({ ...given, expected: { ...expected, challenge: new Uint8Array(32) } }), 'challenge_mismatch')
      assert.equal(verdictOf({ ...given, expected: { ...expected, origins: ['https://example.com'] } }), 'origin_mismatch')
      assert.equal(verdictOf({ ...given, expected: { ...expected, rpId: 'example.com' } }), 'rp_id_mismatch')
      const signature = hex(vector.authentication.signature)
      signature[signature.length - 1] = (signature[signature.length - 1] as number) ^ 1
      const forged = { ...response, response: { ...response.response, signature: b64u(signature) } }
      assert.equal(verdictOf({ ...given, response: forged }), 'signature_invalid')
    })
  })
}

test('a published key signs a proof for a connection, and the verifier takes it', () => {
  const vector = vectors.find(({ name }) => name === 'none-es256')
  assert.ok(vector)
  const given = caseOf(vector, false)
  const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest())
  const challenge = connectChallenge(sha256, { nonce: 'UyUC1jbMgWaxsGk', url: 'tls://nats.example.org:4222', nkey: '', plain: false })
  const clientDataJSON = Buffer.from(
    JSON.stringify({ type: 'webauthn.get', challenge: b64u(challenge), origin: vector.origin, crossOrigin: false }),
  )
  const members: unknown = decodeCredentialPublicKey(hex(vector.credentialPublicKey))
  assert.ok(members instanceof Map)
  const key = createPrivateKey({
    key: {
      kty: 'EC',
      crv: 'P-256',
      x: b64u(members.get(-2)),
      y: b64u(members.get(-3)),
      d: b64u(hex(vector.privateInputs.credential_private_key ?? '')),
    },
    format: 'jwk',
  })
  const authenticatorData = hex(vector.authentication.authenticatorData)
  const signature = sign('sha256', Buffer.concat([authenticatorData, sha256(clientDataJSON)]), key)
  const response = {
    ...given.response,
    response: { clientDataJSON: b64u(clientDataJSON), authenticatorData: b64u(authenticatorData), signature: b64u(signature) },
  }
  assert.equal(verdictOf({ ...given, response, expected: { ...given.expected, challenge } }), 'accepted')
})
