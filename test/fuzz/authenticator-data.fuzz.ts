import assert from 'node:assert/strict'
import { parseAuthenticatorData as parseByLibrary } from '@simplewebauthn/server/helpers'
import { parseAuthenticatorData } from '../../src/core/webauthn/authenticator-data.ts'
import { FLAGS } from '../support/test-authenticator.ts'
import type { FuzzTarget } from './fuzz-target.ts'

const data = (flags: number, extra = '') =>
  new Uint8Array(Buffer.concat([Buffer.alloc(32, 7), Buffer.of(flags, 0, 0, 1, 2), Buffer.from(extra, 'hex')]))

/** What is read is what the library reads, and every bit of the fixed part is told. */
export const authenticatorData: FuzzTarget = {
  name: 'authenticator-data',
  seeds: () => [
    data(FLAGS.UP | FLAGS.UV),
    data(FLAGS.BE),
    data(FLAGS.ED, 'a16161f5'),
    data(FLAGS.ED, 'a26161f561624100'),
    data(FLAGS.AT),
    data(0xff, 'a0'),
  ],
  dictionary: [],
  shape: 'bytes',
  run(input) {
    const read = parseAuthenticatorData(input)
    if (read === null) return
    const { flags, counter, rpIdHash } = parseByLibrary(Uint8Array.from(input))
    assert.deepEqual(
      [read.userPresent, read.userVerified, read.backupEligible, read.backupState, read.signCount],
      [flags.up, flags.uv, flags.be, flags.bs, counter],
    )
    assert.deepEqual(Buffer.from(read.rpIdHash), Buffer.from(rpIdHash))
    assert.ok(!flags.at && (flags.ed || input.length === 37))
  },
}
