/** What the guard remembers of an admitted connection, so that asking again about it gives nothing new (ADR-0006). */
import { hash } from 'node:crypto'
import type { AuthorizationRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import { base64url, lengthPrefixed } from './encoding.ts'
import { credentialKey, type LegacyName, type UserNkey } from './identifiers.ts'
import type { GuardPort } from './ports.ts'
import type { CredentialRecord, GuardEntry, LegacyEntry, ProvenEntry } from './records.ts'
import { sha256 } from './sha256.ts'

/**
 * How long an entry outlives its grant. nats-server closes a connection up to a second after the grant's expiry, and by a
 * clock of its own: until then a second CONNECT must still meet the entry, or the old proof would get a new expiry. No
 * request is answered whose server's clock is further behind than its validity and the leeway.
 */
const keptSeconds = 300

/**
 * Key of a connection. A server has another id after each start and gives none of its client ids twice. The nonce is no
 * part of it: requests name it only where CONNECT holds a `sig`, and one connection would have two keys.
 */
export function guardKeyOf({ serverId, clientId }: { serverId: string; clientId: number }): string {
  return base64url(sha256(lengthPrefixed(serverId, String(clientId))))
}

export function guardEntry(
  request: AuthorizationRequest,
  grant: { credential: CredentialRecord; session: UserNkey | null; iat: number; exp: number },
): ProvenEntry {
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

export function legacyEntry(request: AuthorizationRequest, grant: { legacy: LegacyName; iat: number; exp: number }): LegacyEntry {
  const { legacy, iat, exp } = grant
  return { v: 1, serverId: request.serverId, clientId: request.clientId, legacy, iat, exp }
}

/** The earlier entry, where the connection was admitted with this very proof and its time is not over. */
export function ofSameProof(earlier: GuardEntry, request: AuthorizationRequest, now: Date): Checked<ProvenEntry> {
  const same = 'proof' in earlier && earlier.proof === digest(request.sig) && earlier.exp * 1000 > now.getTime()
  return same ? passed(earlier) : denied('connection_already_proven')
}

/** Whether the connection was admitted as this legacy user's and its time is not over. */
export function isOfLegacyUser(earlier: GuardEntry, name: LegacyName, now: Date): boolean {
  return 'legacy' in earlier && earlier.legacy === name && earlier.exp * 1000 > now.getTime()
}

/**
 * The first ask about a connection, as a proof meets it; null where there was none. A legacy user's is none: a proof that
 * fails beside its password is refused for what it is, and one that does not fail finds the connection taken when it claims it.
 */
export function firstAskOf(earlier: GuardEntry | null, request: AuthorizationRequest, now: Date): Checked<ProvenEntry | null> {
  return earlier === null || 'legacy' in earlier ? passed(null) : ofSameProof(earlier, request, now)
}

/**
 * `refusal`, unless the connection was asked about before: a verifier that was not told of it yet must neither deny nor
 * quarantine because of what the first ask itself has written.
 */
export async function firstAskOr(
  refusal: Checked<never>,
  { request, guardKey }: { request: AuthorizationRequest; guardKey: string },
  { guard, now }: { guard: GuardPort; now: Date },
): Promise<Checked<ProvenEntry>> {
  const first = await guard.find(guardKey, 'leader')
  return first === null || 'legacy' in first ? refusal : ofSameProof(first, request, now)
}

/** Epoch seconds from which the connection has surely ended, so that its key is anybody's again. */
export function guardEnd({ exp }: GuardEntry): number {
  return exp + keptSeconds
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url')
}
