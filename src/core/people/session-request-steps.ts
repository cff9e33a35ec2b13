/**
 * A terminal's session, top to bottom (docs/login.md, ADR-0014): the terminal begins and proves its nkey, a person at the
 * page is shown the request and taps, and in the loopback flow the terminal completes it. Ending one is in session-end-steps.ts.
 */
import { type Occasion, refusalEvent } from '../enrolment/enrolment-events.ts'
import { credentialKey, parseUserNkey } from '../identifiers.ts'
import { sessionCheckCode } from '../protocol.ts'
import type { SessionRecord, SessionRequestRecord, Stored } from '../records.ts'
import { accepted, type Judged, refused, sessionRefused } from '../refusal.ts'
import { sha256 } from '../sha256.ts'
import { checkCredentialState } from '../webauthn/credential.ts'
import type { EndorsedSession, PeopleWorld, SessionRequestView, SignedIn } from './people.ts'
import { atMost, type Endorsement, judgeEndorsement } from './session-endorsement.ts'
import {
  callbackUrl,
  challengeOfRequest,
  completionHash,
  endorsedSession,
  judgeSessionRequest,
  newCode,
  newCompletion,
  newRequestId,
  newSessionRequest,
  provesPossession,
  readCode,
  requestIdOfCode,
  requestIdOfName,
  requestName,
  viewSessionRequest,
} from './session-request.ts'
import { sessionRequestEvent } from './session-request-events.ts'
import { type EndorsementOptions, endorsableDevices, optionsFor, verifyEndorsingTap } from './session-tap.ts'

type Found = Judged<Stored<SessionRequestRecord>>

const codesTriedMax = 5

/** Terminal, step 1: asks for a session for an nkey it made. Nothing is shown to anybody yet. */
export async function beginSessionRequest(
  body: { nkey: string; flow: 'loopback' | 'code'; host: string; port: number | null },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ request: string; issued: string; url: string; code: string; expiresAt: number }>> {
  if (world.rules.person === null) return refused('person_enrolment_unavailable', null)
  const { flow, host, port } = body
  const nkey = parseUserNkey(body.nkey)
  // A port is where a loopback callback goes, and nothing else.
  if (nkey === null || (flow === 'loopback') !== (port !== null)) return refused('request_malformed', 'schema')
  occasion.known.session = nkey
  for (let attempt = 0; attempt < codesTriedMax; attempt++) {
    const typed = flow === 'code' ? newCode(occasion.random) : null
    const id = typed === null ? newRequestId(occasion.random) : requestIdOfCode(typed)
    const record = newSessionRequest(id, { nkey, flow, host, port }, occasion)
    if (!(await world.sessionRequests.create(id, record))) continue
    const { issued, expiresAt } = record
    const url = typed === null ? `${world.origin}/#session=${id}` : `${world.origin}/#code`
    return accepted({
      request: requestName(record),
      issued,
      url,
      code: typed ?? sessionCheckCode(sha256, { request: id, nkey }),
      expiresAt,
    })
  }
  throw new Error('beginning a session request: its random id is taken')
}

/** Terminal, step 2: the nkey signs, so nobody else's key can be endorsed. Only now is the request shown. */
export async function possessSessionRequest(
  { request, signature }: { request: string; signature: string },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<null>> {
  const found = await open(request, 'asked', occasion, world)
  if (!found.ok) return found
  const { record } = found.value
  if (!provesPossession(record.nkey, challengeOfRequest(record, world.origin), signature)) return sessionRefused('possession_invalid')
  const possessed: SessionRequestRecord = { ...record, state: 'possessed' }
  return (await world.sessionRequests.replace(record.id, found.value, possessed)) ? accepted(null) : sessionRefused('request_used', 'race')
}

/** Terminal: whether the person has answered. In the code flow the answer is the session. */
export async function pollSessionRequest(
  { request }: { request: string },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ state: 'waiting' | 'refused' | 'complete'; session: EndorsedSession | null }>> {
  const record = (await findByName(request, world))?.record ?? null
  occasion.known.session = record?.nkey ?? null
  switch (record?.state) {
    case 'refused':
      return accepted({ state: 'refused', session: null })
    case 'completed': {
      const session = (await world.sessions.findOnLeader(record.nkey))?.record
      if (session?.state !== 'active') return sessionRefused('endorsement_refused', 'session_over')
      const endorsement = await judgeAgain(record, occasion, world)
      return endorsement.ok
        ? accepted({ state: 'complete', session: endorsedSession(session, endorsement.value.roles, world.urls) })
        : endorsement
    }
    case 'asked':
    case 'possessed':
    case 'endorsed': {
      const open = judgeSessionRequest(record, record.state, occasion.now)
      return open.ok ? accepted({ state: 'waiting', session: null }) : open
    }
    case undefined:
      return sessionRefused('request_unknown')
  }
}

/** Page, step 3: what the terminal asks for. A link shows a loopback request only, so a code must be typed. */
export async function showSessionRequest(
  which: { request: string } | { code: string },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ session: SessionRequestView }>> {
  const typed = 'request' in which ? null : readCode(which.code)
  occasion.known.handle = signedIn.identity.record.handle
  if (!('request' in which) && typed === null) return sessionRefused('request_unknown', 'code')
  const stored =
    'request' in which ? await findByName(which.request, world) : await world.sessionRequests.find(requestIdOfCode(typed ?? ''))
  const found = judgeOpen(stored, 'possessed', occasion)
  if (!found.ok) return found
  const { record } = found.value
  if ((record.flow === 'code') !== (typed !== null)) return sessionRefused('request_unknown', 'flow')
  const devices = await endorsableDevices(record, signedIn, occasion, world)
  if (!devices.ok) return devices
  const most = atMost(devices.value.map(({ endorsement }) => endorsement))
  if (most === null) throw new Error('showing a session request: no device, and no refusal')
  return accepted({ session: viewSessionRequest(record, typed, most) })
}

/** Page, step 4: what the browser asks of the person's devices. */
export async function endorsementOptions(
  { request }: { request: string },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ options: EndorsementOptions }>> {
  occasion.known.handle = signedIn.identity.record.handle
  const found = await open(request, 'possessed', occasion, world)
  if (!found.ok) return found
  const devices = await endorsableDevices(found.value.record, signedIn, occasion, world)
  if (!devices.ok) return devices
  return accepted({ options: optionsFor(found.value.record, devices.value, world) })
}

/** Page, step 5: the tap. By code the session is in force at once; by link it waits for what the browser brings the terminal. */
export async function endorseSession(
  { request, response }: { request: string; response: unknown },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ callback: string | null }>> {
  occasion.known.handle = signedIn.identity.record.handle
  const found = await open(request, 'possessed', occasion, world)
  if (!found.ok) return found
  const { record } = found.value
  const tap = await verifyEndorsingTap(response, { request: record, signedIn }, occasion, world)
  if (!tap.ok) return tap
  const { credential, userVerified, endorsement } = tap.value

  // Single use: of two people who tap for one request, or of two taps, exactly one gets past this write.
  const completion = record.flow === 'loopback' ? newCompletion(occasion.random) : null
  const endorsed: SessionRequestRecord = {
    ...record,
    state: 'endorsed',
    handle: credential.handle,
    credential: credentialKey(credential.id),
    completion: completion === null ? null : completionHash(completion),
  }
  if (!(await world.sessionRequests.replace(record.id, found.value, endorsed))) return sessionRefused('request_used', 'race')
  const lifetimeEnd = occasion.now.getTime() + endorsement.seconds * 1000
  const wanted: SessionRecord = {
    v: 1,
    nkey: record.nkey,
    credential: credentialKey(credential.id),
    handle: credential.handle,
    class: credential.class,
    plain: true,
    userVerified,
    byCode: record.flow === 'code',
    label: record.host,
    createdAt: occasion.now.getTime(),
    expiresAt: Math.min(lifetimeEnd, credential.expiresAt ?? lifetimeEnd),
    state: 'pending',
    endedAt: null,
  }
  const reserved = await reserveFresh(wanted, world)
  if (!reserved.ok) return reserved
  await world.lifecycle.record(sessionRequestEvent('endorsed', endorsed, { session: wanted, endorsement, occasion }))
  if (completion !== null) return accepted({ callback: callbackUrl(endorsed, completion) })

  const activated = await activate(reserved.value, world)
  if (!activated.ok) return activated
  const waiting = await world.sessionRequests.find(record.id)
  if (waiting === null || !(await world.sessionRequests.replace(record.id, waiting, { ...endorsed, state: 'completed' }))) {
    throw new Error('completing a session request: it was changed meanwhile')
  }
  return accepted({ callback: null })
}

/** Page: the person says no. The terminal is told so, and the record says who was asked and refused. */
export async function refuseSessionRequest(
  { request }: { request: string },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<null>> {
  const { handle } = signedIn.identity.record
  occasion.known.handle = handle
  const found = await open(request, 'possessed', occasion, world)
  if (!found.ok) return found
  const { record } = found.value
  await world.lifecycle.record(refusalEvent({ area: 'session', reason: 'refused_by_person', check: null }, occasion, 1))
  const written = await world.sessionRequests.replace(record.id, found.value, { ...record, state: 'refused', handle })
  return written ? accepted(null) : sessionRefused('request_used', 'race')
}

/**
 * Terminal, step 6 of the loopback flow: the code that its listener got from the browser puts the session in force. Who
 * sent a link to somebody else never has it: the browser brought it to its own machine.
 */
export async function completeSessionRequest(
  { request, code }: { request: string; code: string },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ session: EndorsedSession }>> {
  const found = await open(request, 'endorsed', occasion, world)
  if (!found.ok) return found
  const { record } = found.value
  // Of hashes, so how far the texts agree tells nothing of the code.
  if (record.completion === null || completionHash(code) !== record.completion) return sessionRefused('completion_invalid')
  occasion.known.handle = record.handle
  const endorsement = await judgeAgain(record, occasion, world)
  if (!endorsement.ok) return endorsement
  const session = await world.sessions.findOnLeader(record.nkey)
  if (session?.record.state !== 'pending' || session.record.credential !== record.credential) {
    return sessionRefused('endorsement_refused', 'session_over')
  }
  if (!(await world.sessionRequests.replace(record.id, found.value, { ...record, state: 'completed' }))) {
    return sessionRefused('request_used', 'race')
  }
  const about = { session: session.record, endorsement: endorsement.value, occasion }
  await world.lifecycle.record(sessionRequestEvent('completed', record, about))
  const activated = await activate(session, world)
  if (!activated.ok) return activated
  return accepted({ session: endorsedSession(activated.value, endorsement.value.roles, world.urls) })
}

/** The request of this name, in the state from which the step goes on. */
async function open(name: string, wanted: SessionRequestRecord['state'], occasion: Occasion, world: PeopleWorld): Promise<Found> {
  return judgeOpen(await findByName(name, world), wanted, occasion)
}

async function findByName(name: string, world: PeopleWorld): Promise<Stored<SessionRequestRecord> | null> {
  const stored = await world.sessionRequests.find(requestIdOfName(name))
  return stored !== null && requestName(stored.record) === name ? stored : null
}

function judgeOpen(
  stored: Stored<SessionRequestRecord> | null,
  wanted: SessionRequestRecord['state'],
  { known, now }: Occasion,
): Judged<Stored<SessionRequestRecord>> {
  known.session = stored?.record.nkey ?? null
  const judged = judgeSessionRequest(stored?.record ?? null, wanted, now)
  return judged.ok ? accepted(stored as Stored<SessionRequestRecord>) : judged
}

/** A session that nobody has yet. Stricter than a proof on a connection: an nkey that serves already, even this person, is not taken. */
async function reserveFresh(wanted: SessionRecord, { sessions }: PeopleWorld): Promise<Judged<Stored<SessionRecord>>> {
  const there = await sessions.reserve(wanted)
  const { state, credential, createdAt } = there.record
  const isOurs = state === 'pending' && credential === wanted.credential && createdAt === wanted.createdAt
  return isOurs ? accepted({ record: wanted, revision: there.revision }) : sessionRefused('endorsement_refused')
}

async function activate(reserved: Stored<SessionRecord>, { sessions }: PeopleWorld): Promise<Judged<SessionRecord>> {
  const active: SessionRecord = { ...reserved.record, state: 'active' }
  return (await sessions.replace(reserved, active)) ? accepted(active) : sessionRefused('endorsement_refused', 'race')
}

/** Time has passed since the tap: the person, the device and the policy are what they are now. */
async function judgeAgain(request: SessionRequestRecord, { now }: Occasion, world: PeopleWorld): Promise<Judged<Endorsement>> {
  const identity = request.handle === null ? null : await world.identities.findOnLeader(request.handle)
  if (identity?.record.state !== 'active') return sessionRefused('roles_insufficient', 'identity_disabled')
  const credential = request.credential === null ? null : await world.credentials.find(request.credential)
  const active = checkCredentialState(credential, now)
  if (!active.ok) return sessionRefused('roles_insufficient', active.denial)
  return judgeEndorsement(world.policy(), {
    identity: identity.record,
    credential: active.value.record,
    byCode: request.flow === 'code',
    rules: world.rules,
    now,
  })
}
