/** What the guard remembers of an admitted connection, so that asking again about it gives nothing new (ADR-0006). */
import { hash } from 'node:crypto'
import type { AuthorizationRequest } from './authorization-request.ts'
import { base64url, lengthPrefixed } from './encoding.ts'
import { credentialKey, type Nonce, type UserNkey } from './identifiers.ts'
import type { CredentialRecord, GuardEntry } from './records.ts'
import { sha256 } from './sha256.ts'

/** Key of a connection: a digest, because the nonce is nobody else's business. */
export function guardKeyOf(request: AuthorizationRequest, nonce: Nonce): string {
  return base64url(sha256(lengthPrefixed(request.serverId, String(request.clientId), nonce)))
}

export function guardEntry(
  request: AuthorizationRequest,
  grant: { credential: CredentialRecord; session: UserNkey | null; iat: number; exp: number },
): GuardEntry {
  const { credential, session, iat, exp } = grant
  return {
    v: 1,
    serverId: request.serverId,
    clientId: request.clientId,
    proof: digest(request.sig),
    credential: credentialKey(credential.id),
    session,
    handle: credential.handle,
    iat,
    exp,
  }
}

/** Whether the connection was admitted with this very proof, and its time is not over. */
export function isSameProof(earlier: GuardEntry, request: AuthorizationRequest, now: Date): boolean {
  return earlier.proof === digest(request.sig) && earlier.exp * 1000 > now.getTime()
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url')
}
