/**
 * Ending a session: by its own key (docs/login.md, "Logging out"), for which the terminal needs nobody else; and by the
 * person whose it is, at the page. It is on record first, then revoked for ever, then its connections are closed.
 */
import { challengeOf, issueCeremony, takeCeremony } from '../enrolment/ceremony.ts'
import type { Occasion } from '../enrolment/enrolment-events.ts'
import { parseUserNkey, type UserNkey } from '../identifiers.ts'
import { StoreUnavailable } from '../ports.ts'
import { sessionSubject } from '../protocol.ts'
import type { SessionRecord, Stored } from '../records.ts'
import { accepted, type Judged, refused, sessionRefused } from '../refusal.ts'
import { allowedByLogin } from './allowed-by.ts'
import { ownSessionEvent } from './device-events.ts'
import type { Evicted, PeopleWorld, SignedIn } from './people.ts'
import { provesPossession } from './session-request.ts'
import { sessionEndedEvent } from './session-request-events.ts'

const OWNER = { ticket: null, login: null } as const
// Terminals, verifiers and administrators write a session seldom, and never for long.
const attemptsMax = 8

/** Step 1: bytes to sign. Whether the nkey has a session is not told before it signed. */
export async function beginSessionEnd(
  body: { nkey: string },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ ceremony: string; issued: string }>> {
  const nkey = parseUserNkey(body.nkey)
  if (nkey === null) return refused('request_malformed', 'schema')
  occasion.known.session = nkey
  const about = { purpose: 'session', subject: sessionSubject(nkey, 'revoke'), owner: OWNER } as const
  const { id, issued } = await issueCeremony(world.signins, about, occasion)
  return accepted({ ceremony: id, issued })
}

/** Step 2: the nkey signed, so its session is over for good, with its connections. `ended` false: there was none in force. */
export async function finishSessionEnd(
  { ceremony, signature }: { ceremony: string; signature: string },
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<{ ended: boolean }>> {
  const taken = await takeCeremony(world.signins, ceremony, { purpose: 'session', owner: OWNER, now: occasion.now })
  if (!taken.ok) {
    const reason = taken.check === 'used' || taken.check === 'expired' ? (`request_${taken.check}` as const) : 'request_unknown'
    return sessionRefused(reason, taken.check)
  }
  const nkey = nkeyOf(taken.value.subject)
  occasion.known.session = nkey
  if (!provesPossession(nkey, challengeOf(taken.value, world.origin), signature)) return sessionRefused('possession_invalid')
  const stored = await world.sessions.findOnLeader(nkey)
  if (stored === null || isOver(stored.record, occasion)) return accepted({ ended: false })
  occasion.known.handle = stored.record.handle
  await world.lifecycle.record(sessionEndedEvent(stored.record, occasion))
  await revoke(stored, occasion, world)
  return accepted({ ended: true })
}

/** Its owner ends it. Somebody else's session answers like one that never was. */
export async function endOwnSession(
  { nkey }: { nkey: UserNkey },
  signedIn: SignedIn,
  occasion: Occasion,
  world: PeopleWorld,
): Promise<Judged<Evicted>> {
  const { record: identity } = signedIn.identity
  occasion.known.handle = identity.handle
  occasion.known.session = nkey
  const stored = await world.sessions.findOnLeader(nkey)
  if (stored === null || stored.record.handle !== identity.handle) return sessionRefused('unknown')
  const allowedBy = allowedByLogin(signedIn.login.record, null)
  await world.lifecycle.record(ownSessionEvent(occasion, { identity, session: stored.record, allowedBy }))
  return accepted(await revoke(stored, occasion, world))
}

function nkeyOf(subject: string): UserNkey {
  const nkey = parseUserNkey(subject.split('\n')[0])
  if (nkey === null || subject !== sessionSubject(nkey, 'revoke')) throw new Error('reading a ceremony: its subject is no session')
  return nkey
}

/** Revoked already is good too: whoever was faster did the same, and what connections are left are closed. */
async function revoke(first: Stored<SessionRecord>, { now }: Occasion, world: PeopleWorld): Promise<Evicted> {
  const { nkey, handle } = first.record
  let stored: Stored<SessionRecord> | null = first
  for (let attempt = 0; stored !== null && stored.record.state !== 'revoked'; attempt++) {
    if (attempt === attemptsMax) throw new StoreUnavailable('ending a session: it kept changing')
    stored = await world.sessions.revoke(stored, { ...stored.record, state: 'revoked', endedAt: now.getTime() })
  }
  return world.evictions.evict({ session: nkey }, handle)
}

function isOver({ state, expiresAt }: SessionRecord, { now }: Occasion): boolean {
  return state === 'revoked' || expiresAt <= now.getTime()
}
