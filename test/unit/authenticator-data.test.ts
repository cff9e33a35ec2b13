import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseAuthenticatorData } from '../../src/core/webauthn/authenticator-data.ts'

const head = (flags: number, signCount = 0) => {
  const bytes = new Uint8Array(37).fill(7, 0, 32)
  bytes[32] = flags
  new DataView(bytes.buffer).setUint32(33, signCount)
  return bytes
}
const withExtensions = (hex: string, flags = 0x81) => new Uint8Array([...head(flags), ...Buffer.from(hex, 'hex')])

test('every flag and the counter are read, also in the middle of a larger buffer', () => {
  const larger = new Uint8Array(60)
  larger.set(head(0x1d, 0x80000001), 11)
  assert.deepEqual(parseAuthenticatorData(larger.subarray(11, 48)), {
    rpIdHash: new Uint8Array(32).fill(7),
    userPresent: true,
    userVerified: true,
    backupEligible: true,
    backupState: true,
    signCount: 0x80000001,
  })
  assert.deepEqual(parseAuthenticatorData(head(0)), {
    rpIdHash: new Uint8Array(32).fill(7),
    userPresent: false,
    userVerified: false,
    backupEligible: false,
    backupState: false,
    signCount: 0,
  })
})

test('extension outputs that are one map are passed over', () => {
  for (const hex of ['a0', 'a16161f5', 'a16161a16162f5', 'a2616101616241ff']) {
    const given = withExtensions(hex)
    const before = Uint8Array.from(given)
    assert.equal(parseAuthenticatorData(given)?.userPresent, true)
    assert.deepEqual(given, before)
  }
})

describe('authenticator data is refused', () => {
  const bad: [string, Uint8Array][] = [
    ['when it is empty', new Uint8Array(0)],
    ['when it is a byte short', head(1).subarray(0, 36)],
    ['when a byte is left over', withExtensions('00', 0x01)],
    ['when extension outputs are there without their flag', withExtensions('a16161f5', 0x01)],
    ['when the flag promises extension outputs and there are none', head(0x81)],
    ['when extension outputs are no map', withExtensions('8101')],
    ['when extension outputs are followed by a byte', withExtensions('a16161f500')],
    ['when extension outputs are cut short', withExtensions('a16161')],
    ['when extension outputs name one extension twice', withExtensions('a26161f56161f4')],
    ["when an extension's name is no text or number", withExtensions('a1f5f5')],
    ['when extension outputs nest too deep', withExtensions('a161618181818101')],
    ['when it has attested credential data', withExtensions('00'.repeat(18), 0x41)],
    ['when it only says that it has attested credential data', head(0x41)],
  ]
  for (const [what, bytes] of bad) test(what, () => assert.equal(parseAuthenticatorData(bytes), null))
})
