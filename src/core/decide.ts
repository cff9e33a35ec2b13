/**
 * The journey of one connection, top to bottom: open, read, look up, verify, resolve, store, record, answer.
 * Cheap checks first; the order is security (docs/architecture.md). This is the only file that branches on outcomes.
 */
import { createHash } from 'node:crypto'
import { verifyAssertion, judgeSignCount, type VerifiedAssertion } from './assertion.ts'
import type { ConnectionFacts, GrantFacts, IdentityFacts, Verdict, VerdictEvent } from './audit-event.ts'
import { type AuthorizationRequest, type IncomingRequest, openRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import { checkCredentialState } from './credential.ts'
import type { GrantReason, Stage } from './denial.ts'
import { base64url, lengthPrefixed } from './encoding.ts'
import { credentialKey, type Nonce, parseNonce, type UserNkey } from './identifiers.ts'
import type { Grant } from './policy.ts'
import { AuditUnavailable, StoreUnavailable, type TracePort, type World, type XkeyPort } from './ports.ts'
import { type Offer, readOffer } from './proof.ts'
import { connectChallenge, MACHINE_ORIGIN } from './protocol.ts'
import type { CredentialRecord, GuardEntry, IdentityRecord, SessionRecord, Stored } from './records.ts'
import { resolveGrant } from './resolve.ts'
import type { Rules } from './rules.ts'
import { checkServerUrl, mayUsePlainSession } from './server-url.ts'
import { checkSessionState, mayEndorse, sha256, verifyBoundResume, verifyPlainResume } from './session.ts'
import { userClaims, type UserClaims } from './user-claims.ts'

/** One request and everything about the moment that core may not find out by itself. */
export interface Arrival extends IncomingRequest {
  /** UUID for the audit record. */
  id: string
  now: Date
  /** Uniform in [0, 1): how much of the ten percent the expiry is moved down, so that expiries don't herd. */
  jitter: number
  /** Milliseconds since arrival, by the monotonic clock. */
  elapsedMs(): number
  trace: TracePort
}

export interface Journey {
  rules: Rules
  xkey: XkeyPort | null
  world: World
}

/** What became of a request. `reply` is null when it came too late to be answered; then there is no verdict either. */
export type Decision = { event: VerdictEvent; reply: Uint8Array } | { event: null; reply: null }

// The answer must be at the server before it gives up on us.
const answerMarginMs = 500
const jitterShareMax = 0.1

/** What is known about the request so far: grows along the journey, and is what a denial's record says. */
interface Known {
  request: AuthorizationRequest | null
  url: string | null
  credential: CredentialRecord | null
  identity: IdentityRecord | null
  session: UserNkey | null
  assertion: VerifiedAssertion | null
  verified: boolean
  stage: Stage
}

/** A connection whose proof or session signature was verified: nothing less may be granted anything. */
interface Proven {
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
  earlier: GuardEntry | null
}

interface Admission {
  reason: GrantReason
  claims: UserClaims
  grant: GrantFacts
  /** The session to activate once the record is durable. */
  endorsed: Stored<SessionRecord> | null
}

/** Decides one request and does what the verdict needs: counter, session, audit record, answer. Never throws. */
export async function decide(arrival: Arrival, journey: Journey): Promise<Decision> {
  const known: Known = {
    request: null, url: null, credential: null, identity: null, session: null, assertion: null, verified: false, stage: 'open',
  }
  const { world } = journey
  let recorded: string | null = null
  try {
    const proven = await prove(arrival, journey, known)
    if (isLate(arrival, known)) return { event: null, reply: null }
    if (!proven.ok) return refuse(arrival, journey, known, { outcome: 'denied', reason: proven.denial })
    const admission = await admit(proven.value, arrival, journey, known)
    if (isLate(arrival, known)) return { event: null, reply: null }
    if (!admission.ok) return refuse(arrival, journey, known, { outcome: 'denied', reason: admission.denial })

    enter(arrival, known, 'record')
    const { reason, claims, grant } = admission.value
    const event = eventOf(arrival, journey, known, { outcome: 'granted', reason }, grant)
    await world.audit.record(event)
    recorded = event.id
    await activate(admission.value, proven.value, journey)

    enter(arrival, known, 'answer')
    if (isLate(arrival, known, 0)) return refuse(arrival, journey, known, { outcome: 'error', reason: 'deadline_exceeded' }, recorded)
    const reply = world.answer.grant(proven.value.request, claims)
    remember(proven.value, claims, journey)
    return { event: { ...event, durationMs: arrival.elapsedMs() }, reply }
  } catch (cause) {
    arrival.trace.failed(cause)
    return refuse(arrival, journey, known, { outcome: 'error', reason: errorReason(cause) }, recorded)
  }
}

/** Stages 1 to 4: from bytes to somebody who proved who they are on this very connection. */
async function prove(arrival: Arrival, journey: Journey, known: Known): Promise<Checked<Proven>> {
  const { rules, world } = journey
  enter(arrival, known, 'open')
  const opened = openRequest(arrival, { rules, xkey: journey.xkey, now: arrival.now })
  if (!opened.ok) return opened
  const request = opened.value
  known.request = request
  if (isLate(arrival, known)) return denied('overloaded')

  enter(arrival, known, 'read')
  if (request.sig === '') return denied('sig_missing')
  const nonce = parseNonce(request.nonce)
  if (nonce === null) return denied('nonce_missing')
  const offered = readOffer(request)
  if (!offered.ok) return offered
  const offer = offered.value
  if (offer.form !== 'plain') {
    known.url = offer.url
    const listed = checkServerUrl(offer.url, request, rules)
    if (!listed.ok) return listed
  }

  enter(arrival, known, 'lookup')
  const guardKey = guardKeyOf(request, nonce)
  const found = await lookUp(offer, request, { journey, known, now: arrival.now })
  if (!found.ok) return found
  const earlier = await world.guard.find(guardKey)
  if (earlier !== null && !isSameProof(earlier, request, arrival.now)) return denied('connection_already_proven')

  enter(arrival, known, 'verify')
  const { credential, identity, session } = found.value
  const verified = await verify(offer, credential, { nonce, rules, earlier, known, journey, now: arrival.now })
  if (!verified.ok) return verified
  known.verified = true
  const assertion = verified.value
  const userVerified = assertion === null ? (session?.userVerified ?? false) : assertion.userVerified
  return passed({ request, offer, credential, identity, session, assertion, userVerified, guardKey, earlier })
}

/** Stage 3: the records that the offer points at, all of them in force. They are read first, so that a denial says whose they are. */
async function lookUp(
  offer: Offer,
  request: AuthorizationRequest,
  { journey, known, now }: { journey: Journey; known: Known; now: Date },
): Promise<Checked<{ credential: Stored<CredentialRecord>; identity: IdentityRecord; session: SessionRecord | null }>> {
  const { world, rules } = journey
  const proves = offer.form === 'proof' || offer.form === 'endorsing'
  const session = proves ? null : ((await world.sessions.find(offer.nkey))?.record ?? null)
  const credential = proves
    ? await world.credentials.find(offer.assertion.id)
    : session && (await world.credentials.findByKey(session.credential))
  const identity = credential && (await world.identities.find(credential.record.handle))
  known.session = session?.nkey ?? null
  known.credential = credential?.record ?? null
  known.identity = identity

  if (!proves) {
    const usable = checkSessionState(session, now)
    if (!usable.ok) return usable
    if (offer.form === 'plain') {
      if (!usable.value.plain) return denied('session_not_plain')
      if (!mayUsePlainSession(request, rules)) return denied('plain_session_without_tls')
    }
  }
  // A session never outlives its credential or its identity, so both are judged on every path.
  const active = checkCredentialState(credential, now)
  if (!active.ok) return active
  if (identity === null) return denied('identity_unknown')
  if (identity.state !== 'active') return denied('identity_disabled')
  return passed({ credential: active.value, identity, session })
}

/** Stage 4: the signature. A verified assertion after a proof, null after a resume. */
async function verify(
  offer: Offer,
  credential: Stored<CredentialRecord>,
  context: { nonce: Nonce; rules: Rules; earlier: GuardEntry | null; known: Known; journey: Journey; now: Date },
): Promise<Checked<VerifiedAssertion | null>> {
  const { nonce, rules, earlier, known, journey, now } = context
  switch (offer.form) {
    case 'plain':
      return verifyPlainResume({ nkey: offer.nkey, nonce, signature: offer.signature })
        ? passed(null)
        : denied('session_signature_invalid')
    case 'bound':
      return verifyBoundResume({ nkey: offer.nkey, nonce, url: offer.url, signature: offer.resume })
        ? passed(null)
        : denied('session_signature_invalid')
    case 'proof':
    case 'endorsing': {
      const plain = offer.form === 'endorsing' && offer.plain
      const challenge = connectChallenge(sha256, { nonce, url: offer.url, nkey: offer.nkey ?? '', plain })
      const expected = expectedAssertion(credential.record, challenge, rules)
      if (!expected.ok) return expected
      const assertion = verifyAssertion(offer.assertion, credential.record, expected.value)
      if (!assertion.ok) return assertion
      known.assertion = assertion.value
      // Possession: nobody can endorse another's key.
      if (offer.form === 'endorsing' && !verifyBoundResume({ nkey: offer.nkey, nonce, url: offer.url, signature: offer.resume })) {
        return denied('session_signature_invalid')
      }
      known.verified = true
      if (earlier !== null) return assertion
      const count = judgeSignCount(credential.record, assertion.value, now)
      if (!count.ok) {
        if (count.denial === 'sign_count_regression') await quarantine(credential, journey, now)
        return count
      }
      return assertion
    }
  }
}

function expectedAssertion(record: CredentialRecord, challenge: Uint8Array, rules: Rules) {
  if (record.class === 'machine') {
    return passed({
      challenge, rpId: rules.machine.rpId, origins: [MACHINE_ORIGIN], class: 'machine' as const,
      requireUserVerification: false, algorithms: rules.algorithms,
    })
  }
  // A deployment without people has no Relying Party that a person's assertion could be for.
  if (rules.person === null) return denied('rp_id_mismatch')
  const { rpId, origins, requireUserVerification } = rules.person
  return passed({ challenge, rpId, origins, class: 'person' as const, requireUserVerification, algorithms: rules.algorithms })
}

/** A copied device-bound key is shut out; a synced one has no counter to speak of, so it is refused and reported. */
async function quarantine(stored: Stored<CredentialRecord>, { world }: Journey, now: Date): Promise<void> {
  if (stored.record.backupEligible) return
  let current: Stored<CredentialRecord> | null = stored
  while (current !== null && current.record.state === 'active') {
    current = await world.credentials.replace(current, { ...current.record, state: 'quarantined', endedAt: now.getTime() })
  }
}

/** Stages 5 and 6: what the proven identity may do, and the writes that must come before the record. */
async function admit(proven: Proven, arrival: Arrival, journey: Journey, known: Known): Promise<Checked<Admission>> {
  const { world, rules } = journey
  enter(arrival, known, 'resolve')
  const { request, offer, credential, identity, session, earlier } = proven
  const wantsPlain = offer.form === 'plain' || (offer.form === 'endorsing' && offer.plain)
  const resolved = resolveGrant(world.policy(), {
    identity,
    credential: credential.record,
    userVerified: proven.userVerified,
    clientType: request.clientType,
    sourceAddress: rules.behindProxy ? null : request.clientHost,
    rolesMaxAgeSeconds: rules.rolesMaxAgeSeconds,
    now: arrival.now,
  })
  if (!resolved.ok) return resolved
  const grant = resolved.value
  if (wantsPlain && !grant.plainSessions) return denied('plain_session_refused')
  // A session that was endorsed under a looser policy ends with it.
  if (session !== null && (grant.sessionSeconds === 0 || session.createdAt + grant.sessionSeconds * 1000 <= arrival.now.getTime())) {
    return denied('session_expired')
  }
  if (grant.connectionsMax !== null && earlier === null && world.guard.connectionsOf(identity.handle) >= grant.connectionsMax) {
    return denied('connection_limit')
  }

  enter(arrival, known, 'store')
  if (earlier === null && proven.assertion !== null) {
    const moved = await moveSignCount(proven.credential, proven.assertion, { world, now: arrival.now })
    if (!moved.ok) return moved
  }
  const endorsed = earlier === null && offer.form === 'endorsing' ? await reserveSession(proven, grant, { offer, arrival, world }) : passed(null)
  if (!endorsed.ok) return endorsed
  return passed(admission(proven, grant, endorsed.value, arrival))
}

/** Counters of zero do not move: the authenticator has none. Otherwise by compare-and-set, and the loser is denied. */
async function moveSignCount(
  stored: Stored<CredentialRecord>,
  assertion: VerifiedAssertion,
  { world, now }: { world: World; now: Date },
): Promise<Checked<null>> {
  if (assertion.signCount === 0 && stored.record.signCount === 0) return passed(null)
  let current = stored
  for (;;) {
    const { signCount, backupState } = assertion
    const other = await world.credentials.replace(current, { ...current.record, signCount, backupState, signCountAt: now.getTime() })
    if (other === null) return passed(null)
    const active = checkCredentialState(other, now)
    if (!active.ok) return active
    if (other.record.signCount >= signCount) return denied('sign_count_race')
    current = other
  }
}

async function reserveSession(
  proven: Proven,
  grant: Grant,
  { offer, arrival, world }: { offer: Extract<Offer, { form: 'endorsing' }>; arrival: Arrival; world: World },
): Promise<Checked<Stored<SessionRecord> | null>> {
  if (grant.sessionSeconds === 0) return passed(null)
  const now = arrival.now.getTime()
  const record = proven.credential.record
  const wanted: SessionRecord = {
    v: 1,
    nkey: offer.nkey,
    credential: credentialKey(record.id),
    handle: record.handle,
    class: record.class,
    plain: offer.plain,
    userVerified: proven.userVerified,
    createdAt: now,
    expiresAt: Math.min(now + grant.sessionSeconds * 1000, record.expiresAt ?? Number.MAX_SAFE_INTEGER),
    state: 'pending',
    endedAt: null,
  }
  const there = await world.sessions.reserve(wanted)
  if (!mayEndorse(there.record, wanted.credential)) return denied('endorsement_refused')
  return passed({ record: { ...wanted, state: 'active' }, revision: there.revision })
}

function admission(proven: Proven, grant: Grant, endorsed: Stored<SessionRecord> | null, arrival: Arrival): Admission {
  const { request, offer, credential, session, earlier } = proven
  const now = Math.floor(arrival.now.getTime() / 1000)
  // A connection that is asked about again keeps its first expiry to the second, so there is nothing to spread.
  const jitter = earlier === null ? arrival.jitter : 0
  const ttl = Math.max(1, Math.floor(grant.ttlSeconds * (1 - jitterShareMax * jitter)))
  const ends = [now + ttl, seconds(session?.expiresAt), seconds(credential.record.expiresAt), grant.notAfter, earlier?.exp]
  const exp = Math.min(...ends.filter((end): end is number => end !== null && end !== undefined))
  const sessionEnd = endorsed?.record.expiresAt ?? session?.expiresAt ?? null
  return {
    reason: earlier !== null ? 'reasked' : GRANT_REASONS[offer.form],
    claims: userClaims({
      userNkey: request.userNkey,
      account: grant.account,
      handle: credential.record.handle,
      id: arrival.id,
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

/** Stage 7, second half: a session is usable only once its record is durable. */
async function activate(admission: Admission, proven: Proven, { world }: Journey): Promise<void> {
  const { endorsed } = admission
  if (endorsed === null) return
  if (!(await world.sessions.replace(endorsed, endorsed.record))) {
    throw new StoreUnavailable(`activating the session of ${proven.credential.record.handle}: written by another verifier meanwhile`)
  }
}

function remember(proven: Proven, claims: UserClaims, { world }: Journey): void {
  const { request, offer, credential, guardKey, earlier } = proven
  if (earlier !== null) return
  world.guard.remember(guardKey, {
    v: 1,
    serverId: request.serverId,
    clientId: request.clientId,
    proof: digest(request.sig),
    credential: credentialKey(credential.record.id),
    session: offer.form === 'proof' ? null : offer.nkey,
    handle: credential.record.handle,
    iat: claims.iat,
    exp: claims.exp,
  })
}

function guardKeyOf(request: AuthorizationRequest, nonce: Nonce): string {
  return base64url(sha256(lengthPrefixed(request.serverId, String(request.clientId), nonce)))
}

function isSameProof(earlier: GuardEntry, request: AuthorizationRequest, now: Date): boolean {
  return earlier.proof === digest(request.sig) && earlier.exp * 1000 > now.getTime()
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** Answers and records something that is not a grant. */
function refuse(
  arrival: Arrival,
  journey: Journey,
  known: Known,
  verdict: Exclude<Verdict, { outcome: 'granted' }>,
  correlates: string | null = null,
): Decision {
  const { world } = journey
  // Somebody we could not authenticate gets the empty answer, which denies; only a genuine request gets our signature.
  const reply = known.request === null ? new Uint8Array(0) : refusal(known.request, verdict, arrival, world)
  const event = { ...eventOf(arrival, journey, known, verdict, null), correlates }
  world.audit.note(event)
  return { event, reply }
}

function refusal(
  request: AuthorizationRequest,
  verdict: Exclude<Verdict, { outcome: 'granted' }>,
  arrival: Arrival,
  world: World,
): Uint8Array {
  try {
    return world.answer.refuse(request, verdict)
  } catch (cause) {
    arrival.trace.failed(cause)
    return new Uint8Array(0)
  }
}

function eventOf(arrival: Arrival, { world }: Journey, known: Known, verdict: Verdict, grant: GrantFacts | null): VerdictEvent {
  const at = arrival.now.getTime()
  return {
    id: arrival.id,
    correlates: null,
    at,
    verdict,
    stage: known.stage,
    verified: known.verified,
    connection: connectionFacts(known),
    identity: identityFacts(known),
    grant,
    policyHash: world.policy().hash,
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

function enter(arrival: Arrival, known: Known, stage: Stage): void {
  known.stage = stage
  arrival.trace.enter(stage)
}

/** A request past its deadline is dropped: the server has given up on it, and work on it would be taken from others. */
function isLate(arrival: Arrival, { request }: Known, marginMs = answerMarginMs): boolean {
  return request !== null && arrival.elapsedMs() > (request.exp - request.iat) * 1000 - marginMs
}

function errorReason(cause: unknown): 'internal' | 'store_unavailable' | 'audit_unavailable' {
  if (cause instanceof AuditUnavailable) return 'audit_unavailable'
  return cause instanceof StoreUnavailable ? 'store_unavailable' : 'internal'
}
