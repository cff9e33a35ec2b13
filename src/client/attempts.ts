/**
 * Which way to authenticate next: with the key itself (a proof, which endorses a session key) or with the session key
 * (a resume). No clock and no keys of its own, so that every sequence of outcomes can be tested.
 */
import { evidenceMin, REFUSAL_EVIDENCE, type Refusal } from '../core/session-evidence.ts'

/** One attempt to authenticate. `session` is the key that a proof endorses, or that resumes. */
export type Attempt<Key> = { kind: 'proof'; session: Key | null } | { kind: 'resume'; session: Key }

export interface Attempts<Key> {
  /** Decides, and counts as begun. `now` is monotonic milliseconds. */
  next(now: number): Attempt<Key>
  /** Milliseconds since the last attempt was begun. */
  sinceBegun(now: number): number
  /** The connection is up: what was begun last worked. */
  worked(): void
  /** The server refused what was begun last. */
  refused(refusal?: Refusal): void
  /** From now on (or no longer) each outcome is reported by worked and refused. */
  watch(watched: boolean): void
  /** Attempts since one worked. */
  failures(): number
  /** What was begun last. */
  lastKind(): 'proof' | 'resume' | null
  /** Whether any attempt worked so far. */
  everWorked(): boolean
  /** The session key that was endorsed last, or null. */
  session(): Key | null
}

// Nobody waits this long between two tries on a connection that did not come up.
const lateMilliseconds = 60_000
// A refusal can get lost with its connection, so resumes that end without one speak for the end of a session too. None is
// worth nothing: some path may be slow for good.
const silentEvidence = 2
// Where a role has no session time, each session is refused at its first use.
const sterileSessionsMax = 2

/** `makeKey` makes a fresh session key, or is null when sessions are not wanted. */
export function createAttempts<Key>(makeKey: (() => Key) | null): Attempts<Key> {
  let last: { attempt: Attempt<Key>; outcome: 'open' | 'worked' | 'refused'; at: number } | null = null
  let session: { key: Key; state: 'fresh' | 'proven' | 'refused' } | null = null
  let watched = false
  let everWorked = false
  let failures = 0
  let evidence = 0
  let sterileSessions = 0

  const worked = () => {
    if (last === null || last.outcome === 'worked') return
    last.outcome = 'worked'
    everWorked = true
    failures = 0
    evidence = 0
    if (last.attempt.kind === 'resume') {
      sterileSessions = 0
      if (session !== null) session.state = 'proven'
      return
    }
    if (session?.state === 'refused') sterileSessions++
    const key = last.attempt.session
    session = key === null || sterileSessions >= sterileSessionsMax ? null : { key, state: 'fresh' }
  }

  const refused = (refusal: Refusal = 'verdict') => {
    if (last?.outcome !== 'open') return
    last.outcome = 'refused'
    if (last.attempt.kind !== 'resume') return
    evidence += REFUSAL_EVIDENCE[refusal]
    // Whoever is in trouble refuses good sessions too, so that says nothing of the role.
    const isTelling = refusal === 'verdict' || refusal === 'crowded'
    if (isTelling && evidence >= evidenceMin && session?.state === 'fresh') session.state = 'refused'
  }

  // Nobody reports: what was followed by nothing for long worked, what was followed soon did not.
  const guess = (now: number) => {
    if (watched || last === null || last.outcome !== 'open') return
    const late = now - last.at >= lateMilliseconds
    if (last.attempt.kind === 'proof') {
      if (late) worked()
      return
    }
    // A program that tries again every few minutes looks late too, so one resume is never followed by another.
    if (late && session !== null) session.state = 'proven'
    refused()
  }

  const mayResume = (): boolean => {
    if (session === null || last === null) return false
    if (last.outcome === 'worked') return true
    if (last.attempt.kind === 'resume') return evidence < evidenceMin
    // A proof was refused although an older session worked once: the verifier was probably away, so both are tried.
    return last.outcome === 'refused'
  }

  return {
    next(now) {
      guess(now)
      if (last?.outcome === 'open' && last.attempt.kind === 'resume') evidence += silentEvidence
      failures++
      let attempt: Attempt<Key>
      if (session !== null && mayResume()) {
        attempt = { kind: 'resume', session: session.key }
      } else {
        evidence = 0
        attempt = { kind: 'proof', session: makeKey === null || sterileSessions >= sterileSessionsMax ? null : makeKey() }
      }
      last = { attempt, outcome: 'open', at: now }
      return attempt
    },
    sinceBegun: (now) => (last === null ? 0 : now - last.at),
    worked,
    refused,
    watch(on) {
      watched = on
    },
    failures: () => failures,
    lastKind: () => last?.attempt.kind ?? null,
    everWorked: () => everWorked,
    session: () => session?.key ?? null,
  }
}
