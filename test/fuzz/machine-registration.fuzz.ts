import assert from 'node:assert/strict'
import { sha256 } from '../../src/core/sha256.ts'
import { verifyMachineRegistration } from '../../src/core/webauthn/registration.ts'
import { REGISTRATION_CHECKS } from '../../src/core/webauthn/registration-checks.ts'
import { fixed } from '../support/scenario.ts'
import { b64u, testKey } from '../support/test-authenticator.ts'
import { testRegistration } from '../support/test-registration.ts'
import { bytesOf, type FuzzTarget, textOf } from './fuzz-target.ts'

const expected = { challenge: sha256(new Uint8Array(32)), rpId: 'machines.nats.test', algorithms: [-7, -8, -257] }
const sound = ([-7, -8, -257] as const).map((alg) =>
  testRegistration({ ...expected, key: testKey(alg), credentialId: b64u(fixed(`machine ${alg}`)) }),
)
const signedParts = new Set(sound.map(({ id, response }) => [id, response.clientDataJSON, authDataIn(response.attestationObject)].join()))

/** Responses as JSON: refused by a registered check, or all that the key signed is there byte for byte. */
export const machineRegistration: FuzzTarget = {
  name: 'machine-registration',
  seeds: () => sound.map((response) => bytesOf(JSON.stringify(response))),
  dictionary: [
    '"transports":["usb"]',
    '"publicKeyAlgorithm":-7',
    '"attestationObject":',
    '"clientDataJSON":',
    '"rawId":',
    '"authenticatorAttachment":null',
  ],
  shape: 'json',
  async run(input) {
    const registered = await verifyMachineRegistration(jsonOf(textOf(input)), expected)
    if (!registered.ok) {
      assert.ok(Object.hasOwn(REGISTRATION_CHECKS, registered.check))
      return
    }
    const { id, response } = JSON.parse(textOf(input)) as (typeof sound)[number]
    assert.ok(signedParts.has([id, response.clientDataJSON, authDataIn(response.attestationObject)].join()))
  },
}

function authDataIn(attestationObject: string): string {
  const bytes = Buffer.from(attestationObject, 'base64url')
  const at = bytes.indexOf('hauthData') + 9
  return bytes.subarray(at, at + 2 + (bytes[at] === 0x58 ? (bytes[at + 1] as number) : 1 + bytes.readUInt16BE(at + 1))).toString('hex')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
