/** What the guard remembers of an admitted connection, so that asking again about it gives nothing new (ADR-0006). */
import { hash } from 'node:crypto'
import type { AuthorizationRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import { base64url, lengthPrefixed } from './encoding.ts'
import { credentialKey, type Nonce, type UserNkey } from './identifiers.ts'
import type { GuardPort } from './ports.ts'
import type { CredentialRecord, GuardEntry } from './records.ts'
import { sha256 } from './sha256.ts'

/**
 * How long an entry outlives its grant. nats-server closes a connection up to a second after the grant's expiry, and by a
 * clock of its own: until then a second CONNECT must still meet the entry, or the old proof would get a new expiry. No
 * request is answered whose server's clock is further behind than its validity and the leeway.
 */
const keptSeconds = 300

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

/** The earlier entry, where the connection was admitted with this very proof and its time is not over. */
export function ofSameProof(earlier: GuardEntry, request: AuthorizationRequest, now: Date): Checked<GuardEntry> {
  const same = earlier.proof === digest(request.sig) && earlier.exp * 1000 > now.getTime()
  return same ? passed(earlier) : denied('connection_already_proven')
}

/**
 * `refusal`, unless the connection was asked about before: a verifier that was not told of it yet must neither deny nor
 * quarantine because of what the first ask itself has written.
 */
export async function firstAskOr(
  refusal: Checked<never>,
  { request, guardKey }: { request: AuthorizationRequest; guardKey: string },
  { guard, now }: { guard: GuardPort; now: Date },
): Promise<Checked<GuardEntry>> {
  const first = await guard.find(guardKey, 'leader')
  return first === null ? refusal : ofSameProof(first, request, now)
}

/** Epoch seconds from which the connection has surely ended, so that its key is anybody's again. */
export function guardEnd({ exp }: GuardEntry): number {
  return exp + keptSeconds
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url')
}
