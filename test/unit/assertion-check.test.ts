import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checkAssertionLine } from '../../src/core/webauthn/assertion-check.ts'
import { type CaseChange, lineOf, machineCase, PERSON_ORIGIN, personCase } from '../support/assertion-case.ts'
import { b64u, FLAGS, testKey } from '../support/test-authenticator.ts'

const check = (line: Record<string, unknown>) => checkAssertionLine(JSON.stringify(line))
const denied = (reason: string) => ({ verdict: 'denied', reason })

/** The line of a valid case with members replaced; undefined removes one. */
function line(
  changes: Record<string, unknown> = {},
  credential: Record<string, unknown> = {},
  given = personCase(),
): Record<string, unknown> {
  const whole = lineOf(given)
  return {
    ...whole,
    ...changes,
    credential: 'credential' in changes ? changes['credential'] : { ...(whole['credential'] as object), ...credential },
  }
}

/** The line of a valid case with members of the response, and of response.response, replaced. */
function lineWithResponse(changes: Record<string, unknown>, inner: Record<string, unknown> = {}): Record<string, unknown> {
  const { response } = personCase()
  return line({ response: { ...response, ...changes, response: { ...response.response, ...inner } } })
}

describe('a line is accepted', () => {
  test('and says so with nothing more', () => assert.deepEqual(check(line()), { verdict: 'accepted' }))
  test('with its name first', () => {
    assert.equal(JSON.stringify(check(line({ name: 'mine' }))), '{"name":"mine","verdict":"accepted"}')
    assert.equal(JSON.stringify(check(line({ name: '' }))), '{"name":"","verdict":"accepted"}')
  })
  test('with class left out for a person', () => assert.deepEqual(check(line({ class: undefined })), { verdict: 'accepted' }))
  test('for a machine, on the origins that the line gives', () => {
    const given = machineCase({ key: testKey(-8) })
    assert.deepEqual(check(lineOf(given)), { verdict: 'accepted' })
    assert.deepEqual(check({ ...lineOf(given), origins: ['https://x'] }), denied('origin_mismatch'))
  })
  test('without credential.userHandle, whoever the response names', () => {
    assert.deepEqual(check(line({}, { userHandle: undefined })), { verdict: 'accepted' })
  })
  test('without UV where it is not required', () => {
    const given = personCase({ input: { flags: FLAGS.UP | FLAGS.BE } })
    assert.deepEqual(check(line({ requireUserVerification: false }, {}, given)), { verdict: 'accepted' })
  })
  const printed: [string, Record<string, unknown>][] = [
    ['as Chrome prints it', lineWithResponse({ authenticatorAttachment: 'platform', clientExtensionResults: { credProps: { rk: true } } })],
    ['with an attachment of null', lineWithResponse({ authenticatorAttachment: null })],
    ['with a user handle of null', lineWithResponse({}, { userHandle: null })],
    ['with an empty user handle', lineWithResponse({}, { userHandle: '' })],
    ['without a user handle', lineWithResponse({}, { userHandle: undefined })],
    ['with an attestationObject of null', lineWithResponse({}, { attestationObject: null })],
    ['without clientExtensionResults', lineWithResponse({ clientExtensionResults: undefined })],
    ['without rawId', lineWithResponse({ rawId: undefined })],
  ]
  for (const [what, given] of printed) test(`with a response ${what}`, () => assert.deepEqual(check(given), { verdict: 'accepted' }))
})

describe('a line is denied', () => {
  const cases: [string, CaseChange][] = [
    ['challenge_mismatch', { expected: { challenge: new Uint8Array(32) } }],
    ['origin_mismatch', { expected: { origins: [] } }],
    ['rp_id_mismatch', { input: { rpId: 'example.com' } }],
    ['user_not_verified', { input: { flags: FLAGS.UP | FLAGS.BE } }],
    ['user_handle_mismatch', { input: { userHandle: b64u('other') } }],
    ['signature_invalid', { credential: { publicKey: b64u(testKey().cose) } }],
    ['backup_eligibility_changed', { credential: { backupEligible: false } }],
    ['sign_count_regression', { credential: { signCount: 6 } }],
    ['sign_count_regression', { credential: { signCount: 0xffff_ffff } }],
    ['cross_origin', { input: { clientData: { topOrigin: PERSON_ORIGIN } } }],
  ]
  for (const [reason, change] of cases) test(`as ${reason}`, () => assert.deepEqual(check(lineOf(personCase(change))), denied(reason)))

  test("as credential_unknown when the response is another credential's", () => {
    assert.deepEqual(check(line({}, { id: b64u('other') })), denied('credential_unknown'))
  })
  test('with its name', () => {
    assert.deepEqual(check(line({ name: 'mine', rpId: 'x' })), { name: 'mine', verdict: 'denied', reason: 'rp_id_mismatch' })
  })
  test("as machine_flags_mismatch when a person's assertion stands in for a machine's", () => {
    assert.deepEqual(check(line({ class: 'machine' })), denied('machine_flags_mismatch'))
  })
  test('as algorithm_refused when credential.publicKey is no key', () => {
    for (const publicKey of ['', 'AA', '!', 'oA', b64u(new Uint8Array(2000))]) {
      assert.deepEqual(check(line({}, { publicKey })), denied('algorithm_refused'))
    }
  })
  const unreadable: [string, string, Record<string, unknown>][] = [
    ['sig_malformed', 'a member that no browser prints', lineWithResponse({ more: 1 })],
    ['sig_malformed', 'another rawId', lineWithResponse({ rawId: b64u('other') })],
    ['sig_malformed', 'another type', lineWithResponse({ type: 'password' })],
    ['sig_malformed', 'a padded signature', lineWithResponse({}, { signature: `${personCase().response.response.signature}==` })],
    ['sig_malformed', 'no clientDataJSON', lineWithResponse({}, { clientDataJSON: undefined })],
    ['sig_malformed', 'nothing in it', line({ response: {} })],
    ['sig_malformed', 'null for it', line({ response: null })],
    ['sig_oversized', 'a clientDataJSON above the limit', lineWithResponse({}, { clientDataJSON: 'A'.repeat(5464) })],
    ['sig_oversized', 'a signature above the limit', lineWithResponse({}, { signature: 'A'.repeat(6832) })],
  ]
  for (const [reason, what, given] of unreadable) {
    test(`as ${reason} when the response has ${what}`, () => assert.deepEqual(check(given), denied(reason)))
  }
})

describe('a line is no input, and the answer names the member,', () => {
  const cases: [string, Record<string, unknown>][] = [
    ['name', line({ name: 5 })],
    ['name', line({ name: null })],
    ['rpId', line({ rpId: undefined })],
    ['rpId', line({ rpId: '' })],
    ['origins', line({ origins: 'https://a' })],
    ['origins', line({ origins: [1] })],
    ['origins', line({ origins: undefined })],
    ['challenge', line({ challenge: undefined })],
    ['challenge', line({ challenge: '' })],
    ['challenge', line({ challenge: 'AA==' })],
    ['requireUserVerification', line({ requireUserVerification: undefined })],
    ['requireUserVerification', line({ requireUserVerification: 'true' })],
    ['class', line({ class: 'robot' })],
    ['class', line({ class: null })],
    ['credential', line({ credential: undefined })],
    ['credential', line({ credential: [] })],
    ['credential.id', line({}, { id: undefined })],
    ['credential.id', line({}, { id: 'A' })],
    ['credential.publicKey', line({}, { publicKey: undefined })],
    ['credential.publicKey', line({}, { publicKey: 5 })],
    ['credential.signCount', line({}, { signCount: undefined })],
    ['credential.signCount', line({}, { signCount: -1 })],
    ['credential.signCount', line({}, { signCount: 0.5 })],
    ['credential.signCount', line({}, { signCount: 2 ** 32 })],
    ['credential.backupEligible', line({}, { backupEligible: undefined })],
    ['credential.userHandle', line({}, { userHandle: '' })],
    ['credential.userHandle', line({}, { userHandle: null })],
    ['credential.userHandle', line({}, { userHandle: 5 })],
    ['credential.userHandle', line({}, { userHandle: b64u(new Uint8Array(65)) })],
    ['response', line({ response: undefined })],
    ['"more"', line({ more: 1 })],
    ['"credential.more"', line({}, { more: 1 })],
  ]
  for (const [member, given] of cases) {
    test(`${member}: ${JSON.stringify(given[member] ?? null)}`, () => {
      const answer = check(given)
      assert.ok('inputError' in answer)
      assert.ok(answer.inputError.split(' ').includes(member), answer.inputError)
    })
  }
})

test('what is no JSON object is no input', () => {
  const texts = [
    '',
    '{',
    'null',
    '5',
    '"a"',
    '[]',
    '{"name":"a","name":"b"}',
    `{"name":${'['.repeat(20)}${']'.repeat(20)}}`,
    `{"name":"${'a'.repeat(70_000)}"}`,
  ]
  for (const text of texts) assert.ok('inputError' in checkAssertionLine(text), text.slice(0, 40))
})

test('an input error never repeats a value', () => {
  const answer = check(line({ challenge: 'a secret value' }))
  assert.ok(!JSON.stringify(answer).includes('secret'))
})

test('no line of random JSON throws or is accepted', () => {
  const valid = line()
  const change = fc.oneof(
    fc.record({ rpId: fc.string() }),
    fc.record({ origins: fc.array(fc.string()) }),
    fc.record({ challenge: fc.string() }),
    fc.record({ credential: fc.jsonValue() }),
    fc.record({ response: fc.jsonValue() }),
    fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }),
  )
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    change.map((members) => JSON.stringify({ ...valid, ...members })),
  )
  fc.assert(
    fc.property(text, (line) => {
      const answer = checkAssertionLine(line)
      return 'inputError' in answer || answer.verdict === 'denied'
    }),
    { numRuns: 5000 },
  )
})
