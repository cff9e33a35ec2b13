import assert from 'node:assert/strict'
import type { RegistrationResponseJSON } from '@simplewebauthn/server'
import { verifyPersonRegistration } from '../../src/core/people/person-registration.ts'
import { sha256 } from '../../src/core/sha256.ts'
import { gradeTrust } from '../../src/core/webauthn/attestation-trust.ts'
import { REGISTRATION_CHECKS } from '../../src/core/webauthn/registration-checks.ts'
import { attestationRoot, attested, PACKED_SUBJECT, packedStatement, u2fStatement } from '../support/attestation.ts'
import { softwarePasskey } from '../support/passkey.ts'
import { b64u } from '../support/test-authenticator.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const ORIGIN = 'https://nats.example.com'
const challenge = sha256(new Uint8Array(32))
const expected = { challenge, rpId: 'nats.example.com', origin: ORIGIN, algorithms: [-7, -8, -257], requireUserVerification: true }
const passkey = softwarePasskey({ origin: ORIGIN })
let sound: RegistrationResponseJSON | null = null
let root = new Uint8Array(0)
const genuine = new Set<string>()

function created(change: Parameters<typeof passkey.create>[1] = {}): RegistrationResponseJSON {
  const options = {
    challenge: b64u(challenge),
    rp: { id: expected.rpId, name: 'test' },
    user: { id: b64u('user'), name: 'a', displayName: 'a' },
    pubKeyCredParams: [],
  }
  return passkey.create(options, change)
}

/** Attestation objects: refused by a registered check, or believed; and no more trusted than what its certificates signed. */
export const attestation: FuzzTarget = {
  name: 'attestation',
  async seeds() {
    const issuer = await attestationRoot()
    const leaf = await issuer.issue({ subject: PACKED_SUBJECT })
    root = Uint8Array.from(issuer.der)
    const self = softwarePasskey({ origin: ORIGIN, attestation: 'self' })
    self.id = passkey.id
    self.key = passkey.key
    sound = created()
    const options = {
      challenge: b64u(challenge),
      rp: { id: expected.rpId, name: 'test' },
      user: { id: b64u('user'), name: 'a', displayName: 'a' },
      pubKeyCredParams: [],
    }
    const packed = await attested(created(), 'packed', (signed) => packedStatement(signed, leaf, [issuer.der]))
    const u2f = await attested(created({ aaguid: new Uint8Array(16) }), 'fido-u2f', (signed) => u2fStatement(signed, passkey.key, leaf))
    for (const { response } of [packed, u2f]) genuine.add(response.attestationObject)
    return [sound, self.create(options), packed, u2f].map(
      ({ response }) => new Uint8Array(Buffer.from(response.attestationObject, 'base64url')),
    )
  },
  dictionary: ['cfmt', 'gattStmt', 'hauthData', 'packed', 'none', 'fido-u2f', 'android-key', 'apple', 'tpm', 'cx5c', 'csig', 'calg'],
  shape: 'bytes',
  async run(input) {
    if (sound === null) throw new Error('running a target without its seeds')
    const attestationObject = b64u(input)
    const registered = await verifyPersonRegistration({ ...sound, response: { ...sound.response, attestationObject } }, expected)
    if (!registered.ok) return assert.ok(Object.hasOwn(REGISTRATION_CHECKS, registered.check))
    const { id, publicKey, statement, aaguid } = registered.value
    assert.equal(id, passkey.id)
    assert.ok(publicKey.length > 0)
    const entry = { description: '', statuses: [], roots: [Buffer.from(root).toString('base64')] }
    const trust = gradeTrust({ statement, aaguid }, entry, new Date())
    // Without a signature anybody can say anything; whoever is believed more has signed exactly this.
    if (statement.format === 'none') assert.equal(trust, 'none')
    else if (!statement.isSelf && trust === 'mds')
      assert.ok(genuine.has(attestationObject) || signedTheSame(attestationObject), 'trusted and bent')
  },
}

/** What is not signed may differ: certificates behind the first, of which the chain needs fewer. */
function signedTheSame(attestationObject: string): boolean {
  const bytes = Buffer.from(attestationObject, 'base64url')
  return [...genuine].some((one) => {
    const whole = Buffer.from(one, 'base64url')
    return bytes.includes(whole.subarray(whole.indexOf('hauthData') + 10)) || whole.subarray(-100).equals(bytes.subarray(-100))
  })
}
