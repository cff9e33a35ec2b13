/** Ending a session by its own key (docs/login.md, "Logging out"): the terminal that has the nkey needs nobody else. */
import { challengeOf, issueCeremony, takeCeremony } from './ceremony.ts'
import type { Occasion } from './enrolment-events.ts'
import { parseUserNkey, type UserNkey } from './identifiers.ts'
import type { PeopleWorld } from './people.ts'
import { StoreUnavailable } from './ports.ts'
import { sessionSubject } from './protocol.ts'
import type { SessionRecord } from './records.ts'
import { accepted, type Judged, refused, sessionRefused } from './refusal.ts'
import { provesPossession } from './session-request.ts'
import { sessionEndedEvent } from './session-request-events.ts'

const OWNER = { ticket: null, login: null } as const
const attemptsMax = 3

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
  return accepted({ ended: await revoke(nkey, occasion, world) })
}

function nkeyOf(subject: string): UserNkey {
  const nkey = parseUserNkey(subject.split('\n')[0])
  if (nkey === null || subject !== sessionSubject(nkey, 'revoke')) throw new Error('reading a ceremony: its subject is no session')
  return nkey
}

async function revoke(nkey: UserNkey, occasion: Occasion, world: PeopleWorld): Promise<boolean> {
  let stored = await world.sessions.findOnLeader(nkey)
  if (stored === null || isOver(stored.record, occasion)) return false
  occasion.known.handle = stored.record.handle
  await world.lifecycle.record(sessionEndedEvent(stored.record, occasion))
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const ended: SessionRecord = { ...stored.record, state: 'revoked', endedAt: occasion.now.getTime() }
    const there = await world.sessions.revoke(stored, ended)
    // An administrator who was faster did the same.
    if (there === null || there.record.state === 'revoked') {
      await world.evictions.evict({ session: nkey })
      return true
    }
    stored = there
  }
  throw new StoreUnavailable('ending a session: it kept changing')
}

function isOver({ state, expiresAt }: SessionRecord, { now }: Occasion): boolean {
  return state === 'revoked' || expiresAt <= now.getTime()
}
