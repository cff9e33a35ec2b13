/**
 * The journey of one connection, top to bottom: open, read, look up, verify, resolve, store, record, answer.
 * Cheap checks first; the order is security (docs/architecture.md). This is the only file that branches on outcomes.
 */
import { type Admission, activateSession, admissionOf, type Proven, reserveSession } from './admission.ts'
import { type Arrival, type Decision, enter, isLate, type Journey } from './arrival.ts'
import { type AuthorizationRequest, openRequest } from './authorization-request.ts'
import { type Checked, denied, passed } from './checked.ts'
import { type SignatureGate, withinLimits } from './failed-signatures.ts'
import { firstAskOf, firstAskOr, guardEntry, guardKeyOf, ofSameProof } from './guard-entry.ts'
import { type Nonce, parseNonce, type ServerUrl, type UserNkey } from './identifiers.ts'
import { eventOf, type Known, nothingKnown } from './known.ts'
import { turnAway } from './legacy/report-only.ts'
import type { Grant } from './policy/policy.ts'
import { resolveGrant } from './policy/resolve.ts'
import { type GuardPort, type SignaturePort, StoreUnavailable, type World } from './ports.ts'
import { type Offer, readOffer } from './proof.ts'
import { connectChallenge } from './protocol.ts'
import type { CredentialRecord, IdentityRecord, ProvenEntry, SessionRecord, Stored } from './records.ts'
import { errorReason, refuse } from './refuse.ts'
import type { Rules } from './rules.ts'
import { checkServerUrl, mayUsePlainSession } from './server-url.ts'
import { checkSessionState, verifyBoundResume, verifyPlainResume } from './session.ts'
import { sha256 } from './sha256.ts'
import { judgeSignCount, type VerifiedAssertion, verifyAssertion } from './webauthn/assertion.ts'
import { checkCredentialState } from './webauthn/credential.ts'
import { expectedAssertion } from './webauthn/relying-party.ts'
import { moveSignCount, quarantine } from './webauthn/sign-count.ts'

/** Decides one request and does what the verdict needs: counter, session, audit record, answer. Never throws. */
export async function decide(arrival: Arrival, journey: Journey): Promise<Decision> {
  // One policy from beginning to end: what a record names is what the verdict came from, whatever is loaded meanwhile.
  const known = nothingKnown(journey.world.policy())
  const { world } = journey
  try {
    const proven = await prove(arrival, journey, known)
    if (isLate(arrival, known)) return { event: null, reply: null }
    if (!proven.ok) return await turnAway(arrival, journey, known, proven.denial)
    const admission = await admit(proven.value, arrival, journey, known)
    if (isLate(arrival, known)) return { event: null, reply: null }
    if (!admission.ok) return await turnAway(arrival, journey, known, admission.denial)

    enter(arrival, known, 'record')
    const { reason, claims, grant } = admission.value
    const event = eventOf(known, { outcome: 'granted', reason }, { arrival, grant })
    await world.audit.record(event)
    known.recorded = event.id
    await activate(admission.value, proven.value, journey)

    enter(arrival, known, 'answer')
    if (isLate(arrival, known, 0)) return refuse(arrival, world, known, { outcome: 'error', reason: 'deadline_exceeded' })
    const reply = world.answer.grant(proven.value.request, claims)
    known.withdraw = () => {}
    return { event: { ...event, durationMs: arrival.elapsedMs() }, reply }
  } catch (cause) {
    arrival.trace.failed(cause)
    return refuse(arrival, world, known, { outcome: 'error', reason: errorReason(cause) })
  } finally {
    known.withdraw()
  }
}

/** Stages 1 to 4: from bytes to somebody who proved who they are on this very connection. */
async function prove(arrival: Arrival, journey: Journey, known: Known): Promise<Checked<Proven>> {
  const { rules, world } = journey
  enter(arrival, known, 'open')
  const opened = openRequest(arrival, { rules, xkey: journey.xkey, signatures: world.signatures, now: arrival.now })
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
  const guardKey = guardKeyOf(request)
  const found = await lookUp(offer, request, { journey, known, now: arrival.now })
  if (!found.ok) return found
  const same = firstAskOf(await world.guard.find(guardKey), request, arrival.now)
  if (!same.ok) return same

  enter(arrival, known, 'verify')
  const { credential, identity, session } = found.value
  const { limits, signatures } = world
  const verified = withinLimits({ request, credential: credential.record, rules, limits, now: arrival.now }, (gate) =>
    verify(offer, credential.record, { nonce, rules, known, signatures, gate }),
  )
  if (!verified.ok) return verified
  known.verified = true
  const assertion = verified.value
  const userVerified = assertion === null ? (session?.userVerified ?? false) : assertion.userVerified
  const proven: Proven = { request, offer, credential, identity, session, assertion, userVerified, guardKey, earlier: same.value }
  const counted = await checkSignCount(proven, arrival.now, world)
  return counted.ok ? passed({ ...proven, earlier: counted.value }) : counted
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
function verify(
  offer: Offer,
  credential: CredentialRecord,
  context: { nonce: Nonce; rules: Rules; known: Known; signatures: SignaturePort; gate: SignatureGate },
): Checked<VerifiedAssertion | null> {
  const { nonce, rules, known, signatures, gate } = context
  const open = offer.form === 'plain' || offer.form === 'bound' ? gate() : passed(null)
  if (!open.ok) return open
  const provesSession = (bound: { nkey: UserNkey; url: ServerUrl; resume: Uint8Array }) =>
    verifyBoundResume({ ...bound, nonce, signature: bound.resume }, signatures)
  switch (offer.form) {
    case 'plain':
      return verifyPlainResume({ ...offer, nonce }, signatures) ? passed(null) : denied('session_signature_invalid')
    case 'bound':
      return provesSession(offer) ? passed(null) : denied('session_signature_invalid')
    case 'proof':
    case 'endorsing': {
      const plain = offer.form === 'endorsing' && offer.plain
      const challenge = connectChallenge(sha256, { nonce, url: offer.url, nkey: offer.nkey ?? '', plain })
      const expected = expectedAssertion(credential, challenge, rules)
      if (!expected.ok) return expected
      const assertion = verifyAssertion(offer.assertion, credential, expected.value, gate)
      if (!assertion.ok) return assertion
      known.assertion = assertion.value
      // Possession: nobody can endorse another's key.
      if (offer.form === 'endorsing' && !provesSession(offer)) return denied('session_signature_invalid')
      return assertion
    }
  }
}

/** Stage 4, the counter; only ever after the signature. What comes out is the first ask about this connection, or null. */
async function checkSignCount(proven: Proven, now: Date, world: World): Promise<Checked<ProvenEntry | null>> {
  const { assertion, credential, earlier } = proven
  if (earlier !== null || assertion === null) return passed(earlier)
  const judged = judgeSignCount(credential.record, assertion, now)
  if (judged.ok) return passed(null)
  const first = await firstAskOr(judged, proven, { guard: world.guard, now })
  if (!first.ok && first.denial === 'sign_count_regression') await quarantine(credential, world.credentials, now)
  return first
}

/** Stages 5 and 6: what the proven identity may do, and the writes that must come before the record. */
async function admit(proven: Proven, arrival: Arrival, journey: Journey, known: Known): Promise<Checked<Admission>> {
  const { world, rules } = journey
  enter(arrival, known, 'resolve')
  const { request, offer, credential, identity, session } = proven
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
  const placed = await checkPlaces(proven, grant, { guard: world.guard, now: arrival.now })
  if (!placed.ok) return placed

  enter(arrival, known, 'store')
  if (placed.value !== null) return admitAgain(passed(placed.value), { proven, grant, arrival })
  return store(proven, grant, { arrival, known, world })
}

/** Stage 5, last step: whether the identity has a connection left, before anything is written. The first ask about this one, or null. */
async function checkPlaces(
  proven: Proven,
  grant: Grant,
  { guard, now }: { guard: GuardPort; now: Date },
): Promise<Checked<ProvenEntry | null>> {
  const { earlier, identity } = proven
  if (earlier !== null || grant.connectionsMax === null) return passed(earlier)
  if (guard.connectionsOf(identity.handle) < grant.connectionsMax) return passed(null)
  return firstAskOr(denied('connection_limit'), proven, { guard, now })
}

/** Stage 6, of a first ask: counter, session and, last, the connection itself, where another verifier may have been first. */
async function store(
  proven: Proven,
  grant: Grant,
  { arrival, known, world }: { arrival: Arrival; known: Known; world: World },
): Promise<Checked<Admission>> {
  const { request, offer, credential, assertion, guardKey } = proven
  const { now } = arrival
  if (assertion !== null) {
    const moved = await moveSignCount(credential, assertion, { credentials: world.credentials, now })
    if (!moved.ok) {
      const first = moved.denial === 'sign_count_race' ? await firstAskOr(moved, proven, { guard: world.guard, now }) : moved
      return admitAgain(first, { proven, grant, arrival })
    }
  }
  const endorsed = offer.form === 'endorsing' ? await reserveSession(proven, grant, { offer, now, sessions: world.sessions }) : passed(null)
  if (!endorsed.ok) return endorsed
  const admission = admissionOf(proven, grant, { endorsed: endorsed.value, ...arrival })
  const nkey = offer.form === 'proof' ? null : offer.nkey
  const { iat, exp } = admission.claims
  const claim = await world.guard.claim(guardKey, guardEntry(request, { credential: credential.record, session: nkey, iat, exp }))
  known.withdraw = claim.withdraw
  if (claim.earlier !== null) return admitAgain(ofSameProof(claim.earlier, request, now), { proven, grant, arrival })
  // Only the order of the claims tells who of those that arrived together has the last place.
  if (grant.connectionsMax === null || (await claim.isAmong(grant.connectionsMax))) return passed(admission)
  // Now, not at the end: report-only mode may yet admit somebody else on this connection, if nobody has it.
  claim.withdraw()
  known.withdraw = () => {}
  return denied('connection_limit')
}

/** Stage 6, of a re-ask: the expiry of the first one holds, and nothing that it wrote is written again. */
function admitAgain(
  first: Checked<ProvenEntry>,
  { proven, grant, arrival }: { proven: Proven; grant: Grant; arrival: Arrival },
): Checked<Admission> {
  return first.ok ? passed(admissionOf({ ...proven, earlier: first.value }, grant, { endorsed: null, ...arrival })) : first
}

/** Stage 7, second half: a session is usable only once its record is durable. */
async function activate(admission: Admission, proven: Proven, { world }: Journey): Promise<void> {
  const { endorsed } = admission
  if (endorsed === null || (await activateSession(endorsed, world.sessions))) return
  throw new StoreUnavailable(`activating the session of ${proven.credential.record.handle}: revoked or rewritten meanwhile`)
}
