import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createUser } from 'nkeys.js'
import { ed25519RawPublic, ed25519Sign } from '../../src/core/ed25519.ts'
import { concat, lengthPrefixed, utf8 } from '../../src/core/encoding.ts'
import { type CredentialKey, type Handle, type Nonce, parseUserNkey, type ServerUrl, type UserNkey } from '../../src/core/identifiers.ts'
import { encodePublicNkey } from '../../src/core/nkey.ts'
import { resumeMessage } from '../../src/core/protocol.ts'
import type { SessionRecord } from '../../src/core/records.ts'
import { checkSessionState, mayEndorse, verifyBoundResume, verifyPlainResume } from '../../src/core/session.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { signatures } from '../support/signatures.ts'

function userKey(): { nkey: UserNkey; sign: (message: Uint8Array) => Uint8Array } {
  const { privateKey } = generateKeyPairSync('ed25519')
  const nkey = parseUserNkey(encodePublicNkey('U', ed25519RawPublic(privateKey)))
  assert.ok(nkey)
  return { nkey, sign: (message) => ed25519Sign(privateKey, message) }
}

const key = userKey()
const other = userKey()
const nonce = 'O2VRyWtLHNKhBnU' as Nonce
const url = 'tls://nats.example.com:4222' as ServerUrl
const { nkey } = key
const bound = key.sign(resumeMessage(sha256, { nonce, url, nkey }))
const plain = key.sign(utf8(nonce))

describe('a bound resume', () => {
  test("is the nkey's signature over nonce, URL and nkey", () => {
    assert.equal(verifyBoundResume({ nkey, nonce, url, signature: bound }, signatures), true)
  })

  test('holds for no other nonce, URL or nkey', () => {
    assert.equal(verifyBoundResume({ nkey, nonce: 'O2VRyWtLHNKhBnV' as Nonce, url, signature: bound }, signatures), false)
    assert.equal(verifyBoundResume({ nkey, nonce, url: 'tls://nats.example.com:4223' as ServerUrl, signature: bound }, signatures), false)
    assert.equal(verifyBoundResume({ nkey: other.nkey, nonce, url, signature: bound }, signatures), false)
    const namesOther = key.sign(resumeMessage(sha256, { nonce, url, nkey: other.nkey }))
    assert.equal(verifyBoundResume({ nkey, nonce, url, signature: namesOther }, signatures), false)
  })

  test('is not the signature of another statement by the same key', () => {
    const parts = lengthPrefixed('nats-webauthn/resume/v1', nonce, url, nkey)
    const others = [plain, key.sign(parts), key.sign(sha256(parts)), key.sign(concat(new Uint8Array([0xfe]), sha256(parts)))]
    for (const signature of others) assert.equal(verifyBoundResume({ nkey, nonce, url, signature }, signatures), false)
    const connect = lengthPrefixed('nats-webauthn/connect/v1', nonce, url, nkey)
    assert.equal(
      verifyBoundResume({ nkey, nonce, url, signature: key.sign(concat(new Uint8Array([0xff]), sha256(connect))) }, signatures),
      false,
    )
  })

  test('with any bit turned over is none', () => {
    for (let bit = 0; bit < 512; bit++) {
      const signature = new Uint8Array(bound)
      signature[bit >> 3] = (signature[bit >> 3] as number) ^ (1 << (bit & 7))
      assert.equal(verifyBoundResume({ nkey, nonce, url, signature }, signatures), false)
    }
  })

  test('of another length is none', () => {
    for (const length of [0, 1, 63, 65, 128])
      assert.equal(verifyBoundResume({ nkey, nonce, url, signature: new Uint8Array(length) }, signatures), false)
  })

  test('can never be obtained as the signature of a nonce: no text begins with 0xFF', () => {
    assert.equal(resumeMessage(sha256, { nonce, url, nkey })[0], 0xff)
    assert.equal(resumeMessage(sha256, { nonce, url, nkey }).length, 33)
  })
})

describe('a plain resume', () => {
  test('is what nkeys.js signs for any NATS client', () => {
    const user = createUser()
    const theirs = parseUserNkey(user.getPublicKey())
    assert.ok(theirs)
    assert.equal(verifyPlainResume({ nkey: theirs, nonce, signature: user.sign(utf8(nonce)) }, signatures), true)
  })

  test('holds for no other nonce or nkey, and is no bound resume', () => {
    assert.equal(verifyPlainResume({ nkey, nonce, signature: plain }, signatures), true)
    assert.equal(verifyPlainResume({ nkey, nonce: 'another' as Nonce, signature: plain }, signatures), false)
    assert.equal(verifyPlainResume({ nkey: other.nkey, nonce, signature: plain }, signatures), false)
    assert.equal(verifyPlainResume({ nkey, nonce, signature: bound }, signatures), false)
    assert.equal(verifyBoundResume({ nkey, nonce, url, signature: plain }, signatures), false)
  })

  test('keeps being verified while more nkeys come by than are remembered', () => {
    for (let i = 0; i < 10_050; i++) {
      const stranger = parseUserNkey(encodePublicNkey('U', randomBytes(32)))
      assert.ok(stranger)
      assert.equal(verifyPlainResume({ nkey: stranger, nonce, signature: plain }, signatures), false)
    }
    assert.equal(verifyPlainResume({ nkey, nonce, signature: plain }, signatures), true)
  })
})

describe('the state of a session', () => {
  const now = new Date('2026-11-22T10:00:00Z')
  const session: SessionRecord = {
    v: 1,
    nkey,
    credential: 'c'.repeat(43) as CredentialKey,
    handle: 'orders' as Handle,
    class: 'machine',
    plain: false,
    userVerified: false,
    byCode: false,
    label: '',
    createdAt: now.getTime() - 1000,
    expiresAt: now.getTime() + 1,
    state: 'active',
    endedAt: null,
  }
  const reason = (record: SessionRecord | null) => {
    const checked = checkSessionState(record, now)
    return checked.ok ? 'accepted' : checked.denial
  }

  test('is in force until the millisecond it expires', () => {
    assert.equal(reason(session), 'accepted')
    assert.equal(reason({ ...session, expiresAt: now.getTime() }), 'session_expired')
    assert.equal(reason({ ...session, expiresAt: 0 }), 'session_expired')
  })

  test('is refused by name when there is none, or it is pending or revoked', () => {
    assert.equal(reason(null), 'session_unknown')
    assert.equal(reason({ ...session, state: 'pending' }), 'session_pending')
    assert.equal(reason({ ...session, state: 'revoked' }), 'session_revoked')
    assert.equal(reason({ ...session, state: 'revoked', expiresAt: 0 }), 'session_revoked')
  })

  test('lets an nkey be endorsed again for its own credential only, and never once revoked', () => {
    const another = 'd'.repeat(43) as CredentialKey
    assert.equal(mayEndorse(session, session.credential), true)
    assert.equal(mayEndorse({ ...session, state: 'pending' }, session.credential), true)
    assert.equal(mayEndorse(session, another), false)
    assert.equal(mayEndorse({ ...session, state: 'revoked' }, session.credential), false)
    assert.equal(mayEndorse({ ...session, state: 'revoked' }, another), false)
  })
})
