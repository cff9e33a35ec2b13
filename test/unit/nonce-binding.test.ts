/** What a client signs is good for the nonce of one connection: ten thousand others of each form are refused. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Nonce, parseNonce, parseServerUrl, parseUserNkey } from '../../src/core/identifiers.ts'
import { connectChallenge, resumeMessage } from '../../src/core/protocol.ts'
import { verifyBoundResume, verifyPlainResume } from '../../src/core/session.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { machineCase, verdictOf } from '../support/assertion-case.ts'
import { testNkey } from '../support/authorization-request.ts'
import { signatures } from '../support/signatures.ts'

const own = parseNonce('O2VRyWtLHNKhBnU')
const url = parseServerUrl('nats://localhost:4222')
assert.ok(own !== null && url !== null)
const printable = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))

/** Judges 10,000 random nonces that are not the one that was signed. */
function forOthers(judge: (nonce: Nonce) => boolean): void {
  fc.assert(
    fc.property(fc.string({ unit: printable, minLength: 1, maxLength: 64 }), (text) => {
      const nonce = parseNonce(text)
      return nonce !== null && (nonce === own || judge(nonce))
    }),
    { numRuns: 10_000 },
  )
}

describe('bound to the nonce', () => {
  test('is a proof', () => {
    const challengeOf = (nonce: Nonce) => connectChallenge(sha256, { nonce, url, nkey: '', plain: false })
    const signed = machineCase({ input: { challenge: challengeOf(own) } })
    const verdictFor = (nonce: Nonce) => verdictOf({ ...signed, expected: { ...signed.expected, challenge: challengeOf(nonce) } })
    assert.equal(verdictFor(own), 'accepted')
    forOthers((nonce) => verdictFor(nonce) === 'challenge_mismatch')
  })

  const session = testNkey('U')
  const nkey = parseUserNkey(session.publicKey)
  assert.ok(nkey !== null)

  test('is a bound resume', () => {
    const signature = session.sign(resumeMessage(sha256, { nonce: own, url, nkey }))
    assert.equal(verifyBoundResume({ nkey, nonce: own, url, signature }, signatures), true)
    forOthers((nonce) => !verifyBoundResume({ nkey, nonce, url, signature }, signatures))
  })

  test('is a plain resume', () => {
    const signature = session.sign(Buffer.from(own))
    assert.equal(verifyPlainResume({ nkey, nonce: own, signature }, signatures), true)
    forOthers((nonce) => !verifyPlainResume({ nkey, nonce, signature }, signatures))
  })
})
