/** What the journey has found out so far, and the audit event that says so. */
import type { ConnectionFacts, GrantFacts, IdentityFacts, Verdict, VerdictEvent } from './audit-event.ts'
import type { AuthorizationRequest } from './authorization-request.ts'
import type { Stage } from './denial.ts'
import type { UserNkey } from './identifiers.ts'
import type { Policy } from './policy/policy.ts'
import type { CredentialRecord, IdentityRecord } from './records.ts'
import type { VerifiedAssertion } from './webauthn/assertion.ts'

/** What is known about the request so far: grows along the journey, and is what a denial's record says. */
export interface Known {
  /** The policy in force when the request was taken up. */
  policy: Policy
  request: AuthorizationRequest | null
  url: string | null
  credential: CredentialRecord | null
  identity: IdentityRecord | null
  session: UserNkey | null
  assertion: VerifiedAssertion | null
  verified: boolean
  stage: Stage
  /** Id of the record that says that the connection is admitted, once it is durable. */
  recorded: string | null
  /** Takes back the claim on the connection: whatever follows it and is no grant must leave none. */
  withdraw: () => void
}

/** Nothing but the policy is known about a request that has just arrived. */
export function nothingKnown(policy: Policy): Known {
  return {
    policy,
    request: null,
    url: null,
    credential: null,
    identity: null,
    session: null,
    assertion: null,
    verified: false,
    stage: 'open',
    recorded: null,
    withdraw: () => {},
  }
}

/** The event of a verdict at this point of the journey. */
export function eventOf(
  known: Known,
  verdict: Verdict,
  { arrival, grant }: { arrival: { id: string; now: Date; elapsedMs(): number }; grant: GrantFacts | null },
): VerdictEvent {
  const { id } = arrival
  const at = arrival.now.getTime()
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
    policyHash: known.policy.hash,
    durationMs: arrival.elapsedMs(),
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
