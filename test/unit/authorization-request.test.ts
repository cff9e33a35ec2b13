import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createServer } from 'nkeys.js'
import { base64url, utf8 } from '../../src/core/encoding.ts'
import { parseServerId } from '../../src/core/identifiers.ts'
import { encodePublicNkey } from '../../src/core/nkey.ts'
import type { XkeyPort } from '../../src/core/ports.ts'
import { testNkey } from '../support/authorization-request.ts'
import { bodyOf, jwt, now, open, reason, seconds, server, serverXkey, stranger, userNkey } from '../support/opening.ts'

describe('a genuine request', () => {
  test('is read', () => {
    const opened = open(jwt())
    assert.ok(opened.ok)
    assert.deepEqual(opened.value, {
      serverId: server.publicKey,
      serverName: 'nats-1',
      cluster: 'c1',
      sealedFor: null,
      userNkey,
      clientId: 42,
      clientHost: '192.0.2.7',
      clientName: 'orders',
      clientType: 'nats',
      nonce: 'O2VRyWtLHNKhBnU',
      sig: 'x',
      nkey: '',
      tls: false,
      iat: seconds,
      exp: seconds + 5,
    })
  })

  test('signed by nkeys.js itself is read', () => {
    const pair = createServer()
    const id = pair.getPublicKey()
    const body = bodyOf({ body: { iss: id }, server: { id } })
    const signed = `${base64url(utf8('{"typ":"JWT","alg":"ed25519-nkey"}'))}.${base64url(utf8(JSON.stringify(body)))}`
    assert.equal(reason(open(`${signed}.${base64url(pair.sign(utf8(signed)))}`)), 'accepted')
  })

  test('over WebSocket and TLS says so', () => {
    const opened = open(jwt({ client: { type: 'websocket' }, nats: { client_tls: { version: '1.3' } } }))
    assert.ok(opened.ok)
    assert.deepEqual({ type: opened.value.clientType, tls: opened.value.tls }, { type: 'websocket', tls: true })
  })

  test('that leaves out what is optional has empty texts, no cluster, no TLS', () => {
    const nothing = { name: undefined, cluster: undefined }
    const opened = open(
      jwt({
        server: nothing,
        client: { nonce: undefined, host: undefined },
        connect: { sig: undefined, nkey: undefined, name: undefined },
      }),
    )
    assert.ok(opened.ok)
    const { serverName, cluster, nonce, sig, nkey, clientName, clientHost, tls } = opened.value
    assert.deepEqual(
      { serverName, cluster, nonce, sig, nkey, clientName, clientHost, tls },
      {
        serverName: '',
        cluster: null,
        nonce: '',
        sig: '',
        nkey: '',
        clientName: '',
        clientHost: '',
        tls: false,
      },
    )
  })

  test('with texts that are no texts reads them as empty, and long ones as cut', () => {
    const opened = open(
      jwt({ connect: { sig: 5, nkey: {}, name: 'n'.repeat(1000) }, client: { nonce: ['x'], host: null }, nats: { client_tls: 'yes' } }),
    )
    assert.ok(opened.ok)
    assert.deepEqual(
      { sig: opened.value.sig, nkey: opened.value.nkey, nonce: opened.value.nonce, host: opened.value.clientHost, tls: opened.value.tls },
      {
        sig: '',
        nkey: '',
        nonce: '',
        host: '',
        tls: false,
      },
    )
    assert.equal(opened.value.clientName.length, 256)
  })

  test('from a listed server is read', () => {
    const id = parseServerId(server.publicKey)
    assert.ok(id)
    assert.equal(reason(open(jwt(), { rules: { serverIds: [id] } })), 'accepted')
  })

  test('keeps being read while more server keys come by than are remembered', () => {
    for (let i = 0; i < 1030; i++) {
      const signer = testNkey('N')
      const id = signer.publicKey
      assert.equal(reason(open(jwt({ signer, body: { iss: id }, server: { id } }))), 'accepted')
    }
    assert.equal(reason(open(jwt())), 'accepted')
  })
})

describe('a request that no server of ours sent', () => {
  test('is request_signature_invalid when any byte that was signed differs', () => {
    const [header, , signature] = jwt().split('.') as [string, string, string]
    const forged = base64url(utf8(JSON.stringify(bodyOf({ client: { id: 43 } }))))
    assert.equal(reason(open(`${header}.${forged}.${signature}`)), 'request_signature_invalid')
    assert.equal(reason(open(jwt({ signer: stranger }))), 'request_signature_invalid')
    const zeros = base64url(new Uint8Array(64))
    assert.equal(reason(open(`${jwt().split('.').slice(0, 2).join('.')}.${zeros}`)), 'request_signature_invalid')
  })

  test('is request_readdressed when its issuer is not the server it speaks of', () => {
    assert.equal(reason(open(jwt({ signer: stranger, body: { iss: stranger.publicKey } }))), 'request_readdressed')
    assert.equal(reason(open(jwt({ server: { id: stranger.publicKey } }))), 'request_readdressed')
    assert.equal(reason(open(jwt({ server: { id: undefined } }))), 'request_readdressed')
    assert.equal(reason(open(jwt({ nats: { server_id: server.publicKey } }))), 'request_readdressed')
  })

  test('is request_readdressed when it was made for another audience', () => {
    for (const aud of ['nats-authorization-response', 'APP', '', null, undefined, ['nats-authorization-request'], server.publicKey]) {
      assert.equal(reason(open(jwt({ body: { aud } }))), 'request_readdressed')
    }
  })

  test('is request_server_unknown when the server is not listed, though it signs rightly', () => {
    const id = parseServerId(stranger.publicKey)
    assert.ok(id)
    assert.equal(reason(open(jwt(), { rules: { serverIds: [id] } })), 'request_server_unknown')
    assert.equal(reason(open(jwt(), { rules: { serverIds: [] } })), 'request_server_unknown')
  })

  test('is request_malformed when the issuer is no server', () => {
    for (const kind of ['U', 'A', 'O', 'X'] as const) {
      const signer = testNkey(kind)
      const iss = signer.publicKey
      assert.equal(reason(open(jwt({ signer, body: { iss }, server: { id: iss } }))), 'request_malformed')
    }
    for (const iss of ['', null, undefined, 5, server.publicKey.toLowerCase(), `${server.publicKey}A`, [server.publicKey]]) {
      assert.equal(reason(open(jwt({ body: { iss } }))), 'request_malformed')
    }
  })
})

describe('validity', () => {
  const at = (iat: unknown, exp: unknown, more: Record<string, unknown> = {}) => reason(open(jwt({ body: { iat, exp, ...more } })))

  test('allows the leeway, to the second, on both sides', () => {
    assert.equal(at(seconds - 20, seconds - 5), 'accepted')
    assert.equal(at(seconds - 20, seconds - 6), 'request_expired')
    assert.equal(at(seconds + 5, seconds + 9), 'accepted')
    assert.equal(at(seconds + 6, seconds + 9), 'request_expired')
    assert.equal(at(seconds, seconds + 5, { nbf: seconds + 5 }), 'accepted')
    assert.equal(at(seconds, seconds + 5, { nbf: seconds + 6 }), 'request_expired')
  })

  test('is refused as request_expired long before and long after', () => {
    assert.equal(reason(open(jwt(), { now: new Date(now.getTime() + 3_600_000) })), 'request_expired')
    assert.equal(reason(open(jwt(), { now: new Date(now.getTime() - 3_600_000) })), 'request_expired')
    assert.equal(reason(open(jwt(), { now: new Date(now.getTime() + 6_000), rules: { leewaySeconds: 0 } })), 'request_expired')
  })

  test('that is missing, not an integer or upside down is request_malformed', () => {
    for (const bad of [undefined, null, '1', 1.5, {}, [], true, 2 ** 53, -1e300]) {
      assert.equal(at(bad, seconds + 5), 'request_malformed')
      assert.equal(at(seconds, bad), 'request_malformed')
      if (bad !== undefined) assert.equal(at(seconds, seconds + 5, { nbf: bad }), 'request_malformed')
    }
    assert.equal(at(seconds + 1, seconds), 'request_malformed')
    assert.equal(at(seconds, seconds), 'accepted')
  })
})

describe('what connects', () => {
  test('is client_kind_refused when it is no client', () => {
    for (const kind of ['Leafnode', 'Router', 'Gateway', 'Account', 'JetStream', 'System', 'client', '', undefined, null, 0, ['Client']]) {
      assert.equal(reason(open(jwt({ client: { kind } }))), 'client_kind_refused')
    }
    assert.equal(reason(open(jwt({ nats: { client_info: { id: 1 } } }))), 'client_kind_refused')
  })

  test('is client_type_refused when it speaks neither NATS nor WebSocket', () => {
    for (const type of ['mqtt', 'leafnode', 'NATS', 'websockets', '', undefined, null, 1, ['nats']]) {
      assert.equal(reason(open(jwt({ client: { type } }))), 'client_type_refused')
    }
  })

  test('is request_malformed without a client id or a user nkey', () => {
    for (const id of [undefined, null, '42', 1.5, {}, 2 ** 60]) assert.equal(reason(open(jwt({ client: { id } }))), 'request_malformed')
    for (const user of [undefined, null, '', server.publicKey, `${userNkey}A`, 5])
      assert.equal(reason(open(jwt({ nats: { user_nkey: user } }))), 'request_malformed')
    for (const info of [undefined, null, 'x', []]) assert.equal(reason(open(jwt({ nats: { client_info: info } }))), 'request_malformed')
  })

  test('is not judged before the signature: a forged leafnode is a forgery', () => {
    assert.equal(reason(open(jwt({ client: { kind: 'Leafnode' }, signer: stranger }))), 'request_signature_invalid')
  })
})

describe('where an xkey is configured', () => {
  const otherXkey = encodePublicNkey('X', randomBytes(32))
  // A box that anybody can open: sealing itself is the edge's affair.
  const xkey: XkeyPort = { open: (sealed, sender) => (sender === serverXkey ? sealed.subarray(4) : null) }
  const seal = (token: string) => utf8(`xkv1${token}`)

  test('a sealed request is read and remembers whom to seal for', () => {
    const opened = open(seal(jwt()), { xkey, serverXkey })
    assert.ok(opened.ok)
    assert.equal(opened.value.sealedFor, serverXkey)
  })

  test('a plain request is request_unsealed, with and without the header', () => {
    assert.equal(reason(open(jwt(), { xkey })), 'request_unsealed')
    assert.equal(reason(open(jwt(), { xkey, serverXkey })), 'request_unsealed')
    assert.equal(reason(open(new Uint8Array(0), { xkey, serverXkey })), 'request_unsealed')
    assert.equal(reason(open(utf8('xkv'), { xkey, serverXkey })), 'request_unsealed')
  })

  test('a sealed request without header, or with a header that is no curve key, is request_unsealed', () => {
    for (const header of ['', 'x', server.publicKey, userNkey, serverXkey.toLowerCase(), `${serverXkey}A`, '\0'.repeat(56)]) {
      assert.equal(reason(open(seal(jwt()), { xkey, serverXkey: header })), 'request_unsealed')
    }
  })

  test('a box that does not open is request_unopenable', () => {
    assert.equal(reason(open(seal(jwt()), { xkey, serverXkey: otherXkey })), 'request_unopenable')
  })

  test('a header that is not the key the server signed is request_unsealed', () => {
    const anyone: XkeyPort = { open: (sealed) => sealed.subarray(4) }
    assert.equal(reason(open(seal(jwt()), { xkey: anyone, serverXkey: otherXkey })), 'request_unsealed')
    for (const signed of [undefined, null, '', otherXkey, [serverXkey]]) {
      assert.equal(reason(open(seal(jwt({ server: { xkey: signed } })), { xkey: anyone, serverXkey })), 'request_unsealed')
    }
  })

  test('what comes out of the box is judged like any request', () => {
    assert.equal(reason(open(seal('hello'), { xkey, serverXkey })), 'request_malformed')
    assert.equal(reason(open(seal(jwt({ signer: stranger })), { xkey, serverXkey })), 'request_signature_invalid')
    assert.equal(reason(open(new Uint8Array([...utf8('xkv1'), 0xff, 0xfe]), { xkey, serverXkey })), 'request_malformed')
  })
})
