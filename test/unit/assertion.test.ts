import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { denied } from '../../src/core/checked.ts'
import { DENIALS } from '../../src/core/denial.ts'
import { parseCredentialId } from '../../src/core/identifiers.ts'
import { judgeSignCount, verifyAssertion } from '../../src/core/webauthn/assertion.ts'
import { parseAssertionResponse } from '../../src/core/webauthn/assertion-response.ts'
import {
  bytesOf,
  type CaseChange,
  coseBytes,
  EC_CURVES,
  ecKeyOn,
  machineCase,
  PERSON_ORIGIN,
  personCase,
  USER_HANDLE,
  verdictOf,
  withSignature,
} from '../support/assertion-case.ts'
import { b64u, FLAGS, testAssertion, testKey } from '../support/test-authenticator.ts'

const { UP, UV, BE, BS, AT, ED } = FLAGS
const otherId = parseCredentialId(b64u('credential-2'))
if (otherId === null) throw new Error('making a credential id')

const clientDataText = (members: string) =>
  `{"type":"webauthn.get","challenge":"${b64u(personCase().expected.challenge)}","origin":"${PERSON_ORIGIN}"${members}}`

describe('an assertion that fits', () => {
  for (const alg of [-7, -8, -257] as const) {
    test(`is verified with algorithm ${alg}`, () => assert.equal(verdictOf(personCase({ key: testKey(alg) })), 'accepted'))
  }

  for (const curve of EC_CURVES.slice(1)) {
    test(`is verified with algorithm ${curve.alg}`, () => {
      const key = ecKeyOn(curve)
      const given = personCase({ credential: { publicKey: b64u(coseBytes(key.members)) } })
      const { authenticatorData, clientDataJSON } = given.response.response
      const hash = createHash('sha256').update(bytesOf(clientDataJSON)).digest()
      const resigned = withSignature(given, () => key.sign(Buffer.concat([bytesOf(authenticatorData), hash])))
      assert.equal(verdictOf(resigned), 'accepted')
    })
  }

  test('says who was there and what the counter is', () => {
    const given = personCase({ input: { flags: UP | BE | BS }, expected: { requireUserVerification: false } })
    const read = parseAssertionResponse(given.response)
    assert.ok(read.ok)
    const verified = verifyAssertion(read.value, given.credential, given.expected)
    assert.deepEqual(verified, { ok: true, value: { signCount: 6, userPresent: true, userVerified: false, backupState: true } })
  })

  const accepted: [string, CaseChange][] = [
    ['on the second origin of the list', { input: { origin: 'https://other.example.org' } }],
    ['without UV where it is not required', { input: { flags: UP | BE }, expected: { requireUserVerification: false } }],
    ['with crossOrigin left out', { input: { clientDataText: clientDataText('') } }],
    ['with members that a later specification adds', { input: { clientData: { extra: { a: [1] } } } }],
    ['with client data after a byte order mark', { input: { clientDataText: `\ufeff${clientDataText('')}` } }],
    ['with a reserved tokenBinding of the old shape', { input: { clientData: { tokenBinding: { status: 'supported' } } } }],
    ['with reserved flag bits set', { input: { flags: UP | UV | BE | 0x22 } }],
    ['with extension outputs', { input: { flags: UP | UV | BE | ED, extra: Uint8Array.of(0xa1, 0x61, 0x61, 0xf5) } }],
  ]
  for (const [what, change] of accepted) test(`is accepted ${what}`, () => assert.equal(verdictOf(personCase(change)), 'accepted'))

  test('is accepted without a user handle, as its record was found by its id', () => {
    const { response, ...rest } = personCase()
    const { userHandle: _, ...withoutHandle } = response.response
    assert.equal(verdictOf({ ...rest, response: { ...response, response: withoutHandle } }), 'accepted')
  })

  test('is accepted from a machine', () => assert.equal(verdictOf(machineCase({ key: testKey(-8) })), 'accepted'))
})

const person: [string, string, CaseChange][] = [
  ['credential_unknown', "whose id is not the record's", { credential: { id: otherId } }],
  ['credential_unknown', 'of a machine where a person is expected', { credential: { class: 'machine' } }],
  ['user_handle_mismatch', 'that names another user', { input: { userHandle: b64u('user-2') } }],
  ['assertion_malformed', 'whose client data is no JSON', { input: { clientDataText: '{' } }],
  ['assertion_malformed', 'whose client data has a member twice', { input: { clientDataText: clientDataText(',"type":"webauthn.get"') } }],
  ['assertion_malformed', 'whose client data is an array', { input: { clientDataText: '[]' } }],
  ['assertion_malformed', 'whose crossOrigin is no boolean', { input: { clientData: { crossOrigin: 'false' } } }],
  ['type_mismatch', 'that is a registration', { input: { clientData: { type: 'webauthn.create' } } }],
  ['type_mismatch', 'without a type', { input: { clientData: { type: undefined } } }],
  ['challenge_mismatch', 'for another challenge', { expected: { challenge: new Uint8Array(32) } }],
  [
    'challenge_mismatch',
    'whose challenge is padded',
    { input: { clientData: { challenge: `${b64u(personCase().expected.challenge)}=` } } },
  ],
  ['challenge_mismatch', 'without a challenge', { input: { clientData: { challenge: undefined } } }],
  ['origin_mismatch', 'on another origin', { input: { origin: 'https://evil.example' } }],
  ['origin_mismatch', 'on a subdomain of an allowed origin', { input: { origin: 'https://a.login.example.org' } }],
  ['origin_mismatch', 'on an allowed origin in other letters', { input: { origin: 'https://LOGIN.example.org' } }],
  ['origin_mismatch', 'without an origin', { input: { clientData: { origin: undefined } } }],
  ['origin_mismatch', 'where no origin is allowed', { expected: { origins: [] } }],
  ['cross_origin', 'made inside another page', { input: { clientData: { crossOrigin: true } } }],
  ['cross_origin', 'that names a top origin', { input: { clientData: { topOrigin: PERSON_ORIGIN } } }],
  ['cross_origin', 'that names an empty top origin', { input: { clientData: { topOrigin: null } } }],
  ['assertion_malformed', 'whose authenticator data has a byte too many', { input: { extra: new Uint8Array(1) } }],
  ['assertion_malformed', 'with attested credential data', { input: { flags: UP | UV | BE | AT, extra: new Uint8Array(20) } }],
  ['assertion_malformed', 'that promises extension outputs and has none', { input: { flags: UP | UV | BE | ED } }],
  ['rp_id_mismatch', 'for another relying party', { input: { rpId: 'login.example.org' } }],
  ['rp_id_mismatch', 'of a credential that was enrolled for another relying party', { credential: { rpId: 'other.example' } }],
  ['user_not_present', 'without user presence', { input: { flags: UV | BE } }],
  ['user_not_verified', 'without user verification where it is required', { input: { flags: UP | BE } }],
  ['backup_flags_invalid', 'backed up though not eligible', { input: { flags: UP | UV | BS }, credential: { backupEligible: false } }],
  ['backup_eligibility_changed', 'that lost its backup eligibility', { input: { flags: UP | UV } }],
  ['backup_eligibility_changed', 'that became backup eligible', { credential: { backupEligible: false } }],
  ['algorithm_refused', 'with an algorithm that is not allowed', { expected: { algorithms: [-8] } }],
  ['algorithm_refused', 'whose record holds no key', { credential: { publicKey: 'AAAA' } }],
  ['algorithm_refused', 'whose record holds no base64url', { credential: { publicKey: '%' } }],
  ['signature_invalid', 'by another key', { credential: { publicKey: b64u(testKey().cose) } }],
  ['sign_count_regression', 'whose counter stands still', { input: { signCount: 5 } }],
  ['sign_count_regression', 'whose counter went back to zero', { input: { signCount: 0 } }],
]

describe('a person is denied an assertion', () => {
  for (const [reason, what, change] of person) {
    test(`${what}: ${reason}`, () => assert.equal(verdictOf(personCase(change)), reason))
  }

  test('whose client data is not UTF-8: assertion_malformed', () => {
    const { response, ...rest } = personCase()
    const bytes = bytesOf(response.response.clientDataJSON)
    bytes[bytes.length - 3] = 0xff
    assert.equal(
      verdictOf({ ...rest, response: { ...response, response: { ...response.response, clientDataJSON: b64u(bytes) } } }),
      'assertion_malformed',
    )
  })

  test('whose authenticator data is cut short: assertion_malformed', () => {
    const { response, ...rest } = personCase()
    const authenticatorData = b64u(bytesOf(response.response.authenticatorData).subarray(0, 36))
    assert.equal(
      verdictOf({ ...rest, response: { ...response, response: { ...response.response, authenticatorData } } }),
      'assertion_malformed',
    )
  })

  test('with an Ed25519 signature that is not 64 bytes: signature_invalid', () => {
    const given = personCase({ key: testKey(-8) })
    for (const length of [0, 63]) assert.equal(verdictOf(withSignature(given, (all) => all.subarray(0, length))), 'signature_invalid')
    assert.equal(verdictOf(withSignature(given, (all) => Uint8Array.from([...all, 0]))), 'signature_invalid')
  })

  test('with an RSA signature that is a byte short: signature_invalid', () => {
    assert.equal(verdictOf(withSignature(personCase({ key: testKey(-257) }), (all) => all.subarray(1))), 'signature_invalid')
  })
})

const machine: [string, string, CaseChange][] = [
  ['machine_flags_mismatch', 'that claims user presence', { input: { flags: UP | BE } }],
  ['machine_flags_mismatch', 'that claims user verification', { input: { flags: UV | BE } }],
  ['machine_flags_mismatch', 'with the flags of a person', { input: { flags: UP | UV | BE } }],
  ['origin_mismatch', "made on a person's origin", { input: { origin: PERSON_ORIGIN } }],
  ['rp_id_mismatch', 'for the relying party of people', { input: { rpId: 'example.org' } }],
  ['credential_unknown', "by a person's credential", { credential: { class: 'person' } }],
  ['backup_eligibility_changed', 'of a key that became copyable', { credential: { backupEligible: false } }],
]

describe('a machine is denied an assertion', () => {
  for (const [reason, what, change] of machine) {
    test(`${what}: ${reason}`, () => assert.equal(verdictOf(machineCase(change)), reason))
  }
})

test('the steps run in the order of the specification: with everything wrong, each repair brings the next denial', () => {
  const change = {
    input: {
      rpId: 'x',
      origin: 'https://x',
      flags: BS,
      signCount: 1,
      userHandle: b64u('x'),
      clientData: { type: 'x', challenge: 'x', crossOrigin: true } as Record<string, unknown>,
    },
    credential: { id: otherId, publicKey: b64u(testKey().cose) } as NonNullable<CaseChange['credential']>,
    expected: { algorithms: [] as number[] },
  }
  const repairs: [string, () => void][] = [
    ['credential_unknown', () => delete change.credential.id],
    ['user_handle_mismatch', () => (change.input.userHandle = USER_HANDLE)],
    ['type_mismatch', () => delete change.input.clientData['type']],
    ['challenge_mismatch', () => delete change.input.clientData['challenge']],
    ['origin_mismatch', () => (change.input.origin = PERSON_ORIGIN)],
    ['cross_origin', () => delete change.input.clientData['crossOrigin']],
    ['rp_id_mismatch', () => (change.input.rpId = 'example.org')],
    ['user_not_present', () => (change.input.flags |= UP)],
    ['user_not_verified', () => (change.input.flags |= UV)],
    ['backup_flags_invalid', () => (change.input.flags &= ~BS)],
    ['backup_eligibility_changed', () => (change.input.flags |= BE)],
    ['algorithm_refused', () => (change.expected.algorithms = [-7])],
    ['signature_invalid', () => delete change.credential.publicKey],
    ['sign_count_regression', () => (change.input.signCount = 6)],
  ]
  for (const [reason, repair] of repairs) {
    assert.equal(verdictOf(personCase(change)), reason)
    repair()
  }
  assert.equal(verdictOf(personCase(change)), 'accepted')
})

test('a counter is not judged before the signature: a forged low counter is signature_invalid', () => {
  const low = personCase({ key: testKey(), input: { signCount: 1 }, credential: { publicKey: personCase().credential.publicKey } })
  assert.equal(verdictOf(low), 'signature_invalid')
})

describe('the counter', () => {
  const given = personCase()
  const now = new Date(1_000_000)
  const judge = (stored: number, signed: number, storedAt: number) => {
    const response = parseAssertionResponse(testAssertion({ ...baseInput, signCount: signed }))
    assert.ok(response.ok)
    const verified = verifyAssertion(response.value, given.credential, given.expected)
    assert.ok(verified.ok)
    const judged = judgeSignCount({ ...given.credential, signCount: stored, signCountAt: storedAt }, verified.value, now)
    return judged.ok ? 'accepted' : judged.denial
  }
  const key = testKey()
  given.credential.publicKey = b64u(key.cose)
  const baseInput = {
    key,
    credentialId: given.credential.id,
    challenge: given.expected.challenge,
    rpId: given.expected.rpId,
    origin: PERSON_ORIGIN,
    flags: UP | UV | BE,
  }
  test('that moved is accepted, whenever the last one was stored', () => {
    assert.equal(judge(0, 1, 0), 'accepted')
    assert.equal(judge(7, 8, 999_999), 'accepted')
    assert.equal(judge(0xffff_fffe, 0xffff_ffff, 0), 'accepted')
  })
  test('that was never kept is accepted', () => assert.equal(judge(0, 0, 0), 'accepted'))
  test('that went back is a regression 10 s after the last one', () => assert.equal(judge(7, 6, 990_000), 'sign_count_regression'))
  test('that stands still is a regression', () => assert.equal(judge(7, 7, 0), 'sign_count_regression'))
  test('that vanished is a regression', () => assert.equal(judge(7, 0, 0), 'sign_count_regression'))
  test('that was overtaken less than 10 s ago is a race', () => assert.equal(judge(7, 6, 990_001), 'sign_count_race'))
  test('stored by a verifier whose clock is a little ahead is a race', () => assert.equal(judge(7, 7, 1_004_000), 'sign_count_race'))
  test('stored far in the future does not excuse a regression', () => assert.equal(judge(7, 7, 1_010_000), 'sign_count_regression'))
})

describe('whether a signature may be verified', () => {
  const asked = (change: CaseChange) => {
    const { response, credential, expected } = personCase(change)
    const read = parseAssertionResponse(response)
    assert.ok(read.ok)
    let times = 0
    const verdict = verifyAssertion(read.value, credential, expected, () => {
      times++
      return denied('source_limited')
    })
    return { times, verdict: verdict.ok ? 'accepted' : verdict.denial }
  }

  test('is asked before it is, and the answer holds', () => {
    assert.deepEqual(asked({}), { times: 1, verdict: 'source_limited' })
    assert.deepEqual(asked({ input: { key: testKey() } }), { times: 1, verdict: 'source_limited' })
  })

  test('is not asked about an assertion that is refused without', () => {
    assert.deepEqual(asked({ input: { challenge: new Uint8Array(32) } }), { times: 0, verdict: 'challenge_mismatch' })
    assert.deepEqual(asked({ input: { flags: UP | BE } }), { times: 0, verdict: 'user_not_verified' })
  })
})

test('every denial of this stage that an assertion can meet is tested here', () => {
  const tested = new Set([...person, ...machine].map(([reason]) => reason).concat('sign_count_race'))
  const ofStage = Object.entries(DENIALS)
    .filter(([, row]) => row.stage === 'verify')
    .map(([reason]) => reason)
  // Neither the limits of signatures nor the session key's signature are an assertion's.
  assert.deepEqual(
    ofStage.filter((reason) => !tested.has(reason)),
    ['source_limited', 'credential_limited', 'session_signature_invalid'],
  )
})
