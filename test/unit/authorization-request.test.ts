import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createServer } from 'nkeys.js'
import { openRequest } from '../../src/core/authorization-request.ts'
import { DENIALS } from '../../src/core/denial.ts'
import { ed25519PrivateKey, ed25519RawPublic, ed25519Sign } from '../../src/core/ed25519.ts'
import { base64url, utf8 } from '../../src/core/encoding.ts'
import { parseServerId } from '../../src/core/identifiers.ts'
import { decodeSeed, encodePublicNkey } from '../../src/core/nkey.ts'
import type { XkeyPort } from '../../src/core/ports.ts'
import type { Rules } from '../../src/core/rules.ts'

const serverPair = createServer()
const serverKey = ed25519PrivateKey(decodeSeed('N', new TextDecoder().decode(serverPair.getSeed())) as Uint8Array)
const serverId = serverPair.getPublicKey()
const strangerKey = generateKeyPairSync('ed25519').privateKey
const strangerId = encodePublicNkey('N', ed25519RawPublic(strangerKey))
const userNkey = encodePublicNkey('U', randomBytes(32))
const serverXkey = encodePublicNkey('X', randomBytes(32))
const otherXkey = encodePublicNkey('X', randomBytes(32))
const now = new Date('2026-11-22T10:00:00Z')
const seconds = now.getTime() / 1000

const rules: Rules = {
  urls: [], person: null, machine: { rpId: 'machines.example.org' }, serverIds: null, algorithms: [-7], rolesMaxAgeSeconds: 86_400, leewaySeconds: 5,
  behindProxy: false, tlsTerminatedUpstream: false, dangerouslyAllowPlaintextUrls: false, dangerouslyAllowPlainSessionsWithoutTls: false,
}

type Members = Record<string, unknown>
interface Changes {
  header?: Members
  body?: Members
  nats?: Members
  server?: Members
  client?: Members
  connect?: Members
  key?: KeyObject
}

function bodyOf({ body, nats, server, client, connect }: Changes = {}): Members {
  return {
    aud: 'nats-authorization-request', jti: 'X', iat: seconds, exp: seconds + 5, iss: serverId, sub: 'A', ...body,
    nats: {
      server_id: { name: 'nats-1', host: '127.0.0.1', id: serverId, version: '2.15.1', cluster: 'c1', xkey: serverXkey, ...server },
      user_nkey: userNkey,
      client_info: { host: '192.0.2.7', id: 42, kind: 'Client', type: 'nats', nonce: 'O2VRyWtLHNKhBnU', ...client },
      connect_opts: { sig: 'x', nkey: '', name: 'orders', lang: 'node', version: '2.29.3', protocol: 1, ...connect },
      type: 'authorization_request', version: 2, ...nats,
    },
  }
}

function signText(header: string, body: string, key: KeyObject = serverKey): string {
  const signed = `${base64url(utf8(header))}.${base64url(utf8(body))}`
  return `${signed}.${base64url(ed25519Sign(key, utf8(signed)))}`
}

function jwt(changes: Changes = {}): string {
  const header = { typ: 'JWT', alg: 'ed25519-nkey', ...changes.header }
  return signText(JSON.stringify(header), JSON.stringify(bodyOf(changes)), changes.key)
}

function open(token: string | Uint8Array, options: { rules?: Partial<Rules>; now?: Date; xkey?: XkeyPort | null; serverXkey?: string } = {}) {
  const payload = typeof token === 'string' ? utf8(token) : token
  return openRequest(
    { payload, serverXkey: options.serverXkey ?? '' },
    { rules: { ...rules, ...options.rules }, xkey: options.xkey ?? null, now: options.now ?? now },
  )
}

function reason(result: ReturnType<typeof open>): string {
  return result.ok ? 'accepted' : result.denial
}

describe('a genuine request', () => {
  test('is read', () => {
    const opened = open(jwt())
    assert.ok(opened.ok)
    assert.deepEqual(opened.value, {
      serverId, serverName: 'nats-1', cluster: 'c1', sealedFor: null, userNkey, clientId: 42, clientHost: '192.0.2.7', clientName: 'orders',
      clientType: 'nats', nonce: 'O2VRyWtLHNKhBnU', sig: 'x', nkey: '', tls: false, iat: seconds, exp: seconds + 5,
    })
  })

  test('signed by nkeys.js itself is read', () => {
    const signed = `${base64url(utf8('{"typ":"JWT","alg":"ed25519-nkey"}'))}.${base64url(utf8(JSON.stringify(bodyOf())))}`
    assert.equal(reason(open(`${signed}.${base64url(serverPair.sign(utf8(signed)))}`)), 'accepted')
  })

  test('over WebSocket and TLS says so', () => {
    const opened = open(jwt({ client: { type: 'websocket' }, nats: { client_tls: { version: '1.3' } } }))
    assert.ok(opened.ok)
    assert.deepEqual({ type: opened.value.clientType, tls: opened.value.tls }, { type: 'websocket', tls: true })
  })

  test('that leaves out what is optional has empty texts, no cluster, no TLS', () => {
    const nothing = { name: undefined, cluster: undefined }
    const opened = open(jwt({ server: nothing, client: { nonce: undefined, host: undefined }, connect: { sig: undefined, nkey: undefined, name: undefined } }))
    assert.ok(opened.ok)
    const { serverName, cluster, nonce, sig, nkey, clientName, clientHost, tls } = opened.value
    assert.deepEqual({ serverName, cluster, nonce, sig, nkey, clientName, clientHost, tls }, {
      serverName: '', cluster: null, nonce: '', sig: '', nkey: '', clientName: '', clientHost: '', tls: false,
    })
  })

  test('with texts that are no texts reads them as empty, and long ones as cut', () => {
    const opened = open(jwt({ connect: { sig: 5, nkey: {}, name: 'n'.repeat(1000) }, client: { nonce: ['x'], host: null }, nats: { client_tls: 'yes' } }))
    assert.ok(opened.ok)
    assert.deepEqual({ sig: opened.value.sig, nkey: opened.value.nkey, nonce: opened.value.nonce, host: opened.value.clientHost, tls: opened.value.tls }, {
      sig: '', nkey: '', nonce: '', host: '', tls: false,
    })
    assert.equal(opened.value.clientName.length, 256)
  })

  test('from a listed server is read', () => {
    const id = parseServerId(serverId)
    assert.ok(id)
    assert.equal(reason(open(jwt(), { rules: { serverIds: [id] } })), 'accepted')
  })

  test('keeps being read while more server keys come by than are remembered', () => {
    for (let i = 0; i < 1030; i++) {
      const key = generateKeyPairSync('ed25519').privateKey
      const id = encodePublicNkey('N', ed25519RawPublic(key))
      assert.equal(reason(open(jwt({ key, body: { iss: id }, server: { id } }))), 'accepted')
    }
    assert.equal(reason(open(jwt())), 'accepted')
  })
})

describe('a request that no server of ours sent', () => {
  test('is request_signature_invalid when any byte that was signed differs', () => {
    const [header, , signature] = jwt().split('.') as [string, string, string]
    const forged = base64url(utf8(JSON.stringify(bodyOf({ client: { id: 43 } }))))
    assert.equal(reason(open(`${header}.${forged}.${signature}`)), 'request_signature_invalid')
    assert.equal(reason(open(jwt({ key: strangerKey }))), 'request_signature_invalid')
    const zeros = base64url(new Uint8Array(64))
    assert.equal(reason(open(`${jwt().split('.').slice(0, 2).join('.')}.${zeros}`)), 'request_signature_invalid')
  })

  test('is request_readdressed when its issuer is not the server it speaks of', () => {
    assert.equal(reason(open(jwt({ key: strangerKey, body: { iss: strangerId } }))), 'request_readdressed')
    assert.equal(reason(open(jwt({ server: { id: strangerId } }))), 'request_readdressed')
    assert.equal(reason(open(jwt({ server: { id: undefined } }))), 'request_readdressed')
    assert.equal(reason(open(jwt({ nats: { server_id: serverId } }))), 'request_readdressed')
  })

  test('is request_readdressed when it was made for another audience', () => {
    for (const aud of ['nats-authorization-response', 'APP', '', null, undefined, ['nats-authorization-request'], serverId]) {
      assert.equal(reason(open(jwt({ body: { aud } }))), 'request_readdressed')
    }
  })

  test('is request_server_unknown when the server is not listed, though it signs rightly', () => {
    const id = parseServerId(strangerId)
    assert.ok(id)
    assert.equal(reason(open(jwt(), { rules: { serverIds: [id] } })), 'request_server_unknown')
    assert.equal(reason(open(jwt(), { rules: { serverIds: [] } })), 'request_server_unknown')
  })

  test('is request_malformed when the issuer is no server', () => {
    const user = generateKeyPairSync('ed25519').privateKey
    for (const kind of ['U', 'A', 'O', 'X'] as const) {
      const iss = encodePublicNkey(kind, ed25519RawPublic(user))
      assert.equal(reason(open(jwt({ key: user, body: { iss }, server: { id: iss } }))), 'request_malformed')
    }
    for (const iss of ['', null, undefined, 5, serverId.toLowerCase(), `${serverId}A`, [serverId]]) {
      assert.equal(reason(open(jwt({ body: { iss } }))), 'request_malformed')
    }
  })
})

describe('validity', () => {
  const at = (iat: unknown, exp: unknown, more: Members = {}) => reason(open(jwt({ body: { iat, exp, ...more } })))

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
    for (const user of [undefined, null, '', serverId, `${userNkey}A`, 5]) assert.equal(reason(open(jwt({ nats: { user_nkey: user } }))), 'request_malformed')
    for (const info of [undefined, null, 'x', []]) assert.equal(reason(open(jwt({ nats: { client_info: info } }))), 'request_malformed')
  })

  test('is not judged before the signature: a forged leafnode is a forgery', () => {
    assert.equal(reason(open(jwt({ client: { kind: 'Leafnode' }, key: strangerKey }))), 'request_signature_invalid')
  })
})

describe('what is no authorization request is request_malformed', () => {
  const good = jwt()
  const [header, body, signature] = good.split('.') as [string, string, string]
  const head = '{"typ":"JWT","alg":"ed25519-nkey"}'
  const text = JSON.stringify(bodyOf())
  const cases: [string, string | Uint8Array][] = [
    ['no bytes', ''],
    ['one part', header],
    ['two parts', `${header}.${body}`],
    ['four parts', `${good}.${signature}`],
    ['only dots', '..'],
    ['an empty signature', `${header}.${body}.`],
    ['a signature of 63 bytes', `${header}.${body}.${base64url(new Uint8Array(63))}`],
    ['a signature of 65 bytes', `${header}.${body}.${base64url(new Uint8Array(65))}`],
    ['a padded signature', `${good}==`],
    ['a signature with a stray bit', `${header}.${body}.${'A'.repeat(85)}B`],
    ['a padded header', `${header}=.${body}.${signature}`],
    ['space around it', ` ${good} `],
    ['a byte that is not UTF-8', new Uint8Array([...utf8(good).subarray(0, 10), 0xff, ...utf8(good).subarray(11)])],
    ['text outside ASCII', `${header}.é.${signature}`],
    ['a sealed message where no xkey is configured', new Uint8Array([...utf8('xkv1'), ...randomBytes(100)])],
    ['random bytes', new Uint8Array(randomBytes(2000))],
    ['64 KiB of brackets', signText(head, '['.repeat(20_000))],
    ['a body that is a list', signText(head, `[${text}]`)],
    ['a body that is null', signText(head, 'null')],
    ['a truncated body', signText(head, text.slice(0, -1))],
    ['a body with a byte order mark', signText(head, `\ufeff${text}`)],
    ['a repeated member', signText(head, text.replace('"exp":', '"exp":1,"exp":'))],
    ['a repeated member written with an escape', signText(head, text.replace('"exp":', '"\\u0065xp":1,"exp":'))],
    ['a repeated member deep inside', signText(head, text.replace('"nonce":', '"nonce":"a","nonce":'))],
    ['a repeated nats', signText(head, `${text.slice(0, -1)},"nats":{}}`)],
    ['deep nesting', signText(head, text.replace('"jti":"X"', `"jti":${'['.repeat(50)}${']'.repeat(50)}`))],
    ['a repeated header member', signText('{"typ":"JWT","alg":"none","alg":"ed25519-nkey"}', text)],
    ['a header that is a text', signText('"JWT"', text)],
    ['a body behind __proto__', signText(head, `{"__proto__":${text}}`)],
  ]
  for (const [what, token] of cases) test(what, () => assert.equal(reason(open(token)), 'request_malformed'))

  const headers: Members[] = [{ alg: 'none' }, { alg: 'ed25519' }, { alg: 'EdDSA' }, { alg: 'HS256' }, { alg: undefined }, { typ: 'jwt' }, { typ: undefined }, { alg: ['ed25519-nkey'] }]
  for (const changed of headers) {
    test(`header ${JSON.stringify(changed)}`, () => assert.equal(reason(open(jwt({ header: changed }))), 'request_malformed'))
  }
  for (const type of ['authorization_response', 'user', '', undefined, null]) {
    test(`claims of type ${type}`, () => assert.equal(reason(open(jwt({ nats: { type } }))), 'request_malformed'))
  }
  for (const nats of [undefined, null, 'x', []]) {
    test(`nats ${JSON.stringify(nats)}`, () => assert.equal(reason(open(signText(head, JSON.stringify({ ...bodyOf(), nats })))), 'request_malformed'))
  }
})

test('a request over 64 KiB is request_oversized, unread', () => {
  assert.equal(reason(open(new Uint8Array(64 * 1024 + 1))), 'request_oversized')
  assert.equal(reason(open(jwt({ connect: { user: 'u'.repeat(70_000) } }))), 'request_oversized')
  assert.equal(reason(open(new Uint8Array(64 * 1024))), 'request_malformed')
  assert.equal(reason(open(jwt({ connect: { user: 'u'.repeat(30_000) } }))), 'accepted')
})

describe('where an xkey is configured', () => {
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
    for (const header of ['', 'x', serverId, userNkey, serverXkey.toLowerCase(), `${serverXkey}A`, '\0'.repeat(56)]) {
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
    assert.equal(reason(open(seal(jwt({ key: strangerKey })), { xkey, serverXkey })), 'request_signature_invalid')
    assert.equal(reason(open(new Uint8Array([...utf8('xkv1'), 0xff, 0xfe]), { xkey, serverXkey })), 'request_malformed')
  })
})

describe('random and mutated requests', () => {
  const good = jwt()
  const raw = utf8(good)

  // A changed byte must break the signature or the form; only the very same bytes are accepted.
  function check(payload: Uint8Array): void {
    const opened = open(payload)
    if (opened.ok) assert.deepEqual(payload, raw)
    else assert.ok(opened.denial in DENIALS && DENIALS[opened.denial].stage === 'open')
  }

  test('never throw and are never accepted: 20,000 random byte strings', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string().map(utf8)), (payload) => check(payload)),
      { numRuns: 20_000 },
    )
  })

  test('never throw and are never accepted: 20,000 changes, cuts and additions to a good request', () => {
    const mutation = fc.record({ at: fc.nat(raw.length), drop: fc.nat(8), insert: fc.uint8Array({ maxLength: 8 }) })
    fc.assert(
      fc.property(mutation, ({ at, drop, insert }) => check(new Uint8Array([...raw.subarray(0, at), ...insert, ...raw.subarray(at + drop)]))),
      { numRuns: 20_000 },
    )
  })

  test('never throw and are never accepted: 10,000 unsigned bodies of random JSON', () => {
    const parts = fc.record(
      { iss: fc.oneof(fc.constant(serverId), fc.jsonValue()), aud: fc.oneof(fc.constant('nats-authorization-request'), fc.jsonValue()), iat: fc.oneof(fc.constant(seconds), fc.jsonValue()), exp: fc.oneof(fc.constant(seconds + 5), fc.jsonValue()), nats: fc.oneof(fc.constant(bodyOf()['nats']), fc.jsonValue()) },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(parts, fc.uint8Array({ minLength: 64, maxLength: 64 }), (body, signature) => {
        check(utf8(`${good.split('.')[0]}.${base64url(utf8(JSON.stringify(body)))}.${base64url(signature)}`))
      }),
      { numRuns: 10_000 },
    )
  })

  test('never throw when signed by a real server, whatever it says', () => {
    const anyParts = fc.dictionary(fc.constantFrom('server_id', 'user_nkey', 'client_info', 'connect_opts', 'client_tls', 'type', '__proto__'), fc.jsonValue())
    fc.assert(
      fc.property(anyParts, (nats) => {
        const opened = open(jwt({ nats }))
        if (!opened.ok) assert.equal(DENIALS[opened.denial].stage, 'open')
      }),
      { numRuns: 2000 },
    )
  })
})
