import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createSessionKey } from '../../src/client/session-key.ts'
import { parseUserNkey } from '../../src/core/identifiers.ts'
import {
  callbackUrl,
  challengeOfRequest,
  completionHash,
  judgeSessionRequest,
  newCode,
  newCompletion,
  newSessionRequest,
  provesPossession,
  readCode,
  requestIdOfCode,
} from '../../src/core/people/session-request.ts'
import { CODE_LETTERS, sessionCheckCode } from '../../src/core/protocol.ts'
import type { SessionRequestRecord } from '../../src/core/records.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { refusalOf } from '../support/people-world.ts'
import { newUserNkey } from '../support/records.ts'
import { possession } from '../support/terminal.ts'

const ORIGIN = 'https://nats.example.com'
const now = new Date('2026-01-05T12:00:00Z')
const random = (bytes: number) => new Uint8Array(randomBytes(bytes))

function request(change: Partial<SessionRequestRecord> = {}): SessionRequestRecord {
  const about = { nkey: newUserNkey(), flow: 'loopback', host: 'laptop', port: 4711 } as const
  return { ...newSessionRequest('id', about, { now, random }), ...change }
}

describe('a code that people type', () => {
  test('is eight consonants in two groups, all of them as likely', () => {
    const seen = new Map<string, number>()
    for (let i = 0; i < 2_000; i++) {
      const code = newCode(random)
      assert.match(code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
      for (const letter of code.replace('-', '')) seen.set(letter, (seen.get(letter) ?? 0) + 1)
    }
    assert.equal(seen.size, CODE_LETTERS.length)
    for (const [letter, count] of seen) assert.ok(count > 600 && count < 1000, `${letter} ${count}`)
  })

  test('draws again instead of favouring the first letters', () => {
    const given = [new Uint8Array(8).fill(255), Uint8Array.of(240, 0, 1, 2, 3, 241, 4, 5), Uint8Array.of(6, 7, 8, 9, 10, 11, 12, 13)]
    assert.equal(
      newCode(() => given.shift() ?? assert.fail('no more bytes')),
      'BCDF-GHJK',
    )
  })

  test('is read however it was typed', () => {
    for (const typed of ['BCDF-GHJK', 'bcdfghjk', ' bcdf ghjk ', 'BCDF--GHJK', 'bcdf-\tghjk\n'])
      assert.equal(readCode(typed), 'BCDF-GHJK', typed)
  })

  for (const typed of ['', 'BCDF', 'BCDF-GHJ', 'BCDF-GHJKL', 'ACDF-GHJK', 'BCDF-GHJ1', 'BCDF–GHJK', 'ＢCDF-GHJK', 'BCDF-GHJß']) {
    test(`is not ${JSON.stringify(typed)}`, () => assert.equal(readCode(typed), null))
  }

  test('is stored as a hash', () => {
    assert.match(requestIdOfCode('BCDF-GHJK'), /^[A-Za-z0-9_-]{43}$/)
    assert.notEqual(requestIdOfCode('BCDF-GHJK'), requestIdOfCode('BCDF-GHJL'))
  })
})

describe('the check code', () => {
  const about = { request: 'request', nkey: newUserNkey() }

  test('is the same at both ends', () => {
    assert.match(sessionCheckCode(sha256, about), /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
    assert.equal(sessionCheckCode(sha256, about), sessionCheckCode(sha256, { ...about }))
  })

  test('is another for another request, or another nkey', () => {
    assert.notEqual(sessionCheckCode(sha256, about), sessionCheckCode(sha256, { ...about, request: 'other' }))
    assert.notEqual(sessionCheckCode(sha256, about), sessionCheckCode(sha256, { ...about, nkey: newUserNkey() }))
  })

  test('knows where the request ends and the nkey begins', () => {
    assert.notEqual(sessionCheckCode(sha256, { request: 'ab', nkey: 'c' }), sessionCheckCode(sha256, { request: 'a', nkey: 'bc' }))
  })
})

describe('a stored request', () => {
  test('holds what the host calls itself as harmless text of 64 characters', () => {
    const about = { nkey: newUserNkey(), flow: 'code', port: null } as const
    const { host } = newSessionRequest('id', { ...about, host: 'a\u001b[31m\u202eb\n' }, { now, random })
    assert.equal(host, 'a\\u{1b}[31m\\u{202e}b\\u{a}')
    assert.equal(newSessionRequest('id', { ...about, host: 'h'.repeat(500) }, { now, random }).host.length, 64)
  })

  test('lives ten minutes', () => {
    const record = request()
    const at = (ms: number) => new Date(record.createdAt + ms)
    assert.ok(judgeSessionRequest(record, 'asked', at(599_999)).ok)
    assert.equal(refusalOf(judgeSessionRequest(record, 'asked', at(600_000))), 'session.request_expired')
  })

  const STATES = ['asked', 'possessed', 'endorsed', 'completed', 'refused'] as const
  for (const wanted of ['asked', 'possessed', 'endorsed'] as const) {
    for (const state of STATES.filter((other) => other !== wanted)) {
      const expected =
        state === 'refused'
          ? 'session.refused_by_person'
          : state === 'asked'
            ? 'session.request_unknown/not_possessed'
            : 'session.request_used'
      test(`that is ${state} does not go on as one that is ${wanted}`, () => {
        assert.equal(refusalOf(judgeSessionRequest(request({ state }), wanted, now)), expected)
      })
    }
  }

  test('that is not there is unknown', () => {
    assert.equal(refusalOf(judgeSessionRequest(null, 'asked', now)), 'session.request_unknown')
  })

  test('sends the browser to its own machine, and only there', () => {
    const callback = new URL(callbackUrl(request({ id: 'a&code=b' }), 'the code'))
    assert.equal(callback.origin, 'http://127.0.0.1:4711')
    assert.deepEqual(
      [...callback.searchParams],
      [
        ['request', 'a&code=b'],
        ['code', 'the code'],
      ],
    )
    assert.throws(() => callbackUrl(request({ port: null }), 'the code'), /no port/)
  })

  test('keeps no completion code, only its hash', () => {
    const code = newCompletion(random)
    assert.match(code, /^[A-Za-z0-9_-]{43}$/)
    assert.match(completionHash(code), /^[A-Za-z0-9_-]{43}$/)
    assert.notEqual(completionHash(code), code)
  })
})

describe('possession', () => {
  const key = createSessionKey()
  const nkey = parseUserNkey(key.nkey) ?? assert.fail('no nkey')
  const record = request({ nkey })
  const challenge = challengeOfRequest(record, ORIGIN)

  test('is a signature by the nkey over this challenge', () => {
    assert.ok(provesPossession(nkey, challenge, possession(key, challenge)))
  })

  const others: Record<string, () => string> = {
    'by another nkey': () => possession(createSessionKey(), challenge),
    'for another origin: a relay': () => possession(key, challengeOfRequest(record, 'https://nats.example.net')),
    'for other issued bytes': () => possession(key, challengeOfRequest(request({ nkey }), ORIGIN)),
    'for another nkey': () => possession(key, challengeOfRequest({ ...record, nkey: newUserNkey() }, ORIGIN)),
    'over the bare challenge, as a server could obtain it for a nonce': () => Buffer.from(key.sign(challenge)).toString('base64url'),
    'with a byte more': () => `${possession(key, challenge)}AA`,
    'in padded base64': () => Buffer.from(possession(key, challenge), 'base64url').toString('base64'),
    'that is empty': () => '',
  }
  for (const [name, signature] of Object.entries(others)) {
    test(`is not a signature ${name}`, () => assert.equal(provesPossession(nkey, challenge, signature()), false))
  }
})
