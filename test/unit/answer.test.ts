import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AuthorizationResponse, decode, type User } from '@nats-io/jwt'
import { createAccount, createCurve, createUser, fromSeed } from 'nkeys.js'
import type { AuthorizationRequest } from '../../src/core/authorization-request.ts'
import { opensslEd25519 } from '../../src/core/ed25519.ts'
import { userClaims } from '../../src/core/user-claims.ts'
import { createAnswer, issuerFromSeed } from '../../src/nats/answer.ts'
import { tweetnaclBox, xkeyFromSeed } from '../../src/nats/xkey.ts'

const now = () => new Date('2026-01-05T12:00:00Z')
const account = createAccount()
const issuer = issuerFromSeed(seedOf(account), opensslEd25519)
const server = createCurve()
const verifier = createCurve()

function seedOf(pair: { getSeed(): Uint8Array }): string {
  return new TextDecoder().decode(pair.getSeed())
}

function request(sealedFor: string | null): AuthorizationRequest {
  return { userNkey: createUser().getPublicKey(), serverId: 'NSERVER', sealedFor } as unknown as AuthorizationRequest
}

const nothing = { publish: { allow: [], deny: [] }, subscribe: { allow: ['a'], deny: ['a.b'] }, responses: { max: 2, ttlSeconds: 3 } }

function claimsFor(req: AuthorizationRequest) {
  return userClaims({
    userNkey: req.userNkey,
    account: 'APP' as never,
    handle: 'orders' as never,
    id: 'id-1',
    iat: 1,
    exp: 2,
    permissions: nothing,
  })
}

describe('answers', () => {
  test('a grant is a user JWT inside a response JWT that the stock library verifies', () => {
    const req = request(null)
    const reply = createAnswer({ issuer, xkey: null, now }).grant(req, claimsFor(req))
    const response = decode<AuthorizationResponse>(new TextDecoder().decode(reply))
    assert.equal(response.sub, req.userNkey)
    assert.equal(response.aud, req.serverId)
    assert.equal(response.iss, account.getPublicKey())
    const user = decode<User>(response.nats.jwt ?? '')
    assert.equal(user.aud, 'APP')
    assert.equal(user.name, 'orders')
    assert.equal(user.exp, 2)
    assert.equal(user.jti, 'id-1')
    assert.deepEqual(user.nats.sub, { allow: ['a'], deny: ['a.b'] })
    assert.deepEqual(user.nats.resp, { max: 2, ttl: 3_000_000_000 })
  })

  test('a side without allows denies everything: to nats-server an empty list means everything', () => {
    assert.deepEqual(claimsFor(request(null)).nats.pub, { deny: ['>'] })
  })

  test('a refusal carries outcome and reason, and no user JWT', () => {
    const reply = createAnswer({ issuer, xkey: null, now }).refuse(request(null), { outcome: 'denied', reason: 'sig_missing' })
    const response = decode<AuthorizationResponse>(new TextDecoder().decode(reply))
    assert.equal(response.nats.error, 'denied: sig_missing')
    assert.equal(response.nats.jwt, undefined)
  })

  test('native signatures are nkeys.js signatures, byte for byte', () => {
    const [header, body, signature] = issuer.sign({ sub: 'x' }).split('.')
    const theirs = fromSeed(account.getSeed()).sign(new TextEncoder().encode(`${header}.${body}`))
    assert.equal(signature, Buffer.from(theirs).toString('base64url'))
  })

  test('an answer to a sealed request is sealed for that server, as nkeys.js opens it', () => {
    const xkey = xkeyFromSeed(seedOf(verifier), tweetnaclBox)
    const reply = createAnswer({ issuer, xkey, now }).refuse(request(server.getPublicKey()), { outcome: 'denied', reason: 'sig_missing' })
    const opened = server.open(reply, verifier.getPublicKey())
    assert.ok(opened)
    assert.equal(decode<AuthorizationResponse>(new TextDecoder().decode(opened)).nats.error, 'denied: sig_missing')
  })

  test('opens what nkeys.js sealed', () => {
    const xkey = xkeyFromSeed(seedOf(verifier), tweetnaclBox)
    assert.equal(xkey.publicKey, verifier.getPublicKey())
    const sealed = server.seal(new TextEncoder().encode('hello'), verifier.getPublicKey())
    assert.equal(new TextDecoder().decode(xkey.open(sealed, server.getPublicKey()) ?? undefined), 'hello')
  })

  test('does not open what was changed, cut short, for another, or from another', () => {
    const xkey = xkeyFromSeed(seedOf(verifier), tweetnaclBox)
    const sealed = server.seal(new TextEncoder().encode('hello'), verifier.getPublicKey())
    const changed = sealed.slice()
    changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1
    assert.equal(xkey.open(changed, server.getPublicKey()), null)
    assert.equal(xkey.open(sealed.subarray(0, 20), server.getPublicKey()), null)
    assert.equal(xkey.open(sealed.subarray(0, 30), server.getPublicKey()), null)
    assert.equal(xkey.open(sealed, createCurve().getPublicKey()), null)
    assert.equal(xkey.open(sealed, 'XNOTAKEY'), null)
    assert.equal(xkeyFromSeed(seedOf(createCurve()), tweetnaclBox).open(sealed, server.getPublicKey()), null)
  })

  test('refuses seeds of another kind, without printing them', () => {
    const user = seedOf(createUser())
    for (const make of [
      () => issuerFromSeed(user, opensslEd25519),
      () => xkeyFromSeed(user, tweetnaclBox),
      () => issuerFromSeed('nonsense', opensslEd25519),
    ]) {
      assert.throws(make, (error: Error) => !error.message.includes(user))
    }
  })
})
