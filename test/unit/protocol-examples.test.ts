import assert from 'node:assert/strict'
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { protocolExamples } from '../../scripts/protocol-examples.ts'
import { DENIALS } from '../../src/core/denial.ts'
import { canonicalServerUrl, parseServerUrl } from '../../src/core/identifiers.ts'
import { connectChallenge } from '../../src/core/protocol.ts'
import { sha256 } from '../../src/core/sha256.ts'

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')
const examples = protocolExamples()

/** `name = value` lines of the page's text blocks. */
function documented(): [string, string][] {
  const blocks = page.split('```').filter((_, i) => i % 2 === 1 && page.split('```')[i]?.startsWith('text\n'))
  return blocks
    .flatMap((block) => block.split('\n').slice(1))
    .flatMap((line) => {
      const match = /^([a-z0-9_.-]+) = (.*)$/.exec(line)
      return match === null ? [] : [[match[1] as string, match[2] as string] as [string, string]]
    })
}

const said = new Map(documented())
const value = (name: string): string => {
  const text = said.get(name)
  assert.ok(text !== undefined, name)
  return text
}
const bytes = (name: string): Buffer => Buffer.from(value(name), 'hex')

describe('docs/protocol.md', () => {
  test('says exactly what core computes, all of it, each once', () => {
    assert.deepEqual(Object.fromEntries(said), examples)
    assert.equal(documented().length, said.size)
  })

  test('names only denial reasons that exist', () => {
    const named = [...page.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map((match) => match[1] as string)
    const reasons = named.filter(
      (name) => /^(sig|url|nkey|nonce|sign|session|credential|connection|challenge|origin)_/.test(name) && name !== 'sign_in',
    )
    assert.ok(reasons.length > 5)
    for (const reason of reasons) assert.ok(reason in DENIALS, reason)
  })

  test('shows canonical addresses that are canonical, and others that are not', () => {
    const section = page.slice(page.indexOf('## 3.'), page.indexOf('## 4.'))
    const rows = [...section.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map((match) => [match[1] as string, match[2] as string] as const)
    const good = rows.filter(([, right]) => right.startsWith('`'))
    const bad = rows.filter(([, right]) => !right.startsWith('`'))
    assert.ok(good.length >= 6 && bad.length >= 15)
    for (const [written, canonical] of good) assert.equal(`\`${canonicalServerUrl(written)}\``, canonical)
    for (const [refused] of bad) assert.equal(parseServerUrl(refused), null, refused)
  })
})

// From here on nothing of core computes: node:crypto and Buffer do, as a third party would.
function lp(...parts: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const content = Buffer.from(part as string)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(content.length)
      return [length, content]
    }),
  )
}

const hash = (data: Buffer | string): Buffer => createHash('sha256').update(data).digest()
const pkcs8 = (seed: Buffer) =>
  createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' })
const jwkEd25519 = (raw: Buffer) => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })

function base32(data: Buffer): string {
  const bits = [...data].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.charAt(Number.parseInt(five.padEnd(5, '0'), 2)))
    .join('')
}

function crc16Xmodem(data: Buffer): number {
  let remainder = 0
  for (const bit of [...data].flatMap((byte) => [...byte.toString(2).padStart(8, '0')].map(Number))) {
    const carry = (remainder >> 15) ^ bit
    remainder = ((remainder << 1) & 0xffff) ^ (carry ? 0x1021 : 0)
  }
  return remainder
}

describe('a second computation, without core, comes to the same', () => {
  const nonce = 'O2VRyWtLHNKhBnU'
  const url = 'tls://nats.example.com:4222'
  const session = pkcs8(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))
  const machine = pkcs8(Buffer.from(Array.from({ length: 32 }, (_, i) => 0x20 + i)))
  const rawSession = Buffer.from(createPublicKey(session).export({ format: 'jwk' }).x ?? '', 'base64url')
  const body = Buffer.concat([Buffer.from([0xa0]), rawSession])
  const crc = crc16Xmodem(body)
  const nkey = base32(Buffer.concat([body, Buffer.from([crc & 0xff, crc >> 8])]))

  test('for the inputs', () => {
    assert.equal(value('nonce'), nonce)
    assert.equal(value('url'), url)
    assert.equal(value('nkey'), nkey)
    assert.equal(value('session.seed'), session.export({ format: 'der', type: 'pkcs8' }).subarray(-32).toString('hex'))
    assert.equal(value('ed25519.seed'), machine.export({ format: 'der', type: 'pkcs8' }).subarray(-32).toString('hex'))
    assert.equal(
      value('ed25519.public'),
      Buffer.from(createPublicKey(machine).export({ format: 'jwk' }).x ?? '', 'base64url').toString('hex'),
    )
    assert.equal(value('ed25519.cose'), `a4010103272006215820${value('ed25519.public')}`)
    assert.equal(value('es256.cose'), `a5010203262001215820${value('es256.x')}225820${value('es256.y')}`)
  })

  test('for the framing', () => {
    assert.equal(value('lp.empty'), lp('').toString('hex'))
    assert.equal(value('lp.cafe'), lp('café').toString('hex'))
  })

  const forms = [
    ['connect', '', ''],
    ['connect.nkey', nkey, ''],
    ['connect.nkey.plain', nkey, 'plain'],
  ] as const
  for (const [name, key, plain] of forms) {
    test(`for the challenge ${name}`, () => {
      const framed = lp('nats-webauthn/connect/v1', nonce, url, key, plain)
      assert.equal(value(`${name}.framed`), framed.toString('hex'))
      assert.equal(value(`${name}.challenge`), hash(framed).toString('hex'))
      assert.deepEqual(Buffer.from(connectChallenge(sha256, { nonce, url, nkey: key, plain: plain === 'plain' })), hash(framed))
    })
  }

  function assertionFor(challenge: Buffer) {
    const clientData = `{"type":"webauthn.get","challenge":"${challenge.toString('base64url')}","origin":"nats-webauthn://machine","crossOrigin":false}`
    const authenticatorData = Buffer.concat([hash('machines.nats.example.com'), Buffer.from('0800000000', 'hex')])
    const signed = Buffer.concat([authenticatorData, hash(clientData)])
    const signature = sign(null, signed, machine)
    const id = Buffer.from(Array.from({ length: 16 }, (_, i) => 0xa0 + i)).toString('base64url')
    const userHandle = Buffer.from(Array.from({ length: 16 }, (_, i) => 0xb0 + i)).toString('base64url')
    const response = {
      clientDataJSON: Buffer.from(clientData).toString('base64url'),
      authenticatorData: authenticatorData.toString('base64url'),
      signature: signature.toString('base64url'),
      userHandle,
    }
    return {
      clientData,
      authenticatorData,
      signed,
      signature,
      json: { id, rawId: id, type: 'public-key', response, clientExtensionResults: {} },
    }
  }

  test('for the assertion', () => {
    const made = assertionFor(bytes('connect.challenge'))
    assert.equal(value('assertion.client_data'), made.clientData)
    assert.equal(value('assertion.client_data.sha256'), hash(made.clientData).toString('hex'))
    assert.equal(value('assertion.rp_id.sha256'), hash(value('rp_id')).toString('hex'))
    assert.equal(value('assertion.authenticator_data'), made.authenticatorData.toString('hex'))
    assert.equal(value('assertion.signed'), made.signed.toString('hex'))
    assert.equal(value('assertion.ed25519.signature'), made.signature.toString('hex'))
    assert.deepEqual(JSON.parse(value('assertion.json')), made.json)
    assert.ok(verify(null, made.signed, jwkEd25519(bytes('ed25519.public')), bytes('assertion.ed25519.signature')))
    const [x, y] = [bytes('es256.x').toString('base64url'), bytes('es256.y').toString('base64url')]
    assert.ok(
      verify(
        'sha256',
        made.signed,
        createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' }),
        bytes('assertion.es256.signature'),
      ),
    )
    const es256 = { ...made.json, response: { ...made.json.response, signature: bytes('assertion.es256.signature').toString('base64url') } }
    assert.deepEqual(JSON.parse(value('assertion.es256.json')), es256)
  })

  test('for the resumes', () => {
    const framed = lp('nats-webauthn/resume/v1', nonce, url, nkey)
    const message = Buffer.concat([Buffer.from([0xff]), hash(framed)])
    assert.equal(value('resume.framed'), framed.toString('hex'))
    assert.equal(value('resume.message'), message.toString('hex'))
    assert.equal(value('resume.signature'), sign(null, message, session).toString('hex'))
    assert.equal(value('resume.signature.base64url'), sign(null, message, session).toString('base64url'))
    assert.equal(value('plain.message'), Buffer.from(nonce).toString('hex'))
    assert.equal(value('plain.signature'), sign(null, Buffer.from(nonce), session).toString('hex'))
  })

  test('for the four forms of sig', () => {
    const read = (name: string): unknown => JSON.parse(Buffer.from(value(name), 'base64url').toString())
    const resume = bytes('resume.signature').toString('base64url')
    assert.deepEqual(read('sig.proof'), { v: 1, url, assertion: assertionFor(bytes('connect.challenge')).json })
    assert.deepEqual(read('sig.endorsing'), { v: 1, url, assertion: assertionFor(bytes('connect.nkey.challenge')).json, resume })
    assert.deepEqual(read('sig.endorsing.plain'), {
      v: 1,
      url,
      assertion: assertionFor(bytes('connect.nkey.plain.challenge')).json,
      resume,
      plain: true,
    })
    assert.deepEqual(read('sig.bound'), { v: 1, url, resume })
    assert.deepEqual(JSON.parse(value('sig.bound.json')), { v: 1, url, resume })
    assert.equal(value('sig.plain'), bytes('plain.signature').toString('base64url'))
    assert.equal(value('sig.plain.base64'), bytes('plain.signature').toString('base64'))
    const connect = JSON.parse(value('connect.line').replace(/^CONNECT /, '')) as Record<string, unknown>
    assert.deepEqual([connect['nkey'], connect['sig']], [nkey, value('sig.bound')])
  })

  test('for the HTTP ceremonies', () => {
    const issued = Buffer.from(Array.from({ length: 32 }, (_, i) => 0x60 + i))
    const origin = 'https://verifier.example.com'
    assert.equal(value('ceremony.issued'), issued.toString('hex'))
    assert.equal(value('ceremony.origin'), origin)
    assert.equal(value('ceremony.ticket.id'), hash(value('ceremony.ticket')).toString('base64url'))
    const subjects = { enrol: value('ceremony.ticket.id'), 'enrol-possession': value('credential.id'), session: `${nkey}\nplain` }
    for (const [purpose, subject] of Object.entries(subjects)) {
      const framed = lp(`nats-webauthn/${purpose}/v1`, issued, origin, subject)
      assert.equal(value(`ceremony.${purpose}.framed`), framed.toString('hex'))
      assert.equal(value(`ceremony.${purpose}.challenge`), hash(framed).toString('hex'))
    }
    const framed = Buffer.concat([lp('nats-webauthn/possess/v1'), bytes('ceremony.session.challenge')])
    const message = Buffer.concat([Buffer.from([0xff]), hash(framed)])
    assert.equal(value('possession.framed'), framed.toString('hex'))
    assert.equal(value('possession.message'), message.toString('hex'))
    assert.equal(value('possession.signature'), sign(null, message, session).toString('hex'))
  })
})
