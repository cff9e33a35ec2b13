import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AuthorizationRequest } from '../../src/core/authorization-request.ts'
import { parseServerUrl, type ServerId, type ServerUrl, type UserNkey } from '../../src/core/identifiers.ts'
import type { AllowedUrl, Rules } from '../../src/core/rules.ts'
import { checkServerUrl, isLoopbackClient, mayUsePlainSession } from '../../src/core/server-url.ts'

function url(text: string): ServerUrl {
  const parsed = parseServerUrl(text)
  assert.ok(parsed, text)
  return parsed
}

function entry(text: string, pin: Partial<AllowedUrl> = {}): AllowedUrl {
  return { url: url(text), cluster: null, serverName: null, ...pin }
}

function rules(changes: Partial<Rules> = {}): Rules {
  return {
    urls: [entry('tls://nats.example.com:4222')],
    person: null,
    machine: { rpId: 'machines.example.org' },
    serverIds: null,
    algorithms: [-7],
    rolesMaxAgeSeconds: 86_400,
    leewaySeconds: 5,
    behindProxy: false,
    tlsTerminatedUpstream: false,
    dangerouslyAllowPlaintextUrls: false,
    dangerouslyAllowPlainSessionsWithoutTls: false,
    ...changes,
  }
}

function request(changes: Partial<AuthorizationRequest> = {}): AuthorizationRequest {
  return {
    serverId: 'N' as ServerId,
    serverName: 'nats-1',
    cluster: 'east',
    sealedFor: null,
    userNkey: 'U' as UserNkey,
    clientId: 1,
    clientHost: '192.0.2.7',
    clientName: '',
    clientType: 'nats',
    nonce: 'n',
    sig: '',
    nkey: '',
    tls: true,
    iat: 0,
    exp: 5,
    ...changes,
  }
}

function reason(text: string, { asked = request(), by = rules() } = {}): string {
  const checked = checkServerUrl(url(text), asked, by)
  return checked.ok ? 'accepted' : checked.denial
}

describe('the signed address', () => {
  test('is accepted when it is listed, byte for byte', () => {
    assert.equal(reason('tls://nats.example.com:4222'), 'accepted')
  })

  test('is url_not_allowed in any other spelling or place', () => {
    const others = [
      'wss://nats.example.com:4222',
      'nats://nats.example.com:4222',
      'tls://nats.example.com:4223',
      'tls://evil.example:4222',
      'tls://example.com:4222',
      'tls://a.nats.example.com:4222',
      'tls://nats.example.co:4222',
      'tls://192.0.2.1:4222',
    ]
    for (const text of others) assert.equal(reason(text), 'url_not_allowed')
    assert.equal(reason('tls://nats.example.com:4222', { by: rules({ urls: [] }) }), 'url_not_allowed')
  })

  test('does not stand for another address of the same machine', () => {
    const by = rules({ urls: [entry('nats://localhost:4222')] })
    const asked = request({ clientHost: '127.0.0.1' })
    assert.equal(reason('nats://localhost:4222', { asked, by }), 'accepted')
    assert.equal(reason('nats://127.0.0.1:4222', { asked, by }), 'url_not_allowed')
    assert.equal(reason('nats://[::1]:4222', { asked, by }), 'url_not_allowed')
  })

  test('is url_wrong_server when it is pinned to another server or cluster', () => {
    const text = 'tls://nats.example.com:4222'
    const pinned = (pin: Partial<AllowedUrl>) => rules({ urls: [entry(text, pin)] })
    assert.equal(reason(text, { by: pinned({ cluster: 'east' }) }), 'accepted')
    assert.equal(reason(text, { by: pinned({ cluster: 'west' }) }), 'url_wrong_server')
    assert.equal(reason(text, { by: pinned({ cluster: 'east' }), asked: request({ cluster: null }) }), 'url_wrong_server')
    assert.equal(reason(text, { by: pinned({ serverName: 'nats-1' }) }), 'accepted')
    assert.equal(reason(text, { by: pinned({ serverName: 'nats-2' }) }), 'url_wrong_server')
    assert.equal(reason(text, { by: pinned({ cluster: 'east', serverName: 'nats-2' }) }), 'url_wrong_server')
    assert.equal(reason(text, { by: pinned({ cluster: 'west', serverName: 'nats-1' }) }), 'url_wrong_server')
  })

  test('may be listed for several servers', () => {
    const text = 'tls://nats.example.com:4222'
    const by = rules({ urls: [entry(text, { serverName: 'nats-0' }), entry(text, { serverName: 'nats-1' })] })
    assert.equal(reason(text, { by }), 'accepted')
    assert.equal(reason(text, { by, asked: request({ serverName: 'nats-9' }) }), 'url_wrong_server')
  })
})

describe('an address without TLS', () => {
  const urls = [
    entry('nats://localhost:4222'),
    entry('ws://127.0.0.1:8080'),
    entry('nats://[::1]:4222'),
    entry('nats://nats.example.com:4222'),
    entry('ws://nats.example.com:80'),
  ]
  const local = request({ clientHost: '127.0.0.1', tls: false })

  test('is accepted on loopback', () => {
    for (const text of ['nats://localhost:4222', 'ws://127.0.0.1:8080', 'nats://[::1]:4222']) {
      assert.equal(reason(text, { asked: local, by: rules({ urls }) }), 'accepted')
      assert.equal(reason(text, { asked: request({ clientHost: '::1' }), by: rules({ urls }) }), 'accepted')
    }
  })

  test('is url_plaintext when either side is not on loopback', () => {
    assert.equal(reason('nats://localhost:4222', { by: rules({ urls }) }), 'url_plaintext')
    assert.equal(reason('nats://localhost:4222', { asked: request({ clientHost: '' }), by: rules({ urls }) }), 'url_plaintext')
    for (const text of ['nats://nats.example.com:4222', 'ws://nats.example.com:80']) {
      assert.equal(reason(text, { asked: local, by: rules({ urls }) }), 'url_plaintext')
      assert.equal(reason(text, { by: rules({ urls }) }), 'url_plaintext')
    }
  })

  test('is url_plaintext on loopback behind a proxy, where every connection seems local', () => {
    assert.equal(reason('nats://localhost:4222', { asked: local, by: rules({ urls, behindProxy: true }) }), 'url_plaintext')
  })

  test('is url_plaintext even when the server saw TLS: the client did not verify it', () => {
    assert.equal(reason('nats://nats.example.com:4222', { asked: request({ tls: true }), by: rules({ urls }) }), 'url_plaintext')
  })

  test('is accepted anywhere when the deployment dangerously says so, but only if listed', () => {
    const by = rules({ urls, dangerouslyAllowPlaintextUrls: true })
    assert.equal(reason('nats://nats.example.com:4222', { by }), 'accepted')
    assert.equal(reason('nats://evil.example:4222', { by }), 'url_not_allowed')
  })
})

describe('a plain session', () => {
  const may = (asked: Partial<AuthorizationRequest>, by: Partial<Rules> = {}) => mayUsePlainSession(request(asked), rules(by))

  test('needs TLS or loopback', () => {
    assert.equal(may({ tls: true }), true)
    assert.equal(may({ tls: false, clientHost: '127.0.0.1' }), true)
    assert.equal(may({ tls: false, clientHost: '192.0.2.7' }), false)
    assert.equal(may({ tls: false, clientHost: '' }), false)
  })

  test("behind a proxy needs the deployment's word that the client's side is TLS", () => {
    for (const seen of [{ tls: true }, { tls: false, clientHost: '127.0.0.1' }]) {
      assert.equal(may(seen, { behindProxy: true }), false)
      assert.equal(may(seen, { behindProxy: true, tlsTerminatedUpstream: true }), true)
    }
    assert.equal(may({ tls: false }, { tlsTerminatedUpstream: true }), false)
  })

  test('is used anywhere when the deployment dangerously says so', () => {
    assert.equal(may({ tls: false }, { dangerouslyAllowPlainSessionsWithoutTls: true }), true)
    assert.equal(may({ tls: false }, { dangerouslyAllowPlainSessionsWithoutTls: true, behindProxy: true }), true)
  })
})

test('a loopback source means this machine only when no proxy stands between', () => {
  assert.equal(isLoopbackClient(request({ clientHost: '127.0.0.1' }), rules()), true)
  assert.equal(isLoopbackClient(request({ clientHost: '127.0.0.1' }), rules({ behindProxy: true })), false)
  assert.equal(isLoopbackClient(request({ clientHost: '192.0.2.7' }), rules()), false)
})
