/** The random bytes of one HTTP ceremony: issued, bound to a purpose and an owner, and used once. */
import { base64url, fromBase64url } from '../encoding.ts'
import type { RecordPort } from '../ports.ts'
import { type CeremonyPurpose, ceremonyChallenge } from '../protocol.ts'
import type { CeremonyRecord, Stored } from '../records.ts'
import { sha256 } from '../sha256.ts'

/** How long the issued bytes of a ceremony live. */
export const ceremonySeconds = 5 * 60
/** Bytes issued for each ceremony. */
export const issuedBytes = 32
const ceremonyIdBytes = 16

/** Whose ceremony it is: a ticket's, a login's, or, with two nulls, anybody's. */
export interface CeremonyOwner {
  /** Id of the ticket. */
  ticket: string | null
  /** Id of the login. */
  login: string | null
}

/** What was wrong with a ceremony: the `check` of `ceremony_invalid`. */
export type CeremonyCheck = 'unknown' | 'purpose' | 'ticket' | 'login' | 'used' | 'expired'
export type CeremonyTaken = { ok: true; value: CeremonyRecord } | { ok: false; check: CeremonyCheck }

interface Moment {
  now: Date
  random(bytes: number): Uint8Array
}

/** A ceremony that is not stored yet. */
export function newCeremony(
  id: string,
  about: { purpose: CeremonyPurpose; subject: string; owner: CeremonyOwner },
  moment: Moment,
): CeremonyRecord {
  const { purpose, subject, owner } = about
  return {
    v: 1,
    id,
    purpose,
    issued: base64url(moment.random(issuedBytes)),
    subject,
    ticket: owner.ticket,
    login: owner.login,
    expiresAt: moment.now.getTime() + ceremonySeconds * 1000,
    state: 'issued',
  }
}

/** Issues the bytes of a ceremony under a random id. */
export async function issueCeremony(
  ceremonies: RecordPort<CeremonyRecord>,
  about: { purpose: CeremonyPurpose; subject: string; owner: CeremonyOwner },
  moment: Moment,
): Promise<CeremonyRecord> {
  const record = newCeremony(base64url(moment.random(ceremonyIdBytes)), about, moment)
  if (!(await ceremonies.create(record.id, record))) throw new Error('issuing a ceremony: its random id is taken')
  return record
}

/** The ceremony, used up: whatever the outcome, its bytes never serve again. */
export async function takeCeremony(
  ceremonies: RecordPort<CeremonyRecord>,
  id: string,
  expected: { purpose: CeremonyPurpose; owner: CeremonyOwner; now: Date },
): Promise<CeremonyTaken> {
  const stored = await ceremonies.find(id)
  const judged = judgeCeremony(stored?.record ?? null, expected)
  if (!judged.ok) return judged
  const taken = await ceremonies.replace(id, stored as Stored<CeremonyRecord>, { ...judged.value, state: 'used' })
  return taken ? judged : { ok: false, check: 'used' }
}

/** Whether these issued bytes are for this purpose, this owner and this moment. */
export function judgeCeremony(
  ceremony: CeremonyRecord | null,
  { purpose, owner, now }: { purpose: CeremonyPurpose; owner: CeremonyOwner; now: Date },
): CeremonyTaken {
  if (ceremony === null) return { ok: false, check: 'unknown' }
  if (ceremony.purpose !== purpose) return { ok: false, check: 'purpose' }
  if (ceremony.ticket !== owner.ticket) return { ok: false, check: 'ticket' }
  if (ceremony.login !== owner.login) return { ok: false, check: 'login' }
  if (ceremony.state !== 'issued') return { ok: false, check: 'used' }
  if (ceremony.expiresAt <= now.getTime()) return { ok: false, check: 'expired' }
  return { ok: true, value: ceremony }
}

/** The challenge (32 bytes) of a ceremony, for the verifier's `origin`. */
export function challengeOf(ceremony: { purpose: CeremonyPurpose; issued: string; subject: string }, origin: string): Uint8Array {
  const issued = fromBase64url(ceremony.issued)
  if (issued?.length !== issuedBytes) throw new Error('reading a ceremony: not 32 issued bytes')
  return ceremonyChallenge(sha256, { purpose: ceremony.purpose, issued, origin, subject: ceremony.subject })
}
