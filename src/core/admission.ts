/** What a proven connection is given: a user JWT with its expiry and, when it asked for one, a session. */
import type { GrantFacts } from './audit-event.ts'
import type { AuthorizationRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import type { GrantReason } from './denial.ts'
import { credentialKey } from './identifiers.ts'
import type { Grant } from './policy/policy.ts'
import type { SessionPort } from './ports.ts'
import type { Offer } from './proof.ts'
import type { CredentialRecord, IdentityRecord, ProvenEntry, SessionRecord, Stored } from './records.ts'
import { safeText } from './safe-text.ts'
import { mayEndorse } from './session.ts'
import { type UserClaims, userClaims } from './user-claims.ts'
import type { VerifiedAssertion } from './webauthn/assertion.ts'

// Expiries that were granted together would otherwise come back together.
const jitterShareMax = 0.1
const activationsMax = 3
const labelCharsMax = 64

/** A connection whose proof or session signature was verified: nothing less may be granted anything. */
export interface Proven {
  request: AuthorizationRequest
  offer: Offer
  credential: Stored<CredentialRecord>
  identity: IdentityRecord
  /** The session that was resumed, or null after a proof. */
  session: SessionRecord | null
  assertion: VerifiedAssertion | null
  userVerified: boolean
  guardKey: string
  /** The first admission of this very connection, when it is asked about again. */
  earlier: ProvenEntry | null
}

export interface Admission {
  reason: GrantReason
  claims: UserClaims
  grant: GrantFacts
  /** The session to activate once the record is durable. */
  endorsed: Stored<SessionRecord> | null
}

/** Creates the session as pending, or takes the one this credential has; null where the role gives no sessions. */
export async function reserveSession(
  proven: Proven,
  grant: Grant,
  { offer, now, sessions }: { offer: Extract<Offer, { form: 'endorsing' }>; now: Date; sessions: SessionPort },
): Promise<Checked<Stored<SessionRecord> | null>> {
  if (grant.sessionSeconds === 0) return passed(null)
  const { record } = proven.credential
  const wanted: SessionRecord = {
    v: 1,
    nkey: offer.nkey,
    credential: credentialKey(record.id),
    handle: record.handle,
    class: record.class,
    plain: offer.plain,
    userVerified: proven.userVerified,
    byCode: false,
    label: safeText(proven.request.clientName, labelCharsMax),
    createdAt: now.getTime(),
    expiresAt: Math.min(now.getTime() + grant.sessionSeconds * 1000, record.expiresAt ?? Number.MAX_SAFE_INTEGER),
    state: 'pending',
    endedAt: null,
  }
  const there = await sessions.reserve(wanted)
  if (!mayEndorse(there.record, wanted.credential)) return denied('endorsement_refused')
  return passed({ record: { ...wanted, state: 'active' }, revision: there.revision })
}

/**
 * Makes a reserved session usable. Several connections of one credential may endorse its nkey at once: then any of them
 * does it. False when the session was revoked meanwhile, or kept changing.
 */
export async function activateSession({ record, revision }: Stored<SessionRecord>, sessions: SessionPort): Promise<boolean> {
  let current: Stored<SessionRecord> = { record, revision }
  for (let attempt = 0; attempt < activationsMax; attempt++) {
    if (await sessions.replace(current, record)) return true
    current = await sessions.reserve({ ...record, state: 'pending' })
    const there = current.record
    if (!mayEndorse(there, record.credential)) return false
    if (there.state === 'active' && there.plain === record.plain && there.userVerified === record.userVerified) return true
  }
  return false
}

/** The admission of a proven connection. `jitter` in [0, 1) says how much of ten percent the expiry moves down. */
export function admissionOf(
  proven: Proven,
  grant: Grant,
  moment: { endorsed: Stored<SessionRecord> | null; id: string; now: Date; jitter: number },
): Admission {
  const { endorsed } = moment
  const { request, offer, credential, session, earlier } = proven
  const nowMs = moment.now.getTime()
  const now = Math.floor(nowMs / 1000)
  // A connection that is asked about again keeps its first expiry to the second, so there is nothing to spread.
  const jitter = earlier === null ? moment.jitter : 0
  // Rounded down once: a lifetime of seconds must not lose two of them, one to the clock and one to the jitter.
  const full = Math.max(now + 1, Math.floor(nowMs / 1000 + grant.ttlSeconds * (1 - jitterShareMax * jitter)))
  const ends = [full, seconds(session?.expiresAt), seconds(credential.record.expiresAt), grant.notAfter, earlier?.exp]
  const exp = Math.min(...ends.filter((end): end is number => end !== null && end !== undefined))
  const sessionEnd = endorsed?.record.expiresAt ?? session?.expiresAt ?? null
  return {
    reason: earlier !== null ? 'reasked' : GRANT_REASONS[offer.form],
    claims: userClaims({
      userNkey: request.userNkey,
      account: grant.account,
      handle: credential.record.handle,
      id: moment.id,
      iat: now,
      exp,
      permissions: grant.permissions,
    }),
    grant: { account: grant.account, roles: grant.roles, expiresAt: exp, sessionExpiresAt: seconds(sessionEnd) ?? null },
    endorsed,
  }
}

const GRANT_REASONS: Record<Offer['form'], GrantReason> = {
  proof: 'proof',
  endorsing: 'proof_endorsing',
  bound: 'session_bound',
  plain: 'session_plain',
}

function seconds(milliseconds: number | null | undefined): number | null {
  return milliseconds === null || milliseconds === undefined ? null : Math.floor(milliseconds / 1000)
}
