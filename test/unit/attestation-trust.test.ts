/** Attestations of every format, how far each is trusted, and that nobody is asked about them over the network. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { RegistrationResponseJSON } from '@simplewebauthn/server'
import { SettingsService } from '@simplewebauthn/server'
import type { MetadataEntry } from '../../src/core/people/people.ts'
import { verifyPersonRegistration } from '../../src/core/people/person-registration.ts'
import { gradeTrust, REFUSED_STATUSES } from '../../src/core/webauthn/attestation-trust.ts'
import {
  aaguidExtension,
  androidLeaf,
  androidStatement,
  appleStatement,
  attestationRoot,
  attested,
  type CertificateChange,
  PACKED_SUBJECT,
  packedStatement,
  type TestIssuer,
  tpmStatement,
  u2fStatement,
} from '../support/attestation.ts'
import { b64u, FLAGS, testKey } from '../support/test-authenticator.ts'
import { testRegistration } from '../support/test-registration.ts'

const rpId = 'nats.example.com'
const origin = 'https://nats.example.com'
const AAGUID = '0102030a-0000-4000-8000-00000000abcd'
const challenge = randomBytes(32)
const key = testKey(-7)
const expected = { challenge, rpId, origin, algorithms: [-7, -8, -257], requireUserVerification: true }
const now = new Date()

/** A registration with `none`, for the makers of statements. */
function plain(aaguid = AAGUID): RegistrationResponseJSON {
  return testRegistration({
    key,
    credentialId: b64u(randomBytes(32)),
    challenge,
    rpId,
    origin,
    flags: FLAGS.AT | FLAGS.UP | FLAGS.UV,
    aaguid: Buffer.from(aaguid.replaceAll('-', ''), 'hex'),
    fmt: 'none',
    statement: () => new Map(),
  }) as RegistrationResponseJSON
}

/** `check`, or the trust that `entry` gives. */
async function outcome(response: unknown, entry: MetadataEntry | null = null, at = now): Promise<string> {
  const verified = await verifyPersonRegistration(response, expected)
  return verified.ok ? gradeTrust(verified.value, entry, at) : verified.check
}

function entryOf(...roots: Uint8Array[]): MetadataEntry {
  return { description: 'Test Key', statuses: ['FIDO_CERTIFIED'], roots: roots.map((der) => Buffer.from(der).toString('base64')) }
}

const packedLeaf = (issuer: TestIssuer, change: CertificateChange = {}) => issuer.issue({ subject: PACKED_SUBJECT, ...change })

/** A packed attestation by a leaf under `root`. */
async function packed(root: TestIssuer, change: CertificateChange = {}) {
  const leaf = await packedLeaf(root, change)
  return attested(plain(), 'packed', (signed) => packedStatement(signed, leaf))
}

describe('an attestation', () => {
  let root: TestIssuer
  before(async () => {
    root = await attestationRoot()
  })

  test('of none is trusted for nothing', async () => assert.equal(await outcome(plain(), entryOf(root.der)), 'none'))
  test('of none with a statement is refused', async () => {
    const response = await attested(plain(), 'none', () => new Map([['sig', new Uint8Array(4)]]))
    assert.equal(await outcome(response), 'attestation_refused')
  })
  test('by the key itself is self, whatever metadata knows', async () => {
    const self = testRegistration({
      key,
      credentialId: b64u(randomBytes(32)),
      challenge,
      rpId,
      origin,
      flags: FLAGS.AT | FLAGS.UP | FLAGS.UV,
    })
    assert.equal(await outcome(self), 'self')
    assert.equal(await outcome(self, entryOf(root.der)), 'self')
  })
  test('by the key itself is refused with the signature of another key', async () => {
    const response = await attested(plain(), 'packed', () => {
      return new Map<string, unknown>([
        ['alg', -7],
        ['sig', new Uint8Array(70)],
      ])
    })
    assert.equal(await outcome(response), 'signature_invalid')
  })

  const formats: Record<string, (issuer: TestIssuer) => Promise<RegistrationResponseJSON>> = {
    packed,
    tpm: (issuer) => attested(plain(), 'tpm', (signed) => tpmStatement(signed, key, issuer)),
    apple: (issuer) => attested(plain(), 'apple', (signed) => appleStatement(signed, key, issuer)),
    'android-key': (issuer) =>
      attested(plain(), 'android-key', async (signed) =>
        androidStatement(signed, key, [(await androidLeaf(issuer, key, signed)).der, issuer.der]),
      ),
  }
  for (const [format, make] of Object.entries(formats)) {
    test(`of ${format} is attested, and by metadata's root it is mds`, async () => {
      const response = await make(root)
      assert.equal(await outcome(response), 'attested')
      assert.equal(await outcome(response, entryOf(root.der)), 'mds')
      const other = await attestationRoot()
      assert.equal(await outcome(response, entryOf(other.der)), 'attested', 'a root of the same name and another key')
      assert.equal(await outcome(response, entryOf()), 'attested', 'a model without roots')
    })
    test(`of ${format} is refused when it is about another ceremony`, async () => {
      const response = await make(root)
      const moved = { ...response, response: { ...plain().response, attestationObject: response.response.attestationObject } }
      const clientDataJSON = Buffer.from(response.response.clientDataJSON, 'base64url').toString().replace('{', '{"more":1,')
      moved.response.clientDataJSON = b64u(Buffer.from(clientDataJSON))
      assert.equal(await outcome(moved), 'attestation_refused')
    })
    test(`of ${format} is refused without its certificate`, async () => {
      for (const x5c of [undefined, [], 'x5c', [new Uint8Array([0x30, 0])], [1]]) {
        const response = await make(root)
        const without = await attested(
          response,
          format,
          () =>
            new Map<string, unknown>([
              ['alg', -7],
              ['sig', new Uint8Array(70)],
              ['ver', '2.0'],
              ...(x5c === undefined ? [] : [['x5c', x5c] as [string, unknown]]),
            ]),
        )
        assert.notEqual(await outcome(without), 'attested')
        assert.match(await outcome(without), /^(attestation_refused|signature_invalid)$/)
      }
    })
  }

  test('of fido-u2f names no model, so it is attested at best', async () => {
    const zero = '00000000-0000-0000-0000-000000000000'
    const response = await attested(plain(zero), 'fido-u2f', async (signed) => u2fStatement(signed, key, await root.issue()))
    assert.equal(await outcome(response), 'attested')
    const forged = await attested(plain(AAGUID), 'fido-u2f', async (signed) => u2fStatement(signed, key, await root.issue()))
    assert.equal(await outcome(forged), 'attestation_refused')
  })
  for (const format of ['android-safetynet', 'compound', 'Packed', '']) {
    test(`of "${format}" is refused`, async () => {
      assert.equal(await outcome(await attested(plain(), format, () => new Map())), 'attestation_refused')
    })
  }
  test('with more certificates than a chain may have is refused', async () => {
    const leaf = await packedLeaf(root)
    const response = await attested(plain(), 'packed', (signed) => packedStatement(signed, leaf, Array(8).fill(root.der)))
    assert.equal(await outcome(response), 'attestation_refused')
  })
  test('with a certificate whose extensions can be read in two ways is refused', async () => {
    const leaf = await packedLeaf(root, { extensions: [aaguidExtension(AAGUID), aaguidExtension('ffffffff-ffff-ffff-ffff-ffffffffffff')] })
    const response = await attested(plain(), 'packed', (signed) => packedStatement(signed, leaf))
    assert.equal(await outcome(response), 'attestation_refused')
  })
  test('is never accepted with any one byte of its object changed', async () => {
    const response = await packed(root, { extensions: [aaguidExtension(AAGUID)] })
    const object = Buffer.from(response.response.attestationObject, 'base64url')
    for (let at = 0; at < object.length; at += 7) {
      const changed = object.map((byte, index) => (index === at ? byte ^ 0x01 : byte))
      const result = await outcome({ ...response, response: { ...response.response, attestationObject: b64u(changed) } }, entryOf(root.der))
      assert.notEqual(result, 'mds', `byte ${at}`)
    }
  })
})

describe('the model that a certificate names', () => {
  let root: TestIssuer
  before(async () => {
    root = await attestationRoot()
  })
  test('is the one of the authenticator data, or the attestation is refused', async () => {
    assert.equal(await outcome(await packed(root, { extensions: [aaguidExtension(AAGUID)] }), entryOf(root.der)), 'mds')
    const other = await packed(root, { extensions: [aaguidExtension('ffffffff-ffff-ffff-ffff-ffffffffffff')] })
    assert.equal(await outcome(other, entryOf(root.der)), 'attestation_refused')
  })
  test('is not trusted where it is marked critical', async () => {
    const critical = await packed(root, { extensions: [aaguidExtension(AAGUID, true)] })
    assert.notEqual(await outcome(critical, entryOf(root.der)), 'mds')
  })
})

describe('a model of which something bad is known', () => {
  for (const status of REFUSED_STATUSES) {
    test(`is not trusted: ${status}`, async () => {
      const root = await attestationRoot()
      const entry = { ...entryOf(root.der), statuses: ['FIDO_CERTIFIED', status, 'UPDATE_AVAILABLE'] }
      assert.equal(await outcome(await packed(root), entry), 'attested')
    })
  }
})

describe('the network', () => {
  const heard: string[] = []
  const server = createServer((request, response) => {
    heard.push(request.url ?? '')
    response.end()
  })
  let address: string
  before(async () => {
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => server.close())

  test('is never asked for a CRL, whichever certificate of whichever format names one', async () => {
    const crl = (place: string) => ({ crl: `${address}/${place}` })
    const root = await attestationRoot('Root with CRL', crl('root'))
    const intermediate = await root.issue({ ca: true, ...crl('intermediate') })
    const leaf = await packedLeaf(intermediate, crl('leaf'))
    const zero = '00000000-0000-0000-0000-000000000000'
    const android = (chainOf: (leaf: TestIssuer) => TestIssuer[], issuer: TestIssuer, change: CertificateChange) =>
      attested(plain(), 'android-key', async (signed) =>
        androidStatement(
          signed,
          key,
          chainOf(await androidLeaf(issuer, key, signed, change)).map(({ der }) => der),
        ),
      )
    const entry = entryOf(root.der)
    const outcomes = {
      packed: await outcome(
        await attested(plain(), 'packed', (signed) => packedStatement(signed, leaf, [intermediate.der, root.der])),
        entry,
      ),
      tpm: await outcome(await attested(plain(), 'tpm', (signed) => tpmStatement(signed, key, root, crl('tpm'))), entry),
      apple: await outcome(await attested(plain(), 'apple', (signed) => appleStatement(signed, key, root, crl('apple'))), entry),
      u2f: await outcome(
        await attested(plain(zero), 'fido-u2f', async (signed) => u2fStatement(signed, key, await root.issue(crl('u2f')))),
      ),
      'android, named by an intermediate': await outcome(await android((it) => [it, intermediate, root], intermediate, {}), entry),
      'android, named by the certificate': await outcome(await android((it) => [it, root], root, crl('android')), entry),
      'android, named by a root that issued it': await outcome(await android((it) => [it, root], root, {}), entry),
    }
    assert.deepEqual(outcomes, {
      packed: 'mds',
      tpm: 'mds',
      apple: 'mds',
      u2f: 'attested',
      'android, named by an intermediate': 'mds',
      // The library would have asked.
      'android, named by the certificate': 'attestation_refused',
      'android, named by a root that issued it': 'attestation_refused',
    })
    assert.deepEqual(heard, [])
    // The listener does hear: the silence above is not its own.
    await fetch(`${address}/control`)
    assert.deepEqual(heard, ['/control'])
  })

  test("settings of the library are the same after as before, and the roots of FIDO's service untouched", async () => {
    const root = await attestationRoot()
    const roots = () =>
      (['packed', 'fido-u2f', 'tpm', 'android-key', 'apple', 'mds'] as const).map(
        (identifier) => SettingsService.getRootCertificates({ identifier }).length,
      )
    const before = roots()
    assert.deepEqual(await Promise.all([outcome(await packed(root)), outcome(await packed(root), entryOf(root.der))]), ['attested', 'mds'])
    assert.deepEqual(roots(), before)
    assert.deepEqual(before, [0, 0, 0, 0, 0, 2])
  })
})
