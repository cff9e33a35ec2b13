import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { parseAccountName, parseHandle, parseUserNkey } from '../../src/core/identifiers.ts'
import { encodePublicNkey } from '../../src/core/nkey.ts'
import type { Permissions } from '../../src/core/policy/policy.ts'
import { userClaims } from '../../src/core/user-claims.ts'

const userNkey = parseUserNkey(encodePublicNkey('U', randomBytes(32)))
const account = parseAccountName('APP')
const handle = parseHandle('orders')
assert.ok(userNkey && account && handle)
const user = { userNkey, account, handle, id: '0b9e2c36-7b1f-4a11-9a53-3a8f2a0b54d1', iat: 1_000, exp: 1_900 }

function claims(permissions: Partial<Permissions>) {
  const none = { allow: [], deny: [] }
  return userClaims({ ...user, permissions: { publish: none, subscribe: none, responses: null, ...permissions } })
}

describe('the user JWT claims', () => {
  test("name the connection's user nkey, the account, the handle and the audit record", () => {
    const { sub, aud, name, jti, iat, exp, nats } = claims({})
    assert.deepEqual({ sub, aud, name, jti, iat, exp }, { sub: userNkey, aud: 'APP', name: 'orders', jti: user.id, iat: 1_000, exp: 1_900 })
    assert.deepEqual({ type: nats.type, version: nats.version }, { type: 'user', version: 2 })
  })

  test('deny everything on a side without allows: an empty list would mean everything', () => {
    const { pub, sub } = claims({ publish: { allow: ['orders.>'], deny: [] } }).nats
    assert.deepEqual(pub, { allow: ['orders.>'] })
    assert.deepEqual(sub, { deny: ['>'] })
    assert.deepEqual(claims({}).nats.pub, { deny: ['>'] })
    assert.deepEqual(claims({ publish: { allow: [], deny: ['secret.>'] } }).nats.pub, { deny: ['>'] })
  })

  test('keep denies beside allows', () => {
    const { sub } = claims({ subscribe: { allow: ['a.>'], deny: ['a.b'] } }).nats
    assert.deepEqual(sub, { allow: ['a.>'], deny: ['a.b'] })
  })

  test('never print an empty list', () => {
    for (const publish of [
      { allow: [], deny: [] },
      { allow: ['a'], deny: [] },
      { allow: [], deny: ['a'] },
    ]) {
      assert.doesNotMatch(JSON.stringify(claims({ publish })), /\[\]/)
    }
  })

  test('give responses in nanoseconds, and only when the policy does', () => {
    assert.deepEqual(claims({ responses: { max: 1, ttlSeconds: 5 } }).nats.resp, { max: 1, ttl: 5_000_000_000 })
    assert.equal('resp' in claims({}).nats, false)
  })
})
