/** SimpleWebAuthn's own reading of WebAuthn L3 §7.1: a second opinion on a registration, which must agree with ours. */
import { verifyRegistrationResponse } from '@simplewebauthn/server'
import { base64url } from '../encoding.ts'
import type { RegistrationResponse } from './registration-response.ts'

export async function isAcceptedByLibrary(
  { id, clientDataJSON, attestationObject }: Pick<RegistrationResponse, 'id' | 'clientDataJSON' | 'attestationObject'>,
  expected: {
    challenge: Uint8Array
    origin: string
    rpId: string
    algorithms: readonly number[]
    requireUserPresence: boolean
    requireUserVerification: boolean
  },
): Promise<boolean> {
  const { requireUserPresence, requireUserVerification } = expected
  try {
    const { verified } = await verifyRegistrationResponse({
      response: {
        id,
        rawId: id,
        type: 'public-key',
        clientExtensionResults: {},
        response: { clientDataJSON: base64url(clientDataJSON), attestationObject: base64url(attestationObject) },
      },
      expectedChallenge: base64url(expected.challenge),
      expectedOrigin: expected.origin,
      expectedRPID: expected.rpId,
      requireUserPresence,
      requireUserVerification,
      supportedAlgorithmIDs: [...expected.algorithms],
    })
    return verified
  } catch {
    // The library says no by throwing.
    return false
  }
}
