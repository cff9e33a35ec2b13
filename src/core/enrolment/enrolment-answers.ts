/** What enrolment answers to a machine. No member is a secret: a ticket and a key are needed to use any of it. */
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type PublicKeyCredentialCreationOptionsJSON,
  type PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server'
import { fromBase64url } from '../encoding.ts'
import type { CredentialId, Handle } from '../identifiers.ts'
import type { TicketRecord } from '../records.ts'
import type { Rules } from '../rules.ts'
import { ceremonySeconds } from './ceremony.ts'
import { machineUserHandle } from './enrolment.ts'

/** A ceremony that the client may now answer. `issued` lets it recompute the challenge and so notice a relay. */
export interface CeremonyOffer {
  ceremony: string
  /** 32 bytes, unpadded base64url. */
  issued: string
  options: PublicKeyCredentialCreationOptionsJSON | PublicKeyCredentialRequestOptionsJSON
}

export interface EnrolledCredential {
  credential: { id: CredentialId; handle: Handle; class: 'machine'; rpId: string; userHandle: string; roles: string[] }
  urls: string[]
  inboxPrefix: string
}

/** PublicKeyCredentialCreationOptionsJSON for a machine. */
export function creationOptions(
  challenge: Uint8Array,
  ticket: TicketRecord,
  rules: Rules,
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const { handle, displayName } = ticket
  return generateRegistrationOptions({
    rpName: 'nats-webauthn',
    rpID: rules.machine.rpId,
    userName: handle,
    userDisplayName: displayName,
    userID: Uint8Array.from(fromBase64url(machineUserHandle(handle)) ?? []),
    challenge: Uint8Array.from(challenge),
    timeout: ceremonySeconds * 1000,
    attestationType: 'direct',
    authenticatorSelection: { residentKey: 'discouraged', userVerification: 'discouraged' },
    supportedAlgorithmIDs: [...rules.algorithms],
  })
}

/** PublicKeyCredentialRequestOptionsJSON for the possession proof of one credential. */
export function requestOptions(challenge: Uint8Array, id: CredentialId, rules: Rules): Promise<PublicKeyCredentialRequestOptionsJSON> {
  return generateAuthenticationOptions({
    rpID: rules.machine.rpId,
    challenge: Uint8Array.from(challenge),
    allowCredentials: [{ id }],
    timeout: ceremonySeconds * 1000,
    userVerification: 'discouraged',
  })
}
