/** What the browser is told when a person enrols a device. */
import {
  type AuthenticatorTransport,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server'
import { fromBase64url } from '../encoding.ts'
import { ceremonySeconds } from '../enrolment/ceremony.ts'
import type { CredentialRecord, IdentityRecord } from '../records.ts'

const TRANSPORTS: readonly AuthenticatorTransport[] = ['ble', 'hybrid', 'internal', 'nfc', 'usb']

/** PublicKeyCredentialCreationOptionsJSON for a further device; `devices` are those that need not be offered again. */
export function deviceCreationOptions(about: {
  challenge: Uint8Array
  identity: IdentityRecord
  devices: readonly CredentialRecord[]
  rpId: string
  algorithms: readonly number[]
  attestation: 'none' | 'direct'
  requireUserVerification: boolean
}): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const { handle, displayName, userHandle } = about.identity
  return generateRegistrationOptions({
    rpName: about.rpId,
    rpID: about.rpId,
    userID: Uint8Array.from(fromBase64url(userHandle) ?? []),
    userName: handle,
    userDisplayName: displayName,
    challenge: Uint8Array.from(about.challenge),
    timeout: ceremonySeconds * 1000,
    attestationType: about.attestation,
    excludeCredentials: about.devices.map(descriptorOf),
    // Discoverable, so that a person signs in without first saying who they are.
    authenticatorSelection: { residentKey: 'required', userVerification: about.requireUserVerification ? 'required' : 'preferred' },
    supportedAlgorithmIDs: [...about.algorithms],
  })
}

/** PublicKeyCredentialRequestOptionsJSON for the first assertion of a device. */
export function devicePossessionOptions(about: {
  challenge: Uint8Array
  credential: CredentialRecord
  requireUserVerification: boolean
}): Promise<PublicKeyCredentialRequestOptionsJSON> {
  return generateAuthenticationOptions({
    rpID: about.credential.rpId,
    challenge: Uint8Array.from(about.challenge),
    allowCredentials: [descriptorOf(about.credential)],
    timeout: ceremonySeconds * 1000,
    userVerification: about.requireUserVerification ? 'required' : 'preferred',
  })
}

/** A transport that the library does not know is left out: it is a hint, and no hint at all means any. */
function descriptorOf({ id, transports }: CredentialRecord) {
  return { id, transports: TRANSPORTS.filter((known) => transports.includes(known)) }
}
