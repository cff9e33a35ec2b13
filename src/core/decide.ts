/**
 * The journey of one connection, top to bottom: open, read, look up, verify, resolve, store, record, answer.
 * Cheap checks first; the order is security (docs/architecture.md). This is the only file that branches on outcomes.
 */
import { type Admission, activateSession, admissionOf, type Proven, reserveSession } from './admission.ts'
import type { Verdict, VerdictEvent } from './audit-event.ts'
import { type AuthorizationRequest, type IncomingRequest, openRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import type { Stage } from './denial.ts'
import { guardEntry, guardKeyOf, isSameProof } from './guard-entry.ts'
import { type Nonce, parseNonce } from './identifiers.ts'
import { eventOf, type Known, nothingKnown } from './known.ts'
import { resolveGrant } from './policy/resolve.ts'
import { AuditUnavailable, StoreUnavailable, type TracePort, type World, type XkeyPort } from './ports.ts'
import { type Offer, readOffer } from './proof.ts'
import { connectChallenge } from './protocol.ts'
import type { CredentialRecord, GuardEntry, IdentityRecord, SessionRecord, Stored } from './records.ts'
import type { Rules } from './rules.ts'
import { checkServerUrl, mayUsePlainSession } from './server-url.ts'
import { checkSessionState, verifyBoundResume, verifyPlainResume } from './session.ts'
import { sha256 } from './sha256.ts'
import type { UserClaims } from './user-claims.ts'
import { judgeSignCount, type VerifiedAssertion, verifyAssertion } from './webauthn/assertion.ts'
import { checkCredentialState } from './webauthn/credential.ts'
import { expectedAssertion } from './webauthn/relying-party.ts'
import { moveSignCount, quarantine } from './webauthn/sign-count.ts'

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

/** Decides one request and does what the verdict needs: counter, session, audit record, answer. Never throws. */
export async function decide(arrival: Arrival, journey: Journey): Promise<Decision> {
  // One policy from beginning to end: what a record names is what the verdict came from, whatever is loaded meanwhile.
  const known = nothingKnown(journey.world.policy())
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
    const event = eventOf(known, { outcome: 'granted', reason }, { arrival, grant })
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
  } finally {
    known.leavePlace()
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
  // Dropped by decide(), whatever is returned here: nothing that follows is worth its time.
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
      return verifyPlainResume({ nkey: offer.nkey, nonce, signature: offer.signature }) ? passed(null) : denied('session_signature_invalid')
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
        if (count.denial === 'sign_count_regression') await quarantine(credential, journey.world.credentials, now)
        return count
      }
      return assertion
    }
  }
}

/** Stages 5 and 6: what the proven identity may do, and the writes that must come before the record. */
async function admit(proven: Proven, arrival: Arrival, journey: Journey, known: Known): Promise<Checked<Admission>> {
  const { world, rules } = journey
  enter(arrival, known, 'resolve')
  const { request, offer, credential, identity, session, earlier } = proven
  const wantsPlain = offer.form === 'plain' || (offer.form === 'endorsing' && offer.plain)
  const resolved = resolveGrant(known.policy, {
    identity,
    credential: credential.record,
    userVerified: proven.userVerified,
    byCode: session?.byCode ?? false,
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
  if (grant.connectionsMax !== null && earlier === null) {
    const leavePlace = world.guard.reserve(identity.handle, grant.connectionsMax)
    if (leavePlace === null) return denied('connection_limit')
    known.leavePlace = leavePlace
  }

  enter(arrival, known, 'store')
  if (earlier === null && proven.assertion !== null) {
    const moved = await moveSignCount(proven.credential, proven.assertion, { credentials: world.credentials, now: arrival.now })
    if (!moved.ok) return moved
  }
  const endorsed =
    earlier === null && offer.form === 'endorsing'
      ? await reserveSession(proven, grant, { offer, now: arrival.now, sessions: world.sessions })
      : passed(null)
  if (!endorsed.ok) return endorsed
  return passed(admissionOf(proven, grant, { endorsed: endorsed.value, id: arrival.id, now: arrival.now, jitter: arrival.jitter }))
}

/** Stage 7, second half: a session is usable only once its record is durable. */
async function activate(admission: Admission, proven: Proven, { world }: Journey): Promise<void> {
  const { endorsed } = admission
  if (endorsed === null || (await activateSession(endorsed, world.sessions))) return
  throw new StoreUnavailable(`activating the session of ${proven.credential.record.handle}: revoked or rewritten meanwhile`)
}

function remember(proven: Proven, claims: UserClaims, { world }: Journey): void {
  const { request, offer, credential, guardKey, earlier } = proven
  if (earlier !== null) return
  const session = offer.form === 'proof' ? null : offer.nkey
  world.guard.remember(guardKey, guardEntry(request, { credential: credential.record, session, iat: claims.iat, exp: claims.exp }))
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
  const event = { ...eventOf(known, verdict, { arrival, grant: null }), correlates }
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
