/** What the journey has found out so far, and the audit event that says so. */

import type { VerifiedAssertion } from './assertion.ts'
import type { ConnectionFacts, GrantFacts, IdentityFacts, Verdict, VerdictEvent } from './audit-event.ts'
import type { AuthorizationRequest } from './authorization-request.ts'
import type { Stage } from './denial.ts'
import type { UserNkey } from './identifiers.ts'
import type { CredentialRecord, IdentityRecord } from './records.ts'

/** What is known about the request so far: grows along the journey, and is what a denial's record says. */
export interface Known {
  request: AuthorizationRequest | null
  url: string | null
  credential: CredentialRecord | null
  identity: IdentityRecord | null
  session: UserNkey | null
  assertion: VerifiedAssertion | null
  verified: boolean
  stage: Stage
}

/** Nothing is known of a request that has just arrived. */
export function nothingKnown(): Known {
  return { request: null, url: null, credential: null, identity: null, session: null, assertion: null, verified: false, stage: 'open' }
}

/** The event of a verdict at this point of the journey. */
export function eventOf(
  known: Known,
  verdict: Verdict,
  about: { id: string; at: number; durationMs: number; policyHash: string; grant: GrantFacts | null },
): VerdictEvent {
  const { id, at, durationMs, policyHash, grant } = about
  return {
    id,
    correlates: null,
    at,
    verdict,
    stage: known.stage,
    verified: known.verified,
    connection: connectionFacts(known),
    identity: identityFacts(known),
    grant,
    policyHash,
    durationMs,
    count: 1,
    firstAt: at,
    lastAt: at,
  }
}

function connectionFacts({ request, url }: Known): ConnectionFacts | null {
  if (request === null) return null
  const { serverId, serverName, cluster, clientId, clientHost, clientName, clientType, userNkey, tls } = request
  return { serverId, serverName, cluster, clientId, clientHost, clientName, clientType, userNkey, tls, url }
}

function identityFacts({ credential, identity, assertion, session }: Known): IdentityFacts | null {
  if (credential === null || identity === null) return null
  return {
    handle: identity.handle,
    issuer: identity.issuer,
    subject: identity.subject,
    displayName: identity.displayName,
    class: credential.class,
    credentialId: credential.id,
    aaguid: credential.aaguid,
    signCount: assertion?.signCount ?? credential.signCount,
    userPresent: assertion?.userPresent ?? null,
    userVerified: assertion?.userVerified ?? null,
    backupEligible: credential.backupEligible,
    backupState: assertion?.backupState ?? credential.backupState,
    sessionNkey: session,
  }
}
