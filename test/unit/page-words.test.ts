import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEVICE_CHECKS } from '../../src/core/people/device-policy.ts'
import type { RequirementName } from '../../src/core/policy/requirements.ts'
import { REFUSALS } from '../../src/core/refusal.ts'
import { INTERNAL, UNAVAILABLE } from '../../src/http/http-refusal.ts'
import { readCode } from '../../src/page/code.ts'
import { connectionWords } from '../../src/page/connection-words.ts'
import {
  backupWords,
  bindingWords,
  freeName,
  missingWords,
  modelWords,
  nameProblem,
  platformName,
  stateWords,
} from '../../src/page/device-words.ts'
import { modelName } from '../../src/page/known-models.ts'
import { isLoopback } from '../../src/page/loopback.ts'
import { fragmentOf, placeOf } from '../../src/page/place.ts'
import { lengthWords } from '../../src/page/time-words.ts'
import { demandWords, isKnownCode, wordsFor } from '../../src/page/words.ts'
import { deviceView } from '../support/page-views.ts'

const NOTHING = { check: null, waitSeconds: null }
const CODES = [
  ...new Set(Object.values(REFUSALS).flatMap((rows) => Object.values(rows).map(({ code }) => code))),
  INTERNAL.error.code,
  UNAVAILABLE.error.code,
]

test('every code that the service answers with has words of its own', () => {
  assert.ok(CODES.length > 25)
  const unexpected = wordsFor({ code: 'unexpected', ...NOTHING })
  for (const code of CODES) {
    assert.ok(isKnownCode(code), code)
    const { title, text } = wordsFor({ code, ...NOTHING })
    assert.ok(title.length > 8 && text.length > 20, code)
    assert.notEqual(title, unexpected.title, code)
  }
})

test('no two codes have the same title: a person who reports one names one', () => {
  const titles = CODES.filter(isKnownCode).map((code) => wordsFor({ code, ...NOTHING }).title)
  assert.equal(new Set(titles).size, titles.length)
})

test('words are for people: no codes, no names of the protocol', () => {
  for (const code of CODES.filter(isKnownCode)) {
    const { title, text } = wordsFor({ code, ...NOTHING })
    assert.doesNotMatch(`${title} ${text}`, /_|ceremony|assertion|credential|attestation|WebAuthn|nkey|OAuth|claim/i, code)
  }
})

test('a code from a link that is not ours is not looked up among an object’s own names', () => {
  for (const code of ['', 'constructor', '__proto__', 'toString', 'no_such_code', '<img src=x onerror=alert(1)>']) {
    assert.equal(isKnownCode(code), false)
    assert.deepEqual(placeOf(`#error=${code}`), { kind: 'error', code: 'unexpected' })
  }
})

test('every requirement of the policy and every check of a refused device has words', () => {
  const requirements: Record<RequirementName, true> = {
    class: true,
    user_verification: true,
    device_bound: true,
    aaguids: true,
    attestation: true,
    approval: true,
    login_by_code: true,
    client_types: true,
    source_cidrs: true,
    time_windows: true,
  }
  for (const name of [...Object.keys(requirements), ...Object.keys(DEVICE_CHECKS)]) assert.ok(demandWords(name), name)
  assert.equal(demandWords('constructor'), null)
})

test('a refused device is told which demand it does not meet', () => {
  const plain = wordsFor({ code: 'device_refused', ...NOTHING }).text
  const bound = wordsFor({ code: 'device_refused', check: 'device_bound', waitSeconds: null }).text
  assert.match(bound, /cannot leave its device/)
  assert.equal(wordsFor({ code: 'device_refused', check: 'of the future', waitSeconds: null }).text, plain)
})

test('who is to wait is told how long, where the service says it', () => {
  assert.match(wordsFor({ code: 'rate_limited', check: null, waitSeconds: 42 }).text, /42 seconds/)
  assert.match(wordsFor({ code: 'rate_limited', ...NOTHING }).text, /a minute/)
})

test('what an authenticator says of its model is never shown as proven', () => {
  const yubikey = { aaguid: '2fc0579f-8113-47ea-b116-bb5a8db9202a' }
  for (const trust of ['none', 'self', 'attested'] as const) {
    // Whatever else comes with it: only FIDO's metadata proves a model.
    assert.match(modelWords(deviceView({ ...yubikey, trust, model: 'YubiKey 5 NFC' })), /^It says it is YubiKey 5 NFC$/)
  }
  assert.match(
    modelWords(deviceView({ ...yubikey, trust: 'mds', model: 'YubiKey 5 Series with NFC' })),
    /^YubiKey 5 Series with NFC \(proven/,
  )
  assert.match(modelWords(deviceView({ aaguid: '00000000-0000-0000-0000-000000000000' })), /does not say/)
  assert.match(modelWords(deviceView({ aaguid: '01020304-0506-0708-0102-030405060708' })), /does not know/)
})

test('the table of models holds lower-case UUIDs, and nothing of Object', () => {
  assert.equal(modelName('ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4'), 'Google Password Manager')
  assert.equal(modelName('constructor'), null)
})

test('a device is synced or bound, and says what that means for its loss', () => {
  assert.match(bindingWords(deviceView({ synced: true })), /Synced/)
  assert.match(bindingWords(deviceView({ synced: false })), /cannot leave/)
  assert.match(backupWords(deviceView({ synced: true, backedUp: false })), /Not yet/)
  assert.match(backupWords(deviceView({ synced: false, backedUp: false })), /^No/)
  assert.equal(stateWords('active'), null)
  assert.match(stateWords('quarantined') ?? '', /administrator/)
})

test('what a role needs is a sentence of all of it', () => {
  assert.equal(missingWords([]), null)
  assert.equal(missingWords(['approval']), 'the approval of an administrator')
  assert.match(missingWords(['device_bound', 'aaguids', 'approval']) ?? '', /device, a model .* and the approval/)
  assert.match(missingWords(['of_the_future']) ?? '', /no words/)
})

test('the suggested name is of the platform, and free', () => {
  const safari = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15'
  assert.equal(platformName(safari, 0), 'Mac')
  assert.equal(platformName(safari, 5), 'iPad')
  assert.equal(platformName('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15', 5), 'iPhone')
  assert.equal(
    platformName('Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36', 5),
    'Android phone',
  )
  assert.equal(platformName('Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36', 0), 'Windows PC')
  assert.equal(platformName('Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36', 0), 'Chromebook')
  assert.equal(platformName('', 0), 'My device')
  assert.equal(freeName('Mac', ['Mac', 'Mac 2']), 'Mac 3')
})

test('names that the service would refuse are refused with words', () => {
  for (const name of ['', 'x'.repeat(65), 'two\nlines', 'right\u202eleft', 'zero\u200bwidth', '\ud800'])
    assert.ok(nameProblem(name), JSON.stringify(name))
  for (const name of ['Work laptop', 'Büro – 2', '鍵', 'x'.repeat(64)]) assert.equal(nameProblem(name), null)
})

test('a code is read however it is typed, and nothing else is', () => {
  for (const typed of ['KXTB-WQRM', 'kxtbwqrm', ' kxtb wqrm ', 'KXTB–WQRM']) assert.equal(readCode(typed), 'KXTB-WQRM')
  for (const typed of ['', 'KXTB', 'KXTB-WQRA', 'KXTB-WQR1', 'KXTB-WQRMM', 'KXTBWQRM<']) assert.equal(readCode(typed), null)
})

test('a browser is sent to a listener on this machine and to nothing that only looks like one', () => {
  assert.equal(isLoopback('http://127.0.0.1:4567/callback?request=r&code=c'), true)
  const others = [
    'https://127.0.0.1:4567/callback',
    'http://127.0.0.1.example.com:80/callback',
    'http://127.0.0.1:80@example.com/callback',
    'http://127.0.0.1@example.com/',
    'http://127.0.0.1/callback',
    'http://localhost:4567/callback',
    'http://example.com/',
    'javascript:alert(1)//http://127.0.0.1:1/',
    'http://127.0.0.1:99999/',
    '//127.0.0.1:1/',
    '',
  ]
  for (const address of others) assert.equal(isLoopback(address), false, address)
})

test('a fragment leads to a place, and a broken one says so', () => {
  const request = 'A-_z'.repeat(10)
  assert.deepEqual(placeOf(''), { kind: 'home' })
  assert.deepEqual(placeOf('#enrol'), { kind: 'enrol' })
  assert.deepEqual(placeOf('#code'), { kind: 'code' })
  assert.deepEqual(placeOf(`#session=${request}`), { kind: 'session', request })
  assert.deepEqual(placeOf(`#ticket=${request}`), { kind: 'ticket', ticket: request })
  const broken = { kind: 'error', code: 'link_broken' }
  for (const fragment of [
    '#session=',
    '#session=a b',
    '#session=../../x',
    `#session=${'x'.repeat(257)}`,
    '#ticket=',
    '#ticket=<b>',
    '#code=KXTB',
    '#enrol=1',
    '#other',
  ]) {
    assert.deepEqual(placeOf(fragment), broken, fragment)
  }
})

test('a ticket is never part of an address that the page makes', () => {
  assert.equal(fragmentOf({ kind: 'ticket', ticket: 'secret' }), '')
  assert.equal(fragmentOf({ kind: 'error', code: 'network' }), '')
})

test('lengths of time are in their two largest units', () => {
  assert.equal(lengthWords(8 * 3600), '8 hours')
  assert.equal(lengthWords(3661), '1 hour 1 minute')
  assert.equal(lengthWords(86_400 + 60), '1 day 1 minute')
  assert.equal(lengthWords(1), '1 second')
  assert.equal(lengthWords(-5), 'no time')
})

test('what became of connections is told, also when some are still open', () => {
  assert.match(connectionWords({ kicked: 0, failed: 0 }), /no open connection/)
  assert.match(connectionWords({ kicked: 1, failed: 0 }), /^One open connection was closed\.$/)
  assert.match(connectionWords({ kicked: 2, failed: 1 }), /2 open connections were closed\. One connection could not/)
  assert.match(connectionWords({ kicked: 0, failed: 3 }), /^3 connections could not/)
})
