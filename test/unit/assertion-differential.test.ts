/** Our verdicts against those of @simplewebauthn/server: the same, except where ours is stricter and says why. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { verifyAssertion } from '../../src/core/webauthn/assertion.ts'
import { parseAssertionResponse } from '../../src/core/webauthn/assertion-response.ts'
import { type AssertionCase, bytesOf, verdictOf } from '../support/assertion-case.ts'
import { bentAssertion } from '../support/assertion-mutations.ts'
import { isAcceptedByLibrary } from '../support/library-verdict.ts'
import { b64u } from '../support/test-authenticator.ts'

/** Every reason with which we deny what the library accepts (docs/webauthn.md has the same list). */
const STRICTER: Record<string, string> = {
  sig_malformed: 'the JSON around the assertion: unknown members, padded base64url',
  credential_unknown: 'the response names another credential than the record, or one of the other class',
  user_handle_mismatch: 'the library does not look at userHandle',
  assertion_malformed: 'ambiguous, deep, or ill-typed client data; extension outputs that are no exact CBOR map',
  cross_origin: 'crossOrigin without topOrigin, and an empty topOrigin',
  rp_id_mismatch: 'the record was enrolled for another relying party',
  machine_flags_mismatch: 'the library has no machines; without its UP rule it takes any flags',
  backup_eligibility_changed: 'the library is not told what was enrolled',
  algorithm_refused: 'the algorithm is no longer allowed, or the key has members that WebAuthn forbids',
  signature_invalid: 'an ECDSA signature that is BER but not DER',
}

describe('against verifyAuthenticationResponse', () => {
  const seen = { both: 0, neither: 0, stricter: new Map<string, number>() }

  test('2,600 bent assertions get the same verdict, or a stricter one from the closed list', async () => {
    await fc.assert(
      fc.asyncProperty(bentAssertion(), async ({ what, given }) => {
        const ours = verdictOf(given)
        const theirs = await isAcceptedByLibrary(given)
        if (ours === 'accepted') {
          assert.ok(theirs, `weaker than the library: ${what}`)
          seen.both++
        } else if (!theirs) seen.neither++
        else {
          assert.ok(ours in STRICTER, `stricter without a documented reason: ${what}: ${ours}`)
          seen.stricter.set(ours, (seen.stricter.get(ours) ?? 0) + 1)
        }
      }),
      { numRuns: 2600, endOnFailure: true },
    )
  })

  test('both verdicts were met often, and every reason of the list at least once', () => {
    assert.ok(seen.both > 200, `accepted by both: ${seen.both}`)
    assert.ok(seen.neither > 200, `denied by both: ${seen.neither}`)
    assert.deepEqual([...seen.stricter.keys()].sort(), Object.keys(STRICTER).sort())
  })
})

test('docs/webauthn.md has the same list, and no reason more', () => {
  const docs = readFileSync(new URL('../../docs/webauthn.md', import.meta.url), 'utf8')
  const section = docs.split('## Against @simplewebauthn/server')[1]?.split('\n## ')[0] ?? ''
  const rows = [...section.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, reason]) => reason)
  assert.deepEqual(rows.sort(), Object.keys(STRICTER).sort())
})

// Signed once, bent many times.
const VALID = fc.sample(bentAssertion(['nothing']), 40).map(({ given }) => given)
const PARTS = ['clientDataJSON', 'authenticatorData', 'signature', 'publicKey'] as const

/** Whether the verifier takes the case with other bytes in these parts. Below the JSON, so that every byte gets through. */
function isAcceptedWith(given: AssertionCase, bytes: Partial<Record<(typeof PARTS)[number], Uint8Array>>): boolean {
  const read = parseAssertionResponse(given.response)
  assert.ok(read.ok)
  const { publicKey, ...rest } = bytes
  const credential = publicKey === undefined ? given.credential : { ...given.credential, publicKey: b64u(publicKey) }
  return verifyAssertion({ ...read.value, ...rest }, credential, given.expected).ok
}

function bytesOfPart(given: AssertionCase, part: (typeof PARTS)[number]): Uint8Array {
  return bytesOf(part === 'publicKey' ? given.credential.publicKey : given.response.response[part])
}

describe('fuzz', () => {
  test('what is bent is accepted before', () => {
    for (const given of VALID) assert.equal(isAcceptedWith(given, {}), true)
  })

  test('10,000 assertions with bytes changed, cut or added are all denied, and none throws', () => {
    const change = fc.constantFrom(
      (bytes: Uint8Array, n: number) => bytes.map((byte, i) => (i === n % bytes.length ? byte ^ (1 << (n % 8)) : byte)),
      (bytes: Uint8Array, n: number) => bytes.subarray(0, n % bytes.length),
      (bytes: Uint8Array, n: number) => Uint8Array.of(...bytes, n & 0xff),
    )
    fc.assert(
      fc.property(fc.constantFrom(...VALID), fc.constantFrom(...PARTS), change, fc.nat(), (given, part, bend, n) => {
        return !isAcceptedWith(given, { [part]: bend(bytesOfPart(given, part), n) })
      }),
      { numRuns: 10_000, endOnFailure: true },
    )
  })

  test('10,000 assertions of random bytes are all denied, and none throws', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.json().map((text) => new TextEncoder().encode(text)),
    )
    fc.assert(
      fc.property(fc.constantFrom(...VALID), fc.subarray([...PARTS], { minLength: 1 }), bytes, (given, parts, random) => {
        return !isAcceptedWith(given, Object.fromEntries(parts.map((part) => [part, random])))
      }),
      { numRuns: 10_000, endOnFailure: true },
    )
  })
})
