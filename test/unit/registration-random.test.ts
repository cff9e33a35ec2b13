/** Whatever arrives as a registration: none throws, none is accepted that the key did not sign. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { verifyMachineRegistration } from '../../src/core/webauthn/registration.ts'
import { b64u, testKey } from '../support/test-authenticator.ts'
import { testRegistration } from '../support/test-registration.ts'

const expected = { challenge: randomBytes(32), rpId: 'machines.nats.test', algorithms: [-7, -8, -257] }
const sound = testRegistration({ ...expected, key: testKey(-8), credentialId: b64u(randomBytes(32)) })
const soundObject = Buffer.from(sound.response.attestationObject, 'base64url')
const soundClientData = Buffer.from(sound.response.clientDataJSON, 'base64url')
const isAccepted = async (value: unknown) => (await verifyMachineRegistration(value, expected)).ok
const withParts = (attestationObject: Uint8Array, clientDataJSON: Uint8Array) => ({
  ...sound,
  response: { ...sound.response, attestationObject: b64u(attestationObject), clientDataJSON: b64u(clientDataJSON) },
})

test('accepts the sound one that the others are made of', async () => assert.equal(await isAccepted(sound), true))

test('refuses any value', () =>
  fc.assert(
    fc.asyncProperty(fc.anything(), async (value) => !(await isAccepted(value))),
    { numRuns: 500 },
  ))

test('refuses any values in the right members', () =>
  fc.assert(
    fc.asyncProperty(fc.anything(), fc.anything(), fc.anything(), async (id, clientDataJSON, attestationObject) => {
      return !(await isAccepted({ ...sound, id, rawId: id, response: { clientDataJSON, attestationObject } }))
    }),
    { numRuns: 500 },
  ))

test('refuses any bytes in place of the attestation object or the client data', () =>
  fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (bytes, inClientData) => {
      return !(await isAccepted(inClientData ? withParts(soundObject, bytes) : withParts(bytes, soundClientData)))
    }),
    { numRuns: 1000 },
  ))

test('refuses the sound one cut, lengthened or changed anywhere', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(soundObject.length - 1), fc.uint8Array({ maxLength: 8 }), fc.nat(8), async (at, inserted, removed) => {
      const changed = Buffer.concat([soundObject.subarray(0, at), inserted, soundObject.subarray(at + removed)])
      return changed.equals(soundObject) || !(await isAccepted(withParts(changed, soundClientData)))
    }),
    { numRuns: 1500 },
  ))
