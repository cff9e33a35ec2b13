/** What every admin operation has: who asks, the world, and how its records are made. */
import { randomUUID } from 'node:crypto'
import type { LifecycleCode, LifecycleEvent } from '../core/audit-event.ts'
import type { Handle } from '../core/identifiers.ts'
import type { Policy } from '../core/policy/policy.ts'
import { type LifecyclePort, StoreUnavailable } from '../core/ports.ts'
import type { Stored } from '../core/records.ts'
import type { AdminErrorCode } from './admin-protocol.ts'
import type { Kicker } from './kicker.ts'
import type { Stores } from './stores.ts'

export interface AdminWorld {
  stores: Stores
  kicker: Kicker
  lifecycle: LifecyclePort
  policy(): Policy
  /** Where machines enrol, or null. */
  enrolmentUrl: string | null
  /** Origin of the page where people sign in, or null when this verifier serves no people. */
  pageOrigin: string | null
  version: string
  isReady(): boolean
}

/** One request of one administrator. */
export interface Call {
  admin: string
  operation: string
  now: Date
  world: AdminWorld
}

/** How a role that the policy does not have is recorded. */
export const ROLE_UNKNOWN = { area: 'admin', outcome: 'refused', reason: 'request_malformed' } as const satisfies LifecycleCode

/** What a record is about, as far as an operation knows. */
export interface About {
  target: LifecycleEvent['target']
  handle?: Handle
  roles?: readonly string[]
  facts?: LifecycleEvent['facts']
}

export type Outcome<T> = { ok: true; value: T } | { ok: false; code: AdminErrorCode; as: LifecycleCode; about: About }

export function done<T>(value: T): Outcome<T> {
  return { ok: true, value }
}

export function refused(code: AdminErrorCode, as: LifecycleCode, about: About): Outcome<never> {
  return { ok: false, code, as, about }
}

/** Makes the record durable, or throws AuditUnavailable: then the thing is not done. */
export async function record(call: Call, code: LifecycleCode, about: About, detail: string): Promise<void> {
  const { admin, operation, now, world } = call
  await world.lifecycle.record({
    ...code,
    id: randomUUID(),
    at: now.getTime(),
    actor: { kind: 'administrator', name: admin },
    target: about.target,
    handle: about.handle ?? null,
    roles: [...(about.roles ?? [])],
    policyHash: world.policy().hash,
    detail,
    facts: { operation, ...about.facts },
  })
}

/** Records that something was read, then hands it out. */
export async function read<T>(call: Call, target: LifecycleEvent['target'], value: T): Promise<Outcome<T>> {
  await record(call, { area: 'admin', outcome: 'succeeded', reason: 'read' }, { target }, 'An administrator read state.')
  return done(value)
}

/** Everybody else's write wins at most this often in a row. */
const attemptsMax = 100

/**
 * Brings a record to where `next` wants it, whatever is written meanwhile. `next` gives the record itself when nothing
 * is to be done, and null when its state does not allow it: then null.
 */
export async function changeRecord<T>(
  first: Stored<T>,
  next: (record: T) => T | null,
  replace: (stored: Stored<T>, next: T) => Promise<Stored<T> | null>,
): Promise<{ record: T; changed: boolean } | null> {
  let current = first
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const wanted = next(current.record)
    if (wanted === null) return null
    if (wanted === current.record) return { record: wanted, changed: false }
    const other = await replace(current, wanted)
    if (other === null) return { record: wanted, changed: true }
    current = other
  }
  throw new StoreUnavailable('changing a record: it never stood still')
}
