/** @simplewebauthn/server as an oracle: whoever it refuses, ours refuses. */
import { verifyAuthenticationResponse } from '@simplewebauthn/server'
import { type AssertionCase, bytesOf } from './assertion-case.ts'
import { b64u } from './test-authenticator.ts'

/** What the library says; a machine is judged without its rules about UP and UV, which ours replace. */
export async function isAcceptedByLibrary({ response, credential, expected }: AssertionCase): Promise<boolean> {
  try {
    const { verified } = await verifyAuthenticationResponse({
      response,
      expectedChallenge: b64u(expected.challenge),
      expectedOrigin: [...expected.origins],
      expectedRPID: expected.rpId,
      credential: { id: credential.id, publicKey: Uint8Array.from(bytesOf(credential.publicKey)), counter: credential.signCount },
      ...(expected.class === 'machine'
        ? { advancedFIDOConfig: { userVerification: 'discouraged' as const } }
        : { requireUserVerification: expected.requireUserVerification }),
    })
    return verified
  } catch {
    // The library says no by throwing.
    return false
  }
}
