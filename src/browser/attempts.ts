/**
 * What the next connection is made with: the session key, which costs nobody anything, or a tap, which costs a person's
 * attention. No clock, keys or browser of its own, so that every sequence of outcomes can be tested.
 *
 * NATS says "Authorization Violation" both when a verifier refused and when none answered. Only the time tells them
 * apart: a verdict comes at once, silence takes nats-server's whole `authorization.timeout`. Silence never leads to a tap.
 */
import type { ReconnectPace } from '../core/reconnect-pace.ts'
import { evidenceMin, REFUSAL_EVIDENCE, refusalAfter } from '../core/session-evidence.ts'
import { PasskeyError, type PasskeyErrorCode } from './passkey-error.ts'

/** Why a page should offer its person a tap: the session is over; the last tap was not made; or its connection broke. */
export type TapReason = 'session_over' | 'cancelled' | 'interrupted'

export type Attempt<Key> =
  | { kind: 'resume'; key: Key }
  | { kind: 'tap' }
  /** Wait for the page to say that its person is ready, then ask here again. */
  | { kind: 'ask'; reason: TapReason }
  | { kind: 'end'; error: PasskeyError }

/** How the server took what CONNECT carried, after so many milliseconds. */
export interface Verdict {
  accepted: boolean
  afterMilliseconds: number
}

export interface Attempts<Key> {
  next(): Attempt<Key>
  /** The person is ready: the next attempt may be a tap. */
  granted(): void
  /** The verdict on a resume, or null when the connection ended without one. */
  resumed(verdict: Verdict | null): void
  /** The verdict on a tap, or null; `key` is what it endorsed, or null. */
  tapped(verdict: Verdict | null, key: Key | null): void
  /** It did not come to a verdict. */
  failed(code: PasskeyErrorCode): void
  /** Nothing more is tried, and the session key is forgotten. */
  end(error: PasskeyError): void
  /** Attempts in a row that were not accepted. */
  failures(): number
  /** Whether the next attempt begins with a person, or is the end: a pause before it would help nobody. */
  isPauseless(): boolean
}

// A verdict is seldom slower than this, and nats-server's timeout is never shorter than one second.
const verdictMs = 1_000
// A page that grants every wish at once must not put up question after question.
const missedTapsMax = 3
// What another attempt would not change.
const ENDING: ReadonlySet<PasskeyErrorCode> = new Set(['unsupported', 'option_refused', 'url_refused', 'not_allowed', 'ceremony_failed'])

type Circumstances = Pick<ReconnectPace, 'loss' | 'spreadMs'>

/** `mayAsk`: whether there is anybody to tell that a tap is needed. `pace`: why the connection was lost, and who else lost theirs. */
export function createAttempts<Key>({ mayAsk, pace }: { mayAsk: boolean; pace: Circumstances }): Attempts<Key> {
  let session: Key | null = null
  let everAccepted = false
  let mayTap = true
  let acceptedMs = 0
  let failures = 0
  // How much speaks for the end of the session.
  let evidence = 0
  // Nothing says whether a tap made a session: null until a resume worked, or the first session had all its chances.
  let sessionless: boolean | null = null
  let missedTaps = 0
  let reason: TapReason = 'session_over'
  let ended: PasskeyError | null = null
  let isPauseless = false

  const end = (error: PasskeyError): void => {
    ended ??= error
    session = null
    isPauseless = true
  }
  const mayResume = (): boolean => (sessionless === true ? evidence === 0 : evidence < evidenceMin)
  const accepted = (verdict: Verdict): void => {
    everAccepted = true
    acceptedMs = verdict.afterMilliseconds
    failures = 0
    evidence = 0
    missedTaps = 0
    reason = 'session_over'
  }
  const lost = (): void => {
    failures++
    isPauseless = false
  }

  return {
    next() {
      if (ended !== null) return { kind: 'end', error: ended }
      if (session !== null && mayResume()) return { kind: 'resume', key: session }
      if (mayTap) return { kind: 'tap' }
      if (mayAsk) return { kind: 'ask', reason }
      end(new PasskeyError('session_over', 'reconnecting: the session is over, and there is no onTapNeeded'))
      return this.next()
    },
    granted() {
      mayTap = true
    },
    resumed(verdict) {
      if (verdict?.accepted === true) {
        sessionless = false
        return accepted(verdict)
      }
      lost()
      evidence += evidenceOf(verdict, { acceptedMs, pace })
      if (!mayResume()) sessionless ??= true
      isPauseless = !mayResume()
    },
    tapped(verdict, key) {
      mayTap = false
      if (verdict?.accepted === true) {
        accepted(verdict)
        session = key
        return
      }
      lost()
      // Asking again would put the same question to the same verifier, at a person's cost.
      if (evidenceOf(verdict, { acceptedMs, pace }) > 0) end(new PasskeyError('server_refused', 'connecting: the tap was refused'))
      else end(new PasskeyError('no_answer', 'connecting: nobody answered for the server'))
    },
    failed(code) {
      lost()
      if (ENDING.has(code)) end(new PasskeyError(code, 'reconnecting: the tap failed'))
      if (code !== 'cancelled' && code !== 'interrupted') return
      mayTap = false
      reason = code
      missedTaps++
      isPauseless = everAccepted
      if (missedTaps >= missedTapsMax) end(new PasskeyError(code, 'reconnecting: no tap'))
    },
    end,
    failures: () => failures,
    isPauseless: () => isPauseless,
  }
}

/** Silence is worth nothing: a tap costs a person's attention, and would meet the same. */
function evidenceOf(verdict: Verdict | null, known: { acceptedMs: number; pace: Circumstances }): number {
  const refusal = verdict === null ? 'unanswered' : refusalAfter(verdict.afterMilliseconds, { verdictMs, ...known })
  return refusal === 'unanswered' ? 0 : REFUSAL_EVIDENCE[refusal]
}
