/** A machine that was enrolled: its key file's content, its record as the verifier keeps it, and how often it signed. */
import type { MachineKey } from '../../src/client/key-file.ts'
import { type FileKey, generateFileKey, type SigningKey } from '../../src/client/software-authenticator.ts'
import { base64url } from '../../src/core/encoding.ts'
import { type CredentialId, parseCredentialId } from '../../src/core/identifiers.ts'
import type { AssertedCredential } from '../../src/core/webauthn/assertion.ts'

export interface TestMachine {
  key: MachineKey
  credential: AssertedCredential
  /** How often the key was asked to sign. */
  signed(): number
  /** From now on the key does not sign, as if its hardware were gone. */
  breakKey(broken: boolean): void
}

export function testMachine(handle = 'orders', file: FileKey = generateFileKey()): TestMachine {
  const id = base64url(crypto.getRandomValues(new Uint8Array(32)))
  const userHandle = base64url(crypto.getRandomValues(new Uint8Array(16)))
  const rpId = 'machines.test'
  let count = 0
  let broken = false
  const key: SigningKey = {
    alg: file.alg,
    publicKeyCose: file.publicKeyCose,
    sign: (bytes) => {
      if (broken) throw new Error('signing in hardware that is gone')
      count++
      return file.sign(bytes)
    },
  }
  return {
    key: { key, credentialId: id, rpId, userHandle, handle },
    credential: {
      id: parseCredentialId(id) as CredentialId,
      publicKey: base64url(file.publicKeyCose),
      signCount: 0,
      signCountAt: 0,
      backupEligible: true,
      rpId,
      class: 'machine',
      userHandle,
    },
    signed: () => count,
    breakKey: (on) => {
      broken = on
    },
  }
}
