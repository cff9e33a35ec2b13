/** What the authenticator signs, refuses to sign and hands out: longer than 300 lines because all of it starts from the same key. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Credentials, type SessionMode, webauthnAuthenticator } from '../../src/client/authenticator.ts'
import { WebAuthnClientError } from '../../src/client/client-error.ts'
import { ed25519PrivateKey, ed25519RawPublic } from '../../src/core/ed25519.ts'
import { fromBase64url, fromUtf8 } from '../../src/core/encoding.ts'
import { type Nonce, parseNonce } from '../../src/core/identifiers.ts'
import { decodePublicNkey, decodeSeed } from '../../src/core/nkey.ts'
import { type Offer, readOffer } from '../../src/core/proof.ts'
import { connectChallenge, MACHINE_ORIGIN } from '../../src/core/protocol.ts'
import { verifyBoundResume } from '../../src/core/session.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { verifyAssertion } from '../../src/core/webauthn/assertion.ts'
import { fakeConnection } from '../support/fake-connection.ts'
import { testMachine } from '../support/machine.ts'
import { signatures } from '../support/signatures.ts'

const url = 'tls://nats.example:4222'
const NONCE = parseNonce('PXoWU7zWAMt75FY') as Nonce
const OTHER_NONCE = parseNonce('aaaaaaaaaaaaaaa') as Nonce

function offer(credentials: Credentials): Offer {
  const read = readOffer(credentials)
  assert.ok(read.ok)
  return read.value
}

function start(session?: SessionMode) {
  const machine = testMachine()
  const errors: WebAuthnClientError[] = []
  const authenticate = webauthnAuthenticator({
    key: machine.key,
    url,
    onError: (error) => errors.push(error),
    ...(session === undefined ? {} : { session }),
  })
  return { machine, authenticate, errors }
}

function assertionVerdict(
  machine: ReturnType<typeof testMachine>,
  read: Offer,
  binding: { nonce: string; url: string; nkey: string; plain: boolean },
) {
  assert.ok(read.form === 'proof' || read.form === 'endorsing')
  const verdict = verifyAssertion(read.assertion, machine.credential, {
    challenge: connectChallenge(sha256, binding),
    rpId: machine.credential.rpId,
    origins: [MACHINE_ORIGIN],
    class: 'machine',
    requireUserVerification: false,
    algorithms: [-7, -8],
  })
  return verdict.ok ? 'accepted' : verdict.denial
}

const code = (expected: string) => (error: unknown) => error instanceof WebAuthnClientError && error.code === expected

describe('the authenticator', () => {
  test('first proves, bound to nonce, address and session key, and endorses that key', () => {
    const { machine, authenticate } = start()
    const credentials = authenticate(NONCE)
    const read = offer(credentials)
    assert.ok(read.form === 'endorsing')
    assert.equal(read.url, url)
    assert.equal(read.plain, false)
    assert.ok(verifyBoundResume({ nkey: read.nkey, nonce: NONCE, url: read.url, signature: read.resume }, signatures))
    const binding = { nonce: NONCE, url, nkey: read.nkey, plain: false }
    assert.equal(assertionVerdict(machine, read, binding), 'accepted')
    for (const other of [{ nonce: OTHER_NONCE }, { url: 'tls://evil.example:4222' }, { nkey: '' }, { plain: true }]) {
      assert.equal(assertionVerdict(machine, read, { ...binding, ...other }), 'challenge_mismatch')
    }
    assert.equal(machine.signed(), 1)
  })

  test('then resumes with the session key alone, bound to the new nonce and the address', () => {
    const { machine, authenticate } = start()
    const first = authenticate(NONCE)
    authenticate.confirm(fakeConnection())
    const second = authenticate(OTHER_NONCE)
    const read = offer(second)
    assert.ok(read.form === 'bound')
    assert.equal(second.nkey, first.nkey)
    assert.ok(verifyBoundResume({ nkey: read.nkey, nonce: OTHER_NONCE, url: read.url, signature: read.resume }, signatures))
    assert.equal(verifyBoundResume({ nkey: read.nkey, nonce: NONCE, url: read.url, signature: read.resume }, signatures), false)
    assert.equal(machine.signed(), 1)
  })

  test('writes exactly the members of each form', () => {
    const members = (credentials: Credentials) => {
      const value: unknown = JSON.parse(fromUtf8(fromBase64url(credentials.sig) as Uint8Array) as string)
      return Object.keys(value as object)
        .sort()
        .join(' ')
    }
    const bound = start()
    assert.equal(members(bound.authenticate(NONCE)), 'assertion resume url v')
    bound.authenticate.confirm(fakeConnection())
    assert.equal(members(bound.authenticate(NONCE)), 'resume url v')
    assert.equal(members(start('plain').authenticate(NONCE)), 'assertion plain resume url v')
    assert.equal(members(start(false).authenticate(NONCE)), 'assertion url v')
  })

  test('proves each time and offers no nkey where sessions are not wanted', () => {
    const { machine, authenticate } = start(false)
    for (let i = 1; i <= 3; i++) {
      const credentials = authenticate(NONCE)
      assert.equal(credentials.nkey, '')
      assert.equal(assertionVerdict(machine, offer(credentials), { nonce: NONCE, url, nkey: '', plain: false }), 'accepted')
      authenticate.confirm(fakeConnection())
      assert.equal(machine.signed(), i)
    }
  })

  test('signs the canonical address, whatever spelling it was given', () => {
    const authenticate = webauthnAuthenticator({ key: testMachine().key, url: 'TLS://Nats.Example.' })
    assert.equal(offer(authenticate(NONCE)).form, 'endorsing')
    const read = offer(authenticate(NONCE))
    assert.ok(read.form === 'endorsing')
    assert.equal(read.url, url)
  })

  test('a proof fits the default max_control_line of nats-server', () => {
    assert.ok(JSON.stringify(start('plain').authenticate('x'.repeat(64))).length < 3_500)
  })

  test('falls back to a proof with another session key when the server refuses a resume', async () => {
    const { machine, authenticate } = start()
    const connection = fakeConnection()
    const first = authenticate(NONCE)
    authenticate.confirm(connection)
    assert.equal(offer(authenticate(NONCE)).form, 'bound')
    await connection.emit({ type: 'error', data: 'AUTHORIZATION_VIOLATION' })
    const proof = authenticate(NONCE)
    assert.equal(offer(proof).form, 'endorsing')
    assert.notEqual(proof.nkey, first.nkey)
    assert.equal(machine.signed(), 2)
    await connection.emit({ type: 'reconnect' })
    assert.equal(authenticate(NONCE).nkey, proof.nkey)
  })

  test('understands the status reports of transport-node 3.x too', async () => {
    const { authenticate } = start()
    const connection = fakeConnection()
    authenticate(NONCE)
    authenticate.confirm(connection)
    authenticate(NONCE)
    await connection.emit({ type: 'error', error: new Error('Authorization Violation') })
    assert.equal(offer(authenticate(NONCE)).form, 'endorsing')
  })

  test('does not take an expiry, a permission error or a timeout for a refused resume', async () => {
    const { authenticate } = start()
    const connection = fakeConnection()
    authenticate(NONCE)
    authenticate.confirm(connection)
    authenticate(NONCE)
    await connection.emit({ type: 'error', data: 'AUTHENTICATION_EXPIRED' })
    await connection.emit({ type: 'error', error: new Error('User Authentication Expired') })
    await connection.emit({ type: 'error', data: 'PERMISSIONS_VIOLATION' })
    await connection.emit({ type: 'error', error: new Error('Authentication Timeout') })
    await connection.emit({ type: 'disconnect' })
    assert.equal(offer(authenticate(NONCE)).form, 'bound')
  })
})

describe('the authenticator refuses', () => {
  const hostile: [string, unknown][] = [
    ['65 characters', 'x'.repeat(65)],
    ['a megabyte', 'x'.repeat(1_000_000)],
    ['a space', 'a b'],
    ['a line break', 'a\nb'],
    ['a control character', 'a\u0000'],
    ['beyond ASCII', 'naïve'],
    ['a number', 7],
    ['an object', { length: 3 }],
  ]
  for (const [name, nonce] of hostile) {
    test(`a nonce that is hostile, before anything is signed: ${name}`, () => {
      const { machine, authenticate } = start()
      assert.throws(() => authenticate(nonce as string), code('nonce_refused'))
      assert.equal(machine.signed(), 0)
    })
  }

  test('a server that sends no nonce', () => {
    for (const nonce of [undefined, '']) assert.throws(() => start().authenticate(nonce), code('nonce_missing'))
  })

  test('addresses without one canonical spelling', () => {
    const { key } = testMachine()
    const addresses = [
      '',
      'http://nats.example',
      'tls://',
      'tls://user:pass@nats.example',
      'tls://nats.example/path',
      'tls://a.example,tls://b.example',
      'tls://nats.example:99999',
      'tls://a b',
    ]
    for (const address of addresses) assert.throws(() => webauthnAuthenticator({ key, url: address }), code('url_invalid'), address)
    for (const address of [undefined, null, ['tls://a.example', 'tls://b.example']]) {
      assert.throws(() => webauthnAuthenticator({ key, url: address as unknown as string }), code('url_invalid'))
    }
  })

  test('to sign for a live connection whose servers were exchanged', () => {
    const { machine, authenticate, errors } = start()
    const connection = Object.assign(fakeConnection(), {
      servers: ['nats.example:4222'],
      getServers: () => connection.servers.map((listen) => ({ listen })),
    })
    authenticate(NONCE)
    authenticate.confirm(connection)
    assert.equal(offer(authenticate(NONCE)).form, 'bound')
    for (const servers of [['evil.example:4222'], ['nats.example:4222', 'evil.example:4222']]) {
      connection.servers = servers
      assert.deepEqual(authenticate(NONCE), { nkey: '', sig: '' })
    }
    assert.deepEqual(
      errors.map((error) => error.code),
      ['url_ambiguous', 'url_ambiguous'],
    )
    assert.equal(machine.signed(), 1)
  })
})

describe('when the key does not sign', () => {
  test('the first connection fails with the cause', () => {
    const { machine, authenticate } = start()
    machine.breakKey(true)
    assert.throws(() => authenticate(NONCE), code('sign_failed'))
  })

  test('a connection that was up is not given up: it offers nothing, says so, and tries again', async () => {
    const { machine, authenticate, errors } = start()
    const connection = fakeConnection()
    authenticate(NONCE)
    authenticate.confirm(connection)
    authenticate(NONCE)
    await connection.emit({ type: 'error', data: 'AUTHORIZATION_VIOLATION' })
    machine.breakKey(true)
    assert.deepEqual(authenticate(NONCE), { nkey: '', sig: '' })
    assert.deepEqual(
      errors.map((error) => error.code),
      ['sign_failed'],
    )
    await connection.emit({ type: 'error', data: 'AUTHORIZATION_VIOLATION' })
    assert.equal(offer(authenticate(NONCE)).form, 'bound')
    await connection.emit({ type: 'error', data: 'AUTHORIZATION_VIOLATION' })
    machine.breakKey(false)
    assert.equal(offer(authenticate(NONCE)).form, 'endorsing')
  })

  test('a hostile nonce does not end a connection that was up either', () => {
    const { authenticate, errors } = start()
    authenticate(NONCE)
    authenticate.confirm(fakeConnection())
    assert.deepEqual(authenticate('a b'), { nkey: '', sig: '' })
    assert.deepEqual(
      errors.map((error) => error.code),
      ['nonce_refused'],
    )
  })
})

describe('exporting a session', () => {
  const inDirectory = (use: (dir: string) => void) => {
    const dir = mkdtempSync(join(tmpdir(), 'nats-webauthn-test-'))
    try {
      use(dir)
    } finally {
      rmSync(dir, { recursive: true })
    }
  }

  test('writes the seed of a plain session for stock clients, readable by its owner alone', () =>
    inDirectory((dir) => {
      const { machine, authenticate } = start('plain')
      const credentials = authenticate(NONCE)
      const read = offer(credentials)
      assert.ok(read.form === 'endorsing')
      assert.equal(read.plain, true)
      assert.equal(assertionVerdict(machine, read, { nonce: NONCE, url, nkey: read.nkey, plain: true }), 'accepted')
      assert.equal(assertionVerdict(machine, read, { nonce: NONCE, url, nkey: read.nkey, plain: false }), 'challenge_mismatch')
      authenticate.confirm(fakeConnection())
      const path = join(dir, 'session.nk')
      authenticate.exportSessionSeed(path)
      assert.equal(statSync(path).mode & 0o777, 0o600)
      const seed = decodeSeed('U', readFileSync(path, 'utf8').trim()) as Uint8Array
      assert.deepEqual(ed25519RawPublic(ed25519PrivateKey(seed)), decodePublicNkey('U', credentials.nkey))
      authenticate.exportSessionSeed(path)
    }))

  test('refuses when the session is bound, off, or not endorsed yet', () =>
    inDirectory((dir) => {
      for (const session of ['bound', false] as const) {
        const { authenticate } = start(session)
        authenticate(NONCE)
        authenticate.confirm(fakeConnection())
        assert.throws(() => authenticate.exportSessionSeed(join(dir, 'x')), code('session_missing'))
      }
      const { authenticate } = start('plain')
      authenticate(NONCE)
      assert.throws(() => authenticate.exportSessionSeed(join(dir, 'x')), code('session_missing'))
    }))

  test('even a plain session is resumed bound by the SDK itself', () => {
    const { authenticate } = start('plain')
    authenticate(NONCE)
    authenticate.confirm(fakeConnection())
    assert.equal(offer(authenticate(NONCE)).form, 'bound')
  })
})
